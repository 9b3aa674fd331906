"""Connections for those who send a token: one for each worker, with no setting of the machine's but its proxies."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from reconciler.errors import InputError
from reconciler.io.http.opening import Opening
from reconciler.io.http.proxy import UnusableProxy, find_proxy


class Connection:
    """httpx's transport, without the client around it.

    The client would merge headers, follow redirects, ask for authentication, and keep one company's cookies for the
    next one: nothing of it is wanted, and it costs as much as all the rest of a request's own making.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self._transport = transport
        self._url: tuple[str, httpx.URL] | None = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        extensions: Mapping[str, Any] = MappingProxyType({}),
    ) -> httpx.Response:
        """The answer's head; its body is still to be read, and the answer to be closed. Raises httpx.HTTPError."""
        if self._url is None or self._url[0] != url:
            self._url = url, httpx.URL(url)
        opening = Opening(extensions.get("trace"))
        watched = {**extensions, "trace": opening.trace}
        request = httpx.Request(method, self._url[1], headers=headers, content=content, extensions=watched)
        try:
            return await self._transport.handle_async_request(request)
        except BaseException:  # the caller's limit of time is a cancellation
            await opening.close()
            raise

    async def drop_if_ahead(self) -> None:
        """Closes it where the server has said more than it was asked: it would be taken for the next answer, which is
        another company's."""
        for connection in getattr(self._transport, "_pool").connections:  # noqa: B009 - httpx shows it to nobody
            state = getattr(getattr(connection, "_connection", None), "_h11_state", None)
            if state is not None and state.trailing_data[0]:
                await connection.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()


class Connections:
    """Lends connections, each to one borrower at a time.

    A shared pool slows down with concurrency, so there is one per worker; they share one TLS context, whose making
    costs more than ten requests. Entering it raises InputError where SSL_CERT_FILE or SSL_CERT_DIR name what can't be
    read.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[str, list[Connection]] = {}
        self._all: list[Connection] = []

    async def __aenter__(self) -> Connections:
        # made before the first send takes its slot of the rate limit
        try:
            self._tls = httpx.create_ssl_context()  # certifi's roots, or those of SSL_CERT_FILE or SSL_CERT_DIR
            # of SSLKEYLOGFILE: with the keys in there a record of the wire shows the tokens
            self._tls.keylog_filename = None  # type: ignore[assignment]
        except OSError as error:  # ssl.SSLError too
            message = "SSL_CERT_FILE or SSL_CERT_DIR: no certificates can be read there (unset it, or mend the path)"
            raise InputError(message) from error
        await _load_libraries()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._all:
            await connection.aclose()

    @contextmanager
    def borrow(self, url: str) -> Iterator[Connection]:
        """A connection to the URL's host. Its borrower sets the limits of time. Raises UnusableProxy."""
        parts = urlsplit(url)
        idle = self._idle.setdefault(f"{parts.scheme}://{parts.netloc}", [])
        connection = idle.pop() if idle else self._connect(url)
        try:
            yield connection
        finally:
            idle.append(connection)

    def _connect(self, url: str) -> Connection:
        try:
            transport = httpx.AsyncHTTPTransport(
                verify=self._tls or True,
                proxy=find_proxy(url, self._environ),
                trust_env=False,  # proxies are chosen above
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            raise UnusableProxy from None
        connection = Connection(transport)
        self._all.append(connection)
        return connection


async def _load_libraries() -> None:
    """What httpx loads with its first send: that would leave 50 ms after its slot of the rate limit, and the first
    second at the server would hold one more than the limit."""
    import anyio
    import httpcore  # noqa: F401 - for its being loaded

    await anyio.sleep(0)  # loads what it has for asyncio
