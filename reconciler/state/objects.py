"""State in an object store: S3, Google Cloud Storage, Azure (docs/state.md).

The compare-and-swap is the store's own: If-None-Match for a first document, If-Match with the ETag that was read
for all later ones. An ETag may be only a hash of the content. Because of the serial no two documents have the same
content, so no two versions have the same ETag.

Object stores have no conditional delete, so a forgotten document is overwritten, conditionally, with a tombstone, which
is never removed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from reconciler.core.urls import is_loopback_url
from reconciler.errors import Conflict, Corrupt, InputError, NewerFormat, StateError, Unreachable
from reconciler.io.progress import counted
from reconciler.model import Original, Problem, Snapshot, Stored
from reconciler.ports import Changes, Shrink, Write, WriteAccess, WriteResult, keep_head
from reconciler.state.changes import Found, find_changes
from reconciler.state.document import (
    MAX_BYTES,
    SUFFIX,
    decode_document,
    decode_head,
    decode_original,
    encode_write,
    make_too_large,
    read_each,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Client

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

RETRY_FOR = timedelta(seconds=60)
PARALLEL = 64  # requests at a time; a round trip takes tens of milliseconds
TOMBSTONE = "reconciler.state/1 forgotten"
MAX_TOMBSTONE_BYTES = 127  # smaller than any document, so the sizes in a list show which objects may be tombstones
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_STATUS = re.compile(r"status code: ([0-9]{3})\b")  # in the text of the library's errors
# parts of the library's errors without a status, the most specific first
_NO_ANSWER = {
    "ConnectionRefused": "connection refused",
    "dns error": "its name was not found",
    "NetworkUnreachable": "no route to it",
    "HostUnreachable": "no route to it",
    "kind: Timeout": "it did not answer in time",
    "kind: Connect": "no connection, or no TLS",
    "kind: Request": "the connection broke",
}
_VARIABLES = {
    "s3": "check AWS_REGION, AWS_ENDPOINT_URL and the other AWS_ variables",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS must name a key file that can be read, or be unset",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or the variables of a service principal",
}


class ObjectStore:
    """Objects `<environment>.json` below `url`, as in s3://bucket/prefix. Requests run at the same time."""

    def __init__(self, url: str, *, environ: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._environ = os.environ if environ is None else environ
        self._client = self._open()
        self._pool = ThreadPoolExecutor(PARALLEL, "objects")  # threads are begun when they are needed
        self._tombstones: dict[str, str] = {}  # name -> ETag, as last seen
        self._written: set[tuple[str, str | None]] = set()  # name and mark of each version that this object wrote

    def _open(self) -> Client:
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError as error:
            scheme = urlsplit(self._url).scheme
            from reconciler.io.installed import describe_extra_install  # late: only this error needs it

            install = describe_extra_install("objects")
            problem = Problem.of("state", f"{scheme}:// needs an extra of the package", f"install it: {install}")
            raise InputError(problems=[problem]) from error
        options: Any = {"timeout": "30s"}
        endpoint = next((self._environ[name] for name in _ENDPOINTS if self._environ.get(name)), "")
        if is_loopback_url(endpoint):
            options["allow_http"] = True
        try:
            # the retry of a conditional write may conflict with its own first attempt: see `_put`
            retries: Any = {"max_retries": 3, "retry_timeout": RETRY_FOR}
            return from_url(self._url, client_options=options, retry_config=retries)
        except (BaseError, ValueError) as error:
            # the library's message may hold a credential, so it is not repeated
            scheme = urlsplit(self._url).scheme
            message = f"{scheme}:// can't be opened with the variables that are set"
            raise InputError.of("state", message, _VARIABLES.get(scheme, "")) from error

    @property
    def location(self) -> str:
        return self._url

    @property
    def identity(self) -> str:
        return self._url

    @property
    def gather_s(self) -> float:
        return 0.0

    @property
    def is_remote(self) -> bool:
        return True

    def close(self) -> None:
        """Let the threads end. Connections end with the process."""
        self._pool.shutdown(wait=False)

    # --- reading -----------------------------------------------------------------------------------

    def find_near(self) -> str | None:
        """Return None: a bucket may have very many prefixes, and credentials often can't list the others."""
        return None

    def find_write_access(self) -> WriteAccess:
        """Return that it is unknown: an object store shows it only at a write."""
        return WriteAccess(None, "an object store shows it only at the first write", "allow it to put and get objects")

    def names(self) -> frozenset[str]:
        found = self._list()
        small = [name for name, entry in found.items() if entry["size"] <= MAX_TOMBSTONE_BYTES]
        contents = self._map(self._get_document, small)
        return frozenset(found) - {name for name, content in zip(small, contents, strict=True) if content is None}

    def _list(self) -> dict[str, ObjectMeta]:
        """Return the objects that are named like a document: documents and tombstones."""
        import obstore

        found: dict[str, ObjectMeta] = {}
        for page in self._translated(lambda: list(obstore.list(self._client))):
            for entry in page:
                path = entry["path"]
                if "/" not in path and path.endswith(SUFFIX) and not path.startswith("."):
                    found[path.removesuffix(SUFFIX)] = entry
        logger.info("state: %s: listed %d documents", self._url, len(found))
        return found

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        def decode(name: str, data: bytes, etag: str) -> Stored:
            return decode_document(data, environment=name, where=self._address(name), version=etag)

        return self._read_each(environments, decode)

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        def decode(name: str, data: bytes, etag: str) -> Original:
            return decode_original(data, environment=name, where=self._address(name), version=etag)

        return self._read_each(environments, decode)

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        marks = {name: _make_mark(entry["e_tag"]) for name, entry in self._list().items()}
        if since is not None:  # the caller knows what this object wrote
            ours = {name: mark for name, mark in marks.items() if (name, mark) in self._written}
            since = Snapshot({**since.marks, **ours}, since.epoch)
        found = find_changes(since, marks, None, lambda changed: self._map(self._read_head, changed), shrink)
        logger.info("state: %s: read %d of %d documents", self._url, len(found.heads), len(marks))
        return found

    def _read_head(self, name: str) -> Found:
        """Return a head, or the fault of its document. Raises Unreachable, which concerns the whole store."""
        try:
            found = self._get_document(name)
            if found is None:
                return None
            head = decode_head(found[0], environment=name, where=self._address(name), version=found[1])
            return head, _make_mark(found[1])
        except (Corrupt, NewerFormat) as fault:
            return fault

    def _address(self, name: str) -> str:
        return f"{self._url}/{name}{SUFFIX}"

    def _read_each(self, environments: Iterable[str], decode: Callable[[str, bytes, str], T]) -> dict[str, T]:
        wanted = list(environments)
        found = dict(zip(wanted, self._map(self._get_or_refuse, wanted), strict=True))

        def read_one(name: str) -> T | None:
            one = found[name]
            if isinstance(one, Corrupt):
                raise one
            return None if one is None else decode(name, *one)

        documents = read_each(wanted, read_one)
        logger.info("state: %s: read %d documents", self._url, len(documents))
        return documents

    def _get_or_refuse(self, name: str) -> tuple[bytes, str] | Corrupt | None:
        """Return the error of one document as a value, so that the others can be read and named too."""
        try:
            return self._get_document(name)
        except Corrupt as fault:
            return fault

    def _get_document(self, name: str) -> tuple[bytes, str] | None:
        """Return content and ETag; None if there is no document. The ETag of a tombstone is kept for a later write."""
        found = self._get(name)
        if found is not None and _is_tombstone(found[0]):
            self._tombstones[name] = found[1]
            return None
        return found

    def _get(self, name: str) -> tuple[bytes, str] | None:
        """Return content and ETag; None if there is no such object. Raises Corrupt for one that is too large."""
        import obstore

        try:
            result = self._translated(lambda: obstore.get(self._client, f"{name}{SUFFIX}"), missing=True)
        except FileNotFoundError:
            return None
        etag = result.meta["e_tag"]
        if etag is None:
            raise Unreachable(f"state: {self._url}: the store gives no ETag, so no write could be made safe")
        if result.meta["size"] > MAX_BYTES:
            del result  # the error's traceback would keep it, and with it the connection, open
            raise make_too_large(name, self._address(name), etag)
        return self._translated(lambda: bytes(result.bytes())), etag

    # --- writing -----------------------------------------------------------------------------------

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        results = self._map(self._write_one, list(writes))
        written = sum(1 for result in results if result.error is None)
        logger.info("state: %s: wrote %d of %d documents", self._url, written, len(results))
        return results

    def _write_one(self, write: Write) -> WriteResult:
        try:
            return self._put(write)
        except StateError as fault:
            return WriteResult(write.environment, None, fault)

    def _put(self, write: Write) -> WriteResult:
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        name = write.environment
        data = encode_write(write) or _make_tombstone()
        expected = write.expected or self._tombstones.get(name)
        mode: Any = "create" if expected is None else {"e_tag": expected}
        try:
            result = obstore.put(self._client, f"{name}{SUFFIX}", data, mode=mode, use_multipart=False)
        except (BaseError, FileNotFoundError) as error:
            # the answer was lost, or a retry conflicted with its own first attempt: look whether our bytes are stored
            found = self._get(name)
            if found is not None and found[0] == data:
                return self._done(write, found[1])
            if isinstance(error, AlreadyExistsError | PreconditionError):
                if found is not None and _is_tombstone(found[0]):
                    self._tombstones[name] = found[1]
                raise Conflict(name) from error
            raise self._unreachable(error) from error
        etag = result["e_tag"]
        if etag is None:
            raise Unreachable(f"state: {self._url}: the store gives no ETag, so no write could be made safe")
        return self._done(write, etag)

    def _done(self, write: Write, etag: str) -> WriteResult:
        self._written.add((write.environment, _make_mark(etag)))
        if write.document is None:
            self._tombstones[write.environment] = etag
            return WriteResult(write.environment, None)
        self._tombstones.pop(write.environment, None)
        return WriteResult(write.environment, etag)

    # --- requests ----------------------------------------------------------------------------------

    def _map(self, call: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if len(items) < 2:
            return [call(item) for item in items]
        return list(counted(self._pool.map(call, items), len(items)))

    def _translated(self, call: Callable[[], R], *, missing: bool = False) -> R:
        """Translate the library's errors into Unreachable, but raise FileNotFoundError if `missing` is expected."""
        from obstore.exceptions import BaseError

        try:
            return call()
        except (BaseError, FileNotFoundError) as error:
            if missing and isinstance(error, FileNotFoundError):
                raise
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        kind = type(error).__name__
        # a list that fails is a GenericError for any reason, and only its text has the status. Nothing else of the text
        # is reported: it holds addresses, and what the server answered
        found = _STATUS.search(str(error))
        status = found[1] if found else ""
        if status in ("401", "403") or kind in ("PermissionDeniedError", "UnauthenticatedError"):
            what = "the store refuses our credentials. It needs to list, read and write objects there"
        elif status == "404" or kind in ("NotFoundError", "FileNotFoundError"):
            what = "there is no such bucket. Create it, or fix the `state` setting"
        else:
            reason = next((words for part, words in _NO_ANSWER.items() if part in str(error)), "")
            shown = f" (status {status})" if status else ""
            failed = f"the store did not answer as it should{shown}"
            if reason and not status:
                failed = f"the store can't be reached: {reason}"
            what = f"{failed}. Check bucket, endpoint, region and network"
        return Unreachable(f"state: {self._url}: {what}")


def _make_mark(etag: str | None) -> str | None:
    """Return an ETag as it is compared: Azure lists it without the quotes that it has in the answer to a read."""
    return None if etag is None else etag.strip('"')


def _make_tombstone() -> bytes:
    """Return a tombstone. Each has its own id, so that no two have the same ETag."""
    return json.dumps({"format": TOMBSTONE, "id": uuid.uuid4().hex}).encode()


def _is_tombstone(data: bytes) -> bool:
    return len(data) <= MAX_TOMBSTONE_BYTES and TOMBSTONE.encode() in data
