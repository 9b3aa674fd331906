"""Servers on loopback that send exactly the bytes of a test, and readers of requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Talk = Callable[[socket.socket], None]
"""What a server does with a connection; it is closed afterwards, over TLS without a close_notify."""


@contextlib.contextmanager
def server(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a listener that gives each connection to `talk`, one after another; yield its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, ssl.SSLError), connection:
                connection.settimeout(60)
                if tls is not None:
                    with tls.wrap_socket(connection, server_side=True) as wrapped:
                        talk(wrapped)
                else:
                    talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_head(connection: socket.socket) -> bytes:
    """Return a request's head and the bytes after it. Raises OSError if the client has disconnected."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    return data


def read_request(connection: socket.socket) -> bytes:
    """Return a whole request. Its body is as long as its Content-Length, which may be missing.

    Raises OSError if the client has disconnected.
    """
    head, _, body = read_head(connection).partition(b"\r\n\r\n")
    _, named, rest = head.lower().partition(b"content-length: ")
    length = int(rest.partition(b"\r\n")[0]) if named else 0
    while len(body) < length:
        body += _receive(connection)
    return head + b"\r\n\r\n" + body


def _receive(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise OSError("the client has gone")
    return chunk


def keep_silent(connection: socket.socket) -> None:
    """Read the request and wait until the client has closed the connection."""
    read_request(connection)
    connection.recv(1)


def answering(answer: bytes, seen: list[bytes] | None = None) -> Talk:
    """Read one request and send this answer."""

    def talk(connection: socket.socket) -> None:
        request = read_request(connection)
        if seen is not None:
            seen.append(request)
        connection.sendall(answer)

    return talk


def say_goodbye(connection: socket.socket) -> None:
    """Send TLS's close_notify."""
    assert isinstance(connection, ssl.SSLSocket)
    with contextlib.suppress(OSError, ValueError):  # the client closes without waiting for ours
        connection.unwrap()


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """Return an answer with a Content-Length, the body's or another."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def packed(coding: str, body: bytes) -> bytes:
    """Return a 200 with a body in this coding."""
    return http("200 OK", body, f"Content-Encoding: {coding}")
