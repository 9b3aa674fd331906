"""The transport over real sockets: the facts of each exchange, one write for a request, and no socket left open."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from reconciler.core.answers import End
from reconciler.io.http.causes import Cause, Hop, Stage
from reconciler.io.http.client import Connections, Reply
from tests.receiver import Authority
from tests.wire import Talk, answering, http, read_request, say_goodbye, server

HOP = Hop("Plug", "api.base_url")
OK = http("200 OK", b"{}")
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def tls(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, whose authority is trusted in this test."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority.context("localhost")


def send(url: str, *, times: int = 1, timeout_s: float = 5, pause_s: float = 0.0, body: bytes = b"{}") -> list[Reply]:
    """Send PUTs one after another over one worker's connection."""

    async def run() -> list[Reply]:
        replies = []
        async with Connections({}, timeout_s=timeout_s) as connections:
            for _ in range(times):
                request = httpx.Request("PUT", url, headers={"Authorization": "t"}, content=body)
                replies.append(await connections.send(request, HOP))
                await asyncio.sleep(pause_s)
        return replies

    replies = asyncio.run(run())
    gc.collect()  # a socket that was left open would be a warning, which is an error
    return replies


def talk_to(talk: Talk, tls: ssl.SSLContext | None = None, **how: float) -> Reply:
    with server(talk, tls) as port:
        (reply,) = send(f"{'https' if tls else 'http'}://localhost:{port}/", **how)  # type: ignore[arg-type]
    return reply


def saying(*answers: bytes, goodbye: bool = False) -> Talk:
    """Read one request, then write each answer, then end; over TLS with or without a close_notify."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        for answer in answers:
            connection.sendall(answer)
            time.sleep(0.01)
        if goodbye:
            say_goodbye(connection)

    return talk


# --- how an answer ends --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "end", "cause"),
    [
        (OK, End.CERTAIN, None),
        (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", End.CERTAIN, None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", End.CERTAIN, None),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", End.CERTAIN, None),
        (UNFRAMED + b"{}", End.UNCERTAIN, None),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", End.UNCERTAIN, None),
        (UNFRAMED, End.UNCERTAIN, None),
        (http("200 OK", b"{}", length=3), End.CUT, Cause.CUT),
        (CHUNKED + b"2\r\n{}\r\n", End.CUT, Cause.CUT),
        (CHUNKED + b"9\r\n{}", End.CUT, Cause.CUT),
        (CHUNKED + b"x\r\n", End.CUT, Cause.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nContent-Le", End.CUT, Cause.CUT),
        (b"", End.CUT, Cause.CLOSED),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", End.CUT, Cause.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n", End.CUT, Cause.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000, End.CUT, Cause.NOT_HTTP),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", End.CUT, Cause.NOT_HTTP),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 200, End.CUT, Cause.NOT_HTTP),
    ],
)
def test_the_end_of_an_answer_over_plain_tcp(answer: bytes, end: End, cause: Cause | None) -> None:
    """The end of a connection alone is never certain."""
    reply = talk_to(saying(answer))
    assert (reply.arrived.end, reply.failure and reply.failure.cause) == (end, cause)


@pytest.mark.parametrize(
    ("answer", "goodbye", "end", "cause"),
    [
        (UNFRAMED + b"<html>", True, End.CERTAIN, None),
        (UNFRAMED + b"<html>", False, End.UNCERTAIN, None),
        (UNFRAMED, True, End.CERTAIN, None),
        (UNFRAMED, False, End.UNCERTAIN, None),
        (OK, False, End.CERTAIN, None),
        (http("200 OK", b"{}", length=3), True, End.CUT, Cause.CUT),
        (http("200 OK", b"{}", length=3), False, End.CUT, Cause.CUT),
        (CHUNKED + b"2\r\n{}\r\n", True, End.CUT, Cause.CUT),
        (b"", True, End.CUT, Cause.CLOSED),
        (b"", False, End.CUT, Cause.CLOSED),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_end_of_an_answer_over_tls(
    tls: ssl.SSLContext, version: ssl.TLSVersion, answer: bytes, goodbye: bool, end: End, cause: Cause | None
) -> None:
    """A close_notify makes the end certain; without it the answer may be cut."""
    tls.minimum_version = tls.maximum_version = version
    reply = talk_to(saying(answer, goodbye=goodbye), tls)
    assert (reply.arrived.end, reply.failure and reply.failure.cause) == (end, cause)


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_reset_is_never_an_end(with_tls: bool, tls: ssl.SSLContext) -> None:
    """This holds also for a body without a length."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(UNFRAMED + b"{}")
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    reply = talk_to(talk, tls if with_tls else None)
    assert (reply.arrived.status, reply.arrived.end) == (200, End.CUT)
    assert reply.failure is not None
    assert (reply.failure.cause, reply.failure.stage) == (Cause.RESET, Stage.BODY)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,), 200),
        ((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\nX", b""), 400),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), None),
        ((b"HTTP/1.1 4", b"00 Bad", b" Request\r\nX"), 400),
        ((b"HTTP/1.1 400 Bad Request",), None),
        ((b"HTTP/1.1 599\r\nX",), 599),
        ((b"HTTP/1.1 000 \r\n",), None),
    ],
)
def test_the_status_is_the_final_answers(answers: Sequence[bytes], status: int | None) -> None:
    """It is known once its line has arrived, whatever happens to the rest."""
    assert talk_to(saying(*answers)).arrived.status == status


@pytest.mark.posix
def test_an_answer_before_the_request_was_read_counts() -> None:
    """The server closes without reading on: the write may fail, but its answer is read."""

    def talk(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(http("413 Too Large"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    assert talk_to(talk, body=b"x" * 8_000_000).arrived.status == 413  # type: ignore[arg-type]


def test_a_server_that_reads_slowly_gets_the_whole_request() -> None:
    """Its answer counts."""
    read: list[int] = []

    def talk(connection: socket.socket) -> None:
        while sum(read) < 6_000_000:
            read.append(len(connection.recv(65536)))
            time.sleep(0.001)
        connection.sendall(OK)

    reply = talk_to(talk, body=b"x" * 6_000_000, timeout_s=20)  # type: ignore[arg-type]
    assert (reply.arrived.status, reply.failure) == (200, None)


# --- what leaves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_request_is_written_in_one_piece(with_tls: bool, tls: ssl.SSLContext) -> None:
    """Its head and body arrive in one read."""
    first: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        first.append(connection.recv(65536))
        connection.sendall(OK)

    assert talk_to(talk, tls if with_tls else None).failure is None
    (request,) = first
    assert request.startswith(b"PUT / HTTP/1.1\r\nHost: localhost:")
    assert request.endswith(b"\r\nAuthorization: t\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("header", ["a\nb", "a\0b"])
def test_a_header_that_is_invalid_in_http_is_not_sent(header: str) -> None:
    """No byte of the request is sent."""

    async def run(port: int) -> Reply:
        async with Connections({}, timeout_s=5) as connections:
            request = httpx.Request("PUT", f"http://localhost:{port}/", headers={"X": header})
            return await connections.send(request, HOP)

    with server(answering(OK)) as port:
        reply = asyncio.run(run(port))
    assert reply.failure is not None
    assert (reply.failure.cause, reply.exchange.written) == (Cause.UNSENDABLE, False)


# --- kept connections ----------------------------------------------------------------------------------


class Counting:
    """Serves connections one after another, and counts them.

    `answers` are for the requests of each connection.
    """

    def __init__(self, *answers: bytes, goodbye: bool = False) -> None:
        self.connections = 0
        self._answers = answers
        self._goodbye = goodbye

    def __call__(self, connection: socket.socket) -> None:
        self.connections += 1
        for answer in self._answers:
            read_request(connection)
            connection.sendall(answer)
        if self._goodbye:
            say_goodbye(connection)


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_quiet_connection_is_kept(with_tls: bool, tls: ssl.SSLContext) -> None:
    """It serves as many requests as the server takes."""
    talk = Counting(*[OK] * 3)
    with server(talk, tls if with_tls else None) as port:
        replies = send(f"{'https' if with_tls else 'http'}://localhost:{port}/", times=3)
    assert [reply.exchange.reused for reply in replies] == [False, True, True]
    assert [reply.failure for reply in replies] == [None] * 3
    assert talk.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK + b"\r\n",
        http("204 No Content", length=0) + b"x",
        http("200 OK", b"{}", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        http("200 OK", b"x" * 70_000),
        OK + b"x" * 300_000,
    ],
)
@pytest.mark.parametrize("with_tls", [False, True])
def test_a_connection_with_more_than_the_answer_is_closed(with_tls: bool, tls: ssl.SSLContext, answer: bytes) -> None:
    """The answer itself counts; the next request opens a new connection."""
    talk = Counting(answer)
    with server(talk, tls if with_tls else None) as port:
        replies = send(f"{'https' if with_tls else 'http'}://localhost:{port}/", times=2)
    assert [reply.arrived.status for reply in replies] == [int(answer[9:12])] * 2
    assert [reply.exchange.reused for reply in replies] == [False, False]
    assert talk.connections == 2


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_surplus_that_comes_later_is_noticed_before_the_next_request(with_tls: bool, tls: ssl.SSLContext) -> None:
    """Otherwise it would be taken for the next answer."""
    connections: list[int] = []

    def talk(connection: socket.socket) -> None:
        connections.append(1)
        read_request(connection)
        connection.sendall(OK)
        time.sleep(0.05)
        connection.sendall(http("500 Surplus"))

    with server(talk, tls if with_tls else None) as port:
        replies = send(f"{'https' if with_tls else 'http'}://localhost:{port}/", times=2, pause_s=0.3)
    assert [reply.arrived.status for reply in replies] == [200, 200]
    assert len(connections) == 2


@pytest.mark.parametrize(("with_tls", "goodbye"), [(False, False), (True, False), (True, True)])
def test_a_kept_connection_that_the_server_closed_is_noticed_before_a_byte_is_written(
    with_tls: bool, goodbye: bool, tls: ssl.SSLContext
) -> None:
    """So no request is lost on it."""
    talk = Counting(OK, goodbye=goodbye)
    with server(talk, tls if with_tls else None) as port:
        replies = send(f"{'https' if with_tls else 'http'}://localhost:{port}/", times=3, pause_s=0.2)
    assert [(reply.arrived.status, reply.exchange.reused) for reply in replies] == [(200, False)] * 3
    assert talk.connections == 3


def test_a_kept_connection_that_ends_during_a_request_is_ambiguous() -> None:
    """A byte was written, so it is unknown whether Plug acted."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(talk) as port:
        _, lost = send(f"http://localhost:{port}/", times=2)
    assert lost.exchange.reused and lost.exchange.written and not lost.exchange.answered
    assert lost.failure is not None
    assert lost.failure.cause in (Cause.RESET, Cause.CLOSED)


# --- sockets -------------------------------------------------------------------------------------------


def _count_handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def _listen(backlog: int = 50) -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


@pytest.fixture
def blackhole() -> Iterator[int]:
    """Return the port of a listener that accepts no connection, because its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(0))
        for _ in range(2):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """Return the port of a listener that accepts connections and sends nothing."""
    with _listen() as listener:
        yield listener.getsockname()[1]


def _send_and_count(url: str, environ: dict[str, str], timeout_s: float) -> tuple[list[Reply], int]:
    """Send six requests that time out; return how many more handles are open than after the first."""

    async def run() -> tuple[list[Reply], int]:
        async with Connections(environ, timeout_s=timeout_s) as connections:

            async def once() -> Reply:
                return await connections.send(httpx.Request("PUT", url, content=b"{}"), HOP)

            await once()
            before = _count_handles()
            return [await once() for _ in range(5)], _count_handles() - before

    return asyncio.run(run())


@pytest.mark.linux
@pytest.mark.parametrize(("scheme", "stage", "written"), [("https", Stage.TLS, False), ("http", Stage.HEAD, True)])
def test_a_server_that_keeps_silent_leaves_no_socket_open(
    silent: int, scheme: str, stage: Stage, written: bool
) -> None:
    """Each socket is closed at the timeout, also during the TLS handshake."""
    replies, left = _send_and_count(f"{scheme}://127.0.0.1:{silent}/", {}, 0.05)
    seen = {(reply.failure.stage, reply.exchange.written) for reply in replies if reply.failure}
    assert {reply.failure.cause for reply in replies if reply.failure} == {Cause.TIMEOUT}
    assert (stage, written) in seen
    assert seen <= {(stage, written), (Stage.CONNECT, False)}  # a busy machine may connect late
    assert left == 0


@pytest.mark.linux
def test_a_connection_that_is_not_accepted_leaves_no_socket_open(blackhole: int) -> None:
    """It times out while it is being opened."""
    replies, left = _send_and_count(f"http://127.0.0.1:{blackhole}/", {}, 0.05)
    assert {reply.failure.stage for reply in replies if reply.failure} == {Stage.CONNECT}
    assert left == 0


@pytest.mark.linux
def test_a_proxy_that_keeps_silent_leaves_no_socket_open(silent: int) -> None:
    """The timeout comes while it is asked for a tunnel."""
    environ = {"HTTPS_PROXY": f"127.0.0.1:{silent}"}
    replies, left = _send_and_count("https://plug.acme.com.br/", environ, 0.05)
    assert {reply.failure.explain() for reply in replies if reply.failure} == {
        f"the proxy 127.0.0.1:{silent} did not answer within 0.05 s. Check HTTPS_PROXY: is it an HTTP proxy?"
    }
    assert left == 0


@pytest.mark.linux
def test_a_server_that_stops_reading_leaves_no_socket_open(silent: int) -> None:
    """The timeout comes while the request is being written."""

    async def run() -> tuple[Reply, int]:
        async with Connections({}, timeout_s=0.3) as connections:
            before = _count_handles()
            request = httpx.Request("PUT", f"http://127.0.0.1:{silent}/", content=b"x" * 30_000_000)
            return await connections.send(request, HOP), _count_handles() - before

    reply, left = asyncio.run(run())
    assert reply.failure is not None
    assert (reply.failure.stage, reply.exchange.written, left) == (Stage.SEND, True, 0)


@pytest.mark.linux
def test_a_body_that_stops_leaves_no_socket_open() -> None:
    """The timeout comes while the answer is being read."""
    stopped = threading.Event()

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(http("200 OK", b"{", length=9))
        stopped.wait(5)

    async def run(port: int) -> tuple[Reply, int]:
        async with Connections({}, timeout_s=0.3) as connections:
            before = _count_handles()
            request = httpx.Request("PUT", f"http://127.0.0.1:{port}/", content=b"{}")
            return await connections.send(request, HOP), _count_handles() - before

    with server(talk) as port:
        reply, left = asyncio.run(run(port))
        stopped.set()
    assert reply.failure is not None
    assert (reply.failure.stage, reply.arrived.status, left) == (Stage.BODY, 200, 1)  # the server's own end


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_unreadable_roots_are_named(variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error comes before anything is sent."""
    from reconciler.errors import InputError

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    with pytest.raises(InputError, match=variable):
        send("http://127.0.0.1:1/")


def test_each_attempt_is_logged_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    """The log has method, host, status and time, but no path, query, header or body."""
    caplog.set_level("INFO", logger="reconciler")
    with server(saying(http("200 OK", b"canary-body"))) as port:
        send(f"http://localhost:{port}/canary-path?canary=query", body=b"canary-sent")
    with server(saying(b"")) as gone:
        pass
    send(f"http://localhost:{gone}/canary-path")
    messages = [record.getMessage() for record in caplog.records]
    assert [message.rpartition(", ")[0] for message in messages] == [
        f"PUT localhost:{port}: 200",
        f"PUT localhost:{gone}: the connection to Plug was refused",
    ]
    assert "canary" not in caplog.text
