"""A connection to one server. It sends a request in one piece, reads the answer, and notes the facts about both.

It uses h11's public Connection over anyio's streams. A transport is used by one worker at a time, as a shared pool
slows down with concurrency.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from collections.abc import Iterator

import anyio
import h11
import httpx
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from msgspec import Struct, field

from reconciler.core.answers import End
from reconciler.io.http import stream as streams
from reconciler.io.http.causes import Cause, Failure, Hop, Stage, WireError, find_cause, find_proxy_cause
from reconciler.io.http.proxy import Proxy

MAX_HEAD_BYTES = 64 * 1024
MAX_INTERIM = 100  # heads of 1xx before an answer
_NO_BODY = (204, 304)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")


class Exchange(Struct):
    """The facts about one request and its answer so far. The transport notes them, also if it raises.

    A request has it as its extension `exchange`.
    """

    hop: Hop  # the server that the transport talks to now
    stage: Stage = Stage.CONNECT
    reused: bool = False  # the connection had served a request before
    written_at: float | None = None  # a time of the monotonic clock; from then on a byte may have been sent
    answered: bool = False  # a byte of an answer arrived
    status: int | None = None  # of the final answer's status line
    end: End = End.CUT
    surplus: bool = False  # bytes came after the answer; the connection was closed

    @property
    def written(self) -> bool:
        """Return whether a byte of the request may have been sent."""
        return self.written_at is not None

    def failed(self, cause: Cause, detail: str = "") -> Failure:
        """Return a failure at the stage and the hop that were reached."""
        return Failure(self.stage, self.hop, cause, detail)


@contextlib.contextmanager
def _translated(exchange: Exchange) -> Iterator[None]:
    """Translate the errors of sockets, TLS and HTTP into WireError."""
    try:
        yield
    except WireError:
        raise
    except (
        OSError,  # ssl.SSLError too
        UnicodeError,
        anyio.BrokenResourceError,
        anyio.ClosedResourceError,
        anyio.EndOfStream,
        h11.ProtocolError,
    ) as error:
        raise WireError(exchange.failed(*find_cause(error, exchange.stage))) from error


class Transport(httpx.AsyncBaseTransport):
    """Requests to one server, over a connection that is kept as long as nothing arrives on it.

    A request's extensions: `exchange` gets the facts, `sni_hostname` is the name that the certificate must have
    (default: the URL's host), `target` the request target byte for byte (default: the URL's). Raises WireError.
    The socket is closed when a request fails or is cancelled, at every stage.
    """

    def __init__(self, tls: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._tls = tls
        self._proxy = proxy
        self._kept: _Connection | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer's head; the body is read from the response's stream."""
        exchange = request.extensions.get("exchange") or Exchange(Hop(request.url.host, "the URL"))
        server = exchange.hop
        connection = await self._take_kept()
        if connection is None:
            connection = _Connection(await self._open(request, exchange))
        else:
            exchange.reused = True
        exchange.hop = server
        try:
            with _translated(exchange):
                head = await connection.ask(request, exchange)
        except BaseException:  # a cancellation too
            await connection.close()
            raise
        return httpx.Response(
            head.status_code,
            headers=list(head.headers.raw_items()),
            stream=_Body(self, connection, exchange),
            extensions={"exchange": exchange},
        )

    async def aclose(self) -> None:
        """Close the connection that is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def _take_kept(self) -> _Connection | None:
        """Return the kept connection, unless the server has closed it or sent surplus bytes."""
        kept, self._kept = self._kept, None
        if kept is None or streams.is_quiet(kept.stream):
            return kept
        await kept.close()
        return None

    async def give_back(self, connection: _Connection, exchange: Exchange) -> None:
        """Take back a connection whose answer was read to its end, and keep it if it can be used again."""
        if connection.is_reusable(exchange):
            self._kept = connection
        else:
            await connection.close()

    # --- opening -----------------------------------------------------------------------------------

    async def _open(self, request: httpx.Request, exchange: Exchange) -> ByteStream:
        """Open a connection to the request's server, with TLS for https."""
        url, server = request.url, exchange.hop
        port = url.port or (443 if url.scheme == "https" else 80)
        name = str(request.extensions.get("sni_hostname") or url.host)
        with _translated(exchange):
            if self._proxy is None:
                exchange.stage = Stage.CONNECT
                stream = await streams.connect(url.host, port)
            else:
                stream = await self._open_tunnel(self._proxy, url.host, port, exchange)
            if url.scheme == "https":
                exchange.hop, exchange.stage = server, Stage.TLS
                stream = await streams.wrap_in_tls(stream, self._tls, name)
        return stream

    async def _open_tunnel(self, proxy: Proxy, host: str, port: int, exchange: Exchange) -> ByteStream:
        """Open a connection to a server through a proxy's CONNECT."""
        exchange.hop = Hop(f"the proxy {proxy.address}", proxy.variable)
        exchange.stage = Stage.CONNECT
        stream = await streams.connect(proxy.host, proxy.port)
        if proxy.scheme == "https":
            exchange.stage = Stage.TLS
            stream = await streams.wrap_in_tls(stream, self._tls, proxy.host)
        exchange.stage = Stage.PROXY
        try:
            await _ask_for_tunnel(stream, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", exchange)
        except BaseException:  # a cancellation too
            await streams.close(stream)
            raise
        return stream


async def _ask_for_tunnel(stream: ByteStream, proxy: Proxy, target: str, exchange: Exchange) -> None:
    connection = h11.Connection(h11.CLIENT, MAX_HEAD_BYTES)
    headers = [("Host", target)]
    if proxy.authorization is not None:
        headers.append(("Proxy-Authorization", proxy.authorization))
    request = connection.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
    await stream.send(request + (connection.send(h11.EndOfMessage()) or b""))
    while not isinstance(event := connection.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive())
    if not 200 <= event.status_code < 300:
        status = str(event.status_code)
        cause = find_proxy_cause(status, has_user=proxy.authorization is not None)
        raise WireError(exchange.failed(cause, status))
    if connection.trailing_data[0]:  # no server sends bytes before our TLS handshake
        raise WireError(exchange.failed(Cause.NOT_HTTP))


class _Connection(Struct):
    """A stream, and the state of the HTTP on it."""

    stream: ByteStream
    _http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD_BYTES))
    _closed_in_order: bool = False  # by a close_notify of TLS
    _ends_with_connection: bool = False  # neither a length nor chunks nor the status says where the body ends

    async def ask(self, request: httpx.Request, exchange: Exchange) -> h11.Response:
        """Send a request, head and body in one piece, and return the final answer's head."""
        exchange.stage = Stage.SEND
        data = self._encode(request)
        exchange.written_at = time.monotonic()
        try:
            await self.stream.send(data)
        except anyio.BrokenResourceError as error:
            # a server may answer and close before it has read the whole request; that answer counts
            with contextlib.suppress(WireError, anyio.BrokenResourceError):
                return await self._read_head(exchange)
            raise error from error.__cause__
        return await self._read_head(exchange)

    def _encode(self, request: httpx.Request) -> bytes:
        target = request.extensions.get("target") or request.url.raw_path
        head = h11.Request(method=request.method, target=target, headers=request.headers.raw)
        parts = [self._http.send(head)]
        if request.content:
            parts.append(self._http.send(h11.Data(data=request.content)))
        parts.append(self._http.send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)

    async def _read_head(self, exchange: Exchange) -> h11.Response:
        """Return the head of the final answer. The heads of 1xx answers before it are skipped."""
        exchange.stage = Stage.HEAD
        head, interim = b"", 0  # the bytes of the final answer's head so far, and the number of 1xx heads
        while interim <= MAX_INTERIM:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                self._note_head(event, exchange)
                return event
            if isinstance(event, h11.InformationalResponse):
                interim += 1
                head = self._http.trailing_data[0]
            elif event is h11.NEED_DATA:
                data = await self._receive()
                if not data:
                    raise WireError(exchange.failed(Cause.CUT if exchange.answered else Cause.CLOSED))
                exchange.answered = True
                head += data
                self._http.receive_data(data)
            else:
                break
            # also noted for a head that is cut, invalid or too large: for a 3xx or 4xx the status line is enough
            exchange.status = _read_status(head)
        raise WireError(exchange.failed(Cause.NOT_HTTP))

    def _note_head(self, head: h11.Response, exchange: Exchange) -> None:
        exchange.status = head.status_code
        exchange.stage = Stage.BODY
        framed = {name for name, _ in head.headers} & {b"content-length", b"transfer-encoding"}
        self._ends_with_connection = not framed and head.status_code not in _NO_BODY

    async def read_body(self, exchange: Exchange) -> bytes | None:
        """Return the next part of the body, None at its end. Notes in `exchange` how it ended."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                if not self._ends_with_connection:
                    exchange.end = End.CERTAIN
                return None
            if event is not h11.NEED_DATA:
                raise WireError(exchange.failed(Cause.NOT_HTTP))
            data = await self._receive()
            if not data and not self._ends_with_connection:
                raise WireError(exchange.failed(Cause.CUT))
            if not data:
                exchange.end = End.CERTAIN if self._closed_in_order else End.UNCERTAIN
            self._http.receive_data(data)

    async def _receive(self) -> bytes:
        """Return the next bytes; empty where the connection was closed, with or without a close_notify."""
        try:
            return await self.stream.receive()
        except anyio.EndOfStream:
            # over TLS this means a close_notify; over plain TCP it means nothing
            self._closed_in_order = isinstance(self.stream, TLSStream)
        except anyio.BrokenResourceError as error:
            if not _is_plain_end(error):
                raise
        return b""

    def is_reusable(self, exchange: Exchange) -> bool:
        """Return whether another request may follow: the connection is open, and no surplus bytes came."""
        exchange.surplus = bool(self._http.trailing_data[0])
        if exchange.surplus or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if not streams.is_quiet(self.stream):
            return False
        self._http.start_next_cycle()
        return True

    async def close(self) -> None:
        await streams.close(self.stream)


def _read_status(head: bytes) -> int | None:
    """Return the status of a final answer whose status line has arrived."""
    found = _STATUS_LINE.match(head)
    status = int(found[1]) if found else 0
    return status if status >= 200 else None


def _is_plain_end(error: anyio.BrokenResourceError) -> bool:
    """Return whether the connection just ended, without a close_notify, a reset or an error of TLS."""
    return isinstance(error.__cause__, ssl.SSLEOFError) or "UNEXPECTED_EOF" in str(
        getattr(error.__cause__, "reason", "")
    )


class _Body(httpx.AsyncByteStream):
    """The body of an answer. Closing it before its end closes the connection."""

    def __init__(self, transport: Transport, connection: _Connection, exchange: Exchange) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection
        self._exchange = exchange

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        try:
            with _translated(self._exchange):
                part = await connection.read_body(self._exchange)
        except BaseException:  # a cancellation too
            await self.aclose()
            raise
        if part is not None:
            return part
        self._connection = None
        await self._transport.give_back(connection, self._exchange)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
