"""A receiver over real TLS on loopback, behaving as its request's path says, and recording what arrives."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import trustme

# The server name that a client asked for in its TLS handshake, while its connection exists.
ASKED_FOR: weakref.WeakKeyDictionary[ssl.SSLSocket | ssl.SSLObject, str | None] = weakref.WeakKeyDictionary()

GIGABYTES = 1 << 32


@dataclass(frozen=True)
class Received:
    """`target` byte for byte, header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    sni: str | None
    connection: int


@dataclass
class Receiver:
    """A receiver. The end of the path decides its answer, see `_answer`; 200 by default.

    `connections` counts those accepted; `goodbyes` makes it close a kept connection after so many answers.
    """

    port: int = 0
    tls: ssl.SSLContext | None = None
    speaks: bool = True  # False: it accepts connections and sends nothing.
    goodbyes: int | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    sent_bytes: int = 0  # of floods
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection, self.connections), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(60)
            if not self.speaks:
                self.stopping.wait(60)
                return
            if self.tls is None:
                self._serve_requests(connection, number, None)
                return
            with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                self._serve_requests(wrapped, number, ASKED_FOR.get(wrapped))

    def _serve_requests(self, connection: socket.socket, number: int, sni: str | None) -> None:
        answered = 0
        with connection.makefile("rb") as reader:
            while answered != self.goodbyes:  # The client notices the close only when it uses the connection again.
                request = self._read(reader, number, sni)
                if request is None:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    return
                with self._lock:
                    self.requests.append(request)
                if not self._answer(connection, request.target, request.body):
                    return
                answered += 1

    def _read(self, reader: BinaryIO, number: int, sni: str | None) -> Received | None:
        first = reader.read(1).decode("latin-1")
        if first != "\x16":  # where a TLS handshake begins
            first += reader.readline().decode("latin-1").rstrip("\r\n")
        if first.count(" ") != 2:
            return None
        method, target, _ = first.split(" ")
        headers = {}
        while (line := reader.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        return Received(method, target, headers, body, sni, number)

    def _answer(self, connection: socket.socket, target: str, body: bytes) -> bool:
        """Return whether the connection stays open."""
        path = target.partition("?")[0]
        if path.endswith("/hang"):
            self.stopping.wait(60)
            return False
        if path.endswith("/slow"):
            time.sleep(0.3)
        if path.endswith("/drip"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            self.stopping.wait(60)
            return False
        if path.endswith("/cut"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        if path.endswith("/junk"):
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            return False
        if path.endswith("/mute"):
            return False
        if path.endswith("/reset"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if path.endswith("/flood"):
            self._flood(connection)
            return False
        status, headers, content = 200, "", b""
        if path[-4:-3] == "/" and path[-3:].isdigit():
            status = int(path[-3:])
            headers = f"Location: {target}x\r\n"
        if path.endswith("/echo"):
            # everything that a careless server may throw back, in the body and in a header
            status, content = 500, target.encode() + body
            headers = f"X-Echo: {target}\r\nSet-Cookie: echo={target.replace(';', '')}\r\n"
        head = f"HTTP/1.1 {status} {target if path.endswith('/echo') else 'Said'}\r\n{headers}"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content)
        return True

    def _flood(self, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTES}\r\n\r\n".encode())
        chunk = b"x" * 65536
        while self.sent_bytes < GIGABYTES and not self.stopping.is_set():
            connection.sendall(chunk)
            self.sent_bytes += len(chunk)


class Authority:
    """A private certificate authority, and receivers with its certificates."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def context(self, *names: str, days: float = 90, begins_in_days: float = -400) -> ssl.SSLContext:
        now = datetime.now(UTC)
        certificate = self._ca.issue_cert(
            *(names or ("localhost",)),
            not_before=now + timedelta(days=begins_in_days),
            not_after=now + timedelta(days=days),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        context.sni_callback = _note_name
        return context


def _note_name(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    ASKED_FOR[connection] = name


@contextlib.contextmanager
def serve_receiver(tls: ssl.SSLContext | None, **how: Any) -> Iterator[Receiver]:
    """Run a receiver for the duration of a `with` block."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    receiver = Receiver(port=listener.getsockname()[1], tls=tls, **how)
    thread = threading.Thread(target=receiver.serve, args=(listener,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
