"""Byte streams to a server. A cancellation while one is opened or wrapped in TLS leaves no socket open."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio.abc import AnyByteStream, ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

WHOLE_CHUNK_BYTES = 1 << 20  # more than one read of a socket returns, so that the library keeps no rest


class WholeChunks(ByteStream):
    """A socket that returns each chunk whole, whatever size was asked for.

    anyio keeps the rest of a chunk that is larger than was asked for, and neither the socket nor TLS shows that rest.
    So bytes after an answer would be read as the next answer.
    """

    def __init__(self, socket_stream: SocketStream) -> None:
        self._socket_stream = socket_stream
        # asked for once: anyio makes them anew each time, with system calls, and every request needs the socket twice
        self._extra_attributes = dict(socket_stream.extra_attributes)

    async def receive(self, max_bytes: int = WHOLE_CHUNK_BYTES) -> bytes:
        return await self._socket_stream.receive(max(max_bytes, WHOLE_CHUNK_BYTES))

    async def send(self, item: bytes) -> None:
        await self._socket_stream.send(item)

    async def send_eof(self) -> None:
        await self._socket_stream.send_eof()

    async def aclose(self) -> None:
        await self._socket_stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._extra_attributes


async def connect(host: str, port: int) -> ByteStream:
    """Connect to a name or an address. Raises OSError, or UnicodeError for a name that can't be looked up."""
    return WholeChunks(await anyio.connect_tcp(host, port))


async def wrap_in_tls(stream: ByteStream, context: ssl.SSLContext, name: str) -> TLSStream:
    """Wrap a stream in TLS, and close it if the handshake fails. Raises OSError or an error of anyio."""
    try:
        return await TLSStream.wrap(
            stream, server_side=False, hostname=name, ssl_context=context, standard_compatible=True
        )
    except BaseException:  # a cancellation too
        await close(stream)
        raise


async def close(stream: ByteStream) -> None:
    """Close the socket at once, without a close_notify of TLS, which a silent server would not answer."""
    try:
        await anyio.aclose_forcefully(stream)
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # it is closed; the request that used it reports why it failed


def is_quiet(stream: ByteStream) -> bool:
    """Return whether a kept connection is open and nothing has arrived on it.

    Bytes that have arrived are surplus: they would be read as the answer to the next request.
    """
    layer: AnyByteStream = stream
    while isinstance(layer, TLSStream):  # there are two layers if the proxy itself speaks TLS
        if not _has_nothing_to_read(layer.extra(TLSAttribute.ssl_object)):
            return False
        layer = layer.transport_stream
    return not _is_readable(stream.extra(SocketAttribute.raw_socket))


def _has_nothing_to_read(ssl_object: ssl.SSLObject) -> bool:
    """Return whether TLS has no unread bytes and has not seen an end."""
    try:
        ssl_object.read(1)
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        return False
    return False


def _is_readable(raw_socket: socket.socket) -> bool:
    """Return whether bytes, or the end of the connection, are waiting in the system's buffer."""
    if raw_socket.fileno() < 0:
        return True
    if hasattr(select, "poll"):  # `select` takes no descriptor above 1023
        poll = select.poll()
        poll.register(raw_socket, select.POLLIN)
        return bool(poll.poll(0))
    readable, _, _ = select.select([raw_socket], [], [], 0)
    return bool(readable)
