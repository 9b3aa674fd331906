"""Requests that hold tokens and secrets: kept connections, and a `send` that returns every failure as data."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - see `__aenter__`
import logging
import ssl
import time
from collections.abc import Hashable, Mapping
from types import TracebackType

import anyio
import httpx
from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.answers import MAX_ANSWER_BYTES, Arrived, End
from reconciler.io.http.causes import Cause, Failure, Hop, WireError
from reconciler.io.http.coding import UndecodableBody, undo_codings
from reconciler.io.http.proxy import Proxy, find_proxy
from reconciler.io.http.tls import make_tls_context
from reconciler.io.http.transport import Exchange, Transport
from reconciler.text.counts import digits

logger = logging.getLogger(__name__)


class Reply(Struct, frozen=True):
    """The result of one request. `failure` is None if the answer was read to its end, or to the limit."""

    arrived: Arrived
    exchange: Exchange
    headers: httpx.Headers
    ended_at: float  # of the monotonic clock
    failure: Failure | None

    @property
    def latency_s(self) -> float | None:
        """Return the time from the request's first byte to the answer's last byte; None if nothing was written."""
        began_at = self.exchange.written_at
        return None if began_at is None else round(self.ended_at - began_at, 3)


class Connections:
    """Sends requests over connections that are kept, each used by one request at a time.

    A shared pool slows down with concurrency, so there is one connection for each worker; all share one TLS context.
    `environ` holds the proxy variables; without it no proxy is used. Entering raises InputError where SSL_CERT_FILE or
    SSL_CERT_DIR can't be read.
    """

    def __init__(self, environ: Mapping[str, str] | None, *, timeout_s: float, system_roots: bool = False) -> None:
        self._environ = environ
        self._timeout_s = timeout_s
        self._system_roots = system_roots
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[Hashable, list[Transport]] = {}

    async def __aenter__(self) -> Connections:
        # The TLS context is made, and all modules are loaded (the threads that resolve names, and anyio's part for
        # asyncio), before the first request takes its slot of the rate limit. Otherwise the first request would be
        # sent late, and the server would see one request too many in its first second.
        self._tls = make_tls_context(system_roots=self._system_roots)
        await anyio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in list(self._idle):
            await self.leave(key)

    @property
    def tls(self) -> ssl.SSLContext:
        """Return the context that all connections share."""
        assert self._tls is not None, "the context manager was entered"
        return self._tls

    @property
    def shown_timeout(self) -> str:
        """Return the timeout of one request as messages show it."""
        return f"{digits(self._timeout_s)} s"

    async def leave(self, key: Hashable) -> None:
        """Close the idle connections of a key."""
        for transport in self._idle.pop(key, ()):
            await transport.aclose()

    async def send(self, request: httpx.Request, hop: Hop, key: Hashable = None, *, fresh: bool = False) -> Reply:
        """Send a request within the timeout, and read its answer up to MAX_ANSWER_BYTES.

        `hop` names the server in messages. Requests with the same `key` may share a connection; the default is the
        URL's scheme, host and port. `fresh` asks for a new connection. Raises UnusableProxy; an error of the network or
        the server is in the reply.
        """
        url = request.url
        key = (url.scheme, url.host, url.port) if key is None else key
        idle = self._idle.setdefault(key, [])
        transport = idle.pop() if idle else Transport(self.tls, self._find_proxy(url))
        try:
            if fresh:
                await transport.aclose()
            return await self._send(transport, request, Exchange(hop))
        finally:
            idle.append(transport)

    def _find_proxy(self, url: httpx.URL) -> Proxy | None:
        return None if self._environ is None else find_proxy(str(url), self._environ)

    async def _send(self, transport: Transport, request: httpx.Request, exchange: Exchange) -> Reply:
        request.extensions["exchange"] = exchange
        begun = time.monotonic()
        body: bytes | None = b""
        headers, failure = httpx.Headers(), None
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await transport.handle_async_request(request)
                headers = response.headers
                body = await _read_limited(response)
        except TimeoutError:
            failure = exchange.failed(Cause.TIMEOUT, self.shown_timeout)
        except WireError as error:
            failure = error.failure
        ended_at = time.monotonic()
        _log(request, exchange, failure, ended_at - begun)
        # after a failure the body is not complete, even if the transport saw its end
        end = exchange.end if failure is None else End.CUT
        arrived = Arrived(exchange.status, end, body)
        return Reply(_undo_codings(arrived, headers), exchange, headers, ended_at, failure)


async def _read_limited(response: httpx.Response) -> bytes | None:
    """Return the body as it was sent; None if it is longer than the limit."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = bytearray()
    try:
        async for part in response.stream:
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                return None
    finally:
        await response.aclose()
    return bytes(body)


def _undo_codings(arrived: Arrived, headers: httpx.Headers) -> Arrived:
    coding = headers.get("content-encoding", "")
    if not coding or arrived.body is None:
        return arrived
    try:
        return replace(arrived, body=undo_codings(arrived.body, coding, MAX_ANSWER_BYTES))
    except UndecodableBody as error:
        return replace(arrived, undecodable=error.coding)


def _log(request: httpx.Request, exchange: Exchange, failure: Failure | None, seconds: float) -> None:
    """Log method, host, status and time, but not the path and the query, which may hold secrets."""
    if not logger.isEnabledFor(logging.INFO):
        return
    outcome = failure.describe() if failure else str(exchange.status)
    kept = ", kept connection" if exchange.reused else ""
    logger.info("%s %s: %s, %.3f s%s", request.method, request.headers.get("host"), outcome, seconds, kept)
