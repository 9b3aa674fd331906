"""GitHub's REST API: one request at a time, errors in our own words, and the token sent only to the API's host."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reconciler.errors import InputError, PostFailed, TransientError

if TYPE_CHECKING:
    import httpx

    from reconciler.io.http.proxy import Proxy

TIMEOUT_S = 30.0  # for a connection, and between two parts of an answer
ANSWER_TIMEOUT_S = 120.0  # for a whole answer
TRIES = 3
LONGEST_WAIT_S = 60.0
PAGE = 100  # the most that GitHub gives at once
MAX_PAGES = 30  # three thousand comments or issues are searched
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # as sent, and decoded; a page of 100 comments of 64 KiB takes about 7 MiB
RETRIED = frozenset({429, 500, 502, 503, 504})

_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what a header can carry

Got = TypeVar("Got")


class Repository(Protocol):
    """A repository on GitHub: that of a workflow run, or one that the user names. `repository` is OWNER/NAME."""

    @property
    def api_url(self) -> str: ...

    @property
    def repository(self) -> str: ...


class GitHub:
    """The client, a context manager. `token` is the bare token of `GITHUB_TOKEN`; `proxy` is the one to use, if any."""

    def __init__(
        self,
        repository: Repository,
        token: str,
        *,
        proxy: Proxy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._repository = repository
        self._token = token
        self._proxy = proxy
        self._sleep = sleep
        self._client: httpx.Client | None = None

    def __enter__(self) -> GitHub:
        """Open the client. Raises InputError for an impossible token, and if SSL_CERT_FILE or _DIR can't be read."""
        if not _TOKEN.fullmatch(self._token):
            hint = "set it to the whole token and nothing else, as `gh auth token` prints it"
            raise InputError.of("GITHUB_TOKEN", "has a blank or a character that no token has", hint)
        self._client = self._make_client()
        return self

    def _make_client(self) -> httpx.Client:
        import httpx

        from reconciler.io.http.tls import make_tls_context

        tls, proxy = make_tls_context(), None
        if self._proxy is not None:
            headers = {"Proxy-Authorization": self._proxy.authorization} if self._proxy.authorization else {}
            address = f"{self._proxy.scheme}://{self._proxy.address}"
            proxy = httpx.Proxy(address, ssl_context=tls if self._proxy.scheme == "https" else None, headers=headers)
        return httpx.Client(
            verify=tls,
            base_url=f"{self._repository.api_url}/repos/{self._repository.repository}/",
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "User-Agent": "reconciler",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            timeout=TIMEOUT_S,
            proxy=proxy,
            trust_env=False,  # .netrc is never read
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # no cookie is kept or sent back
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None, "the context manager was entered"
        self._client.close()

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> Any:
        """Make one request below the repository, and return its JSON. Raises PostFailed, also for a lost answer."""
        import httpx

        assert self._client is not None, "the context manager was entered"
        try:
            with self._client.stream(method, path, json=body, params=params) as answer:
                content = _read(method, path, answer)
        except httpx.RequestError as error:  # of the transport, or of an answer that can't be decoded
            raise TransientError(f"GitHub didn't answer {method} {path}: {self._explain(error)}") from None
        if not answer.is_success:
            raise self._refused(method, path, answer, content)
        try:
            return json.loads(content) if content else None
        except (ValueError, RecursionError):
            raise PostFailed(f"GitHub's answer to {method} {path} is not valid JSON", answer.status_code) from None

    def _refused(self, method: str, path: str, answer: httpx.Response, content: bytes) -> PostFailed:
        """Return the error of a refusal, with GitHub's own words and how long to wait."""
        from reconciler.io.http.retry_after import parse_retry_after

        try:
            said = json.loads(content).get("message", "")
        except (ValueError, AttributeError, RecursionError):
            said = ""
        said = said if isinstance(said, str) and said else answer.reason_phrase
        # A gateway may echo the request. The token is masked before the text is cut, so that no part of it is shown.
        said = said.replace(self._token, "***")[:200]
        text = f"GitHub answered {answer.status_code} to {method} {path}: {said}"
        wait = answer.headers.get("retry-after", "")
        # GitHub answers 403 for its rate limit too
        limited = bool(wait) or answer.headers.get("x-ratelimit-remaining") == "0"
        if not limited and answer.status_code not in RETRIED:
            return PostFailed(text, answer.status_code)
        error = TransientError(text, answer.status_code)
        error.wait_s = parse_retry_after(wait, datetime.now(UTC))
        return error

    def _explain(self, error: httpx.RequestError) -> str:
        """Return why there was no answer, and which server failed."""
        import httpx

        from reconciler.io.http.causes import OF_CONNECTING, Cause, Failure, Hop, Stage, find_cause, find_proxy_cause

        connecting = httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError
        stage = Stage.CONNECT if isinstance(error, connecting) else Stage.HEAD
        if isinstance(error, httpx.TimeoutException):
            cause, detail = Cause.TIMEOUT, f"{TIMEOUT_S:g} s"
        elif isinstance(error, httpx.ProxyError) and str(error)[:3].isdecimal():
            detail = str(error)[:3]
            has_user = self._proxy is not None and self._proxy.authorization is not None
            cause = find_proxy_cause(detail, has_user=has_user)
        else:
            cause, detail = find_cause(error, stage)
        hop = Hop("GitHub", "GITHUB_API_URL")
        if self._proxy is not None:
            name = f"the proxy {self._proxy.address}"
            hop = Hop(name if cause in OF_CONNECTING else f"GitHub (through {name})", self._proxy.variable)
        return Failure(stage, hop, cause, detail).explain()

    def pages(self, path: str, params: Mapping[str, str] | None = None, *, key: str | None = None) -> Iterator[Any]:
        """Yield the items of a list, over its pages, but not over more than `MAX_PAGES`.

        With `key`, each page is an object that has the items under this key.
        """
        for page in range(1, MAX_PAGES + 1):
            items = self.request("GET", path, params={**(params or {}), "per_page": str(PAGE), "page": str(page)})
            if key is not None:
                items = items.get(key) if isinstance(items, dict) else None
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise PostFailed(f"GitHub's answer to GET {path} is not a list of objects")
            yield from items
            if len(items) < PAGE:
                return

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON at a path, also after transient failures. Raises PostFailed."""
        return self.retry(lambda: self.request("GET", path, params=params))

    def list_all(self, path: str, *, key: str | None = None) -> list[Any]:
        """Return the items of a whole list, as `pages` does, also after transient failures.

        Raises PostFailed, also if there are too many to read: what is not read must not count as missing.
        """
        found = self.retry(lambda: list(self.pages(path, key=key)))
        if len(found) >= MAX_PAGES * PAGE:
            raise PostFailed(f"GitHub's list {path} has {len(found):,} items or more, too many to read")
        return found

    def retry(self, operation: Callable[[], Got]) -> Got:
        """Call the operation, again after a transient failure.

        Before it writes, the operation must look for what an earlier try left.
        """
        for failed in range(TRIES - 1):
            try:
                return operation()
            except TransientError as error:
                wait_s = 2.0**failed if error.wait_s is None else error.wait_s
            self._sleep(min(LONGEST_WAIT_S, wait_s))
        return operation()


def _read(method: str, path: str, answer: httpx.Response) -> bytes:
    """Return the decoded body.

    Raises PostFailed for one that is too large, TransientError for a slow or broken one.
    """
    from reconciler.io.http.coding import UndecodableBody, undo_codings

    sent, end = bytearray(), time.monotonic() + ANSWER_TIMEOUT_S
    for chunk in answer.iter_raw():
        sent += chunk
        if len(sent) > MAX_ANSWER_BYTES:
            raise _too_large(method, path, answer)
        if time.monotonic() > end:
            message = f"GitHub did not finish its answer to {method} {path} within {ANSWER_TIMEOUT_S:g} s"
            raise TransientError(message, answer.status_code)
    try:
        content = undo_codings(bytes(sent), answer.headers.get("content-encoding", ""), MAX_ANSWER_BYTES)
    except UndecodableBody as error:
        message = f"GitHub's answer to {method} {path} can't be decoded as {error.coding}"
        raise TransientError(message, answer.status_code) from None
    if content is None:
        raise _too_large(method, path, answer)
    return content


def _too_large(method: str, path: str, answer: httpx.Response) -> PostFailed:
    message = f"GitHub's answer to {method} {path} is larger than {MAX_ANSWER_BYTES >> 20} MiB"
    return PostFailed(message, answer.status_code)
