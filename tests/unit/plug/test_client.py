"""The PUT over real sockets and real TLS: what is known of an attempt afterwards (CONTRACT §6.5 to §6.7)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.attempts import Attempt, Fate
from reconciler.io.http.proxy import find_proxy
from reconciler.model import AuthScheme, Desired
from reconciler.plug.client import HttpPlug, describe_transport_error, parse_retry_after, says_denied
from reconciler.plug.credentials import Credentials
from reconciler.plug.pool import Connection
from tests.fakes import make_desired

TOKEN = "canary-token-0123456789"
ENVIRON = {"PLUG_TOKEN_PRODUCTION": TOKEN, "PLUG_SECRET_A": "s3cret{secret:PLUG_SECRET_A}"}

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A listener that hands each connection to `talk`, one after another."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, ssl.SSLError), connection:
                connection.settimeout(5)
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


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def keep_silent(connection: socket.socket) -> None:
    """Read the request and wait until the client has closed the connection."""
    read_request(connection)
    connection.recv(1)


def answering(answer: bytes, seen: list[bytes] | None = None) -> Talk:
    def talk(connection: socket.socket) -> None:
        request = read_request(connection)
        if seen is not None:
            seen.append(request)
        connection.sendall(answer)

    return talk


def put(port: int, *, scheme: str = "http", timeout_s: float = 5, desired: Desired | None = None) -> Attempt:
    one = replace(desired or make_desired(), endpoint=f"{scheme}://localhost:{port}/prefix/api/update-webhooks")

    async def attempt() -> Attempt:
        async with HttpPlug(Credentials(ENVIRON), timeout_s=timeout_s, environ={}) as plug:
            return await plug.put(one)

    return asyncio.run(attempt())


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def packed(coding: str, body: bytes) -> bytes:
    return http("200 OK", body, f"Content-Encoding: {coding}")


def test_the_bytes_on_the_wire_are_the_contracts() -> None:
    """Method, headers, and exactly the seven keys, with secrets filled in as they are and braces undoubled."""
    seen: list[bytes] = []
    desired = make_desired(secrets=("PLUG_SECRET_A",))
    webhooks = dict.fromkeys(desired.webhooks, "https://a.example.com/{{x}}?k={secret:PLUG_SECRET_A}")
    with server(answering(http("200 OK"), seen)) as port:
        attempt = put(port, desired=replace(desired, webhooks=webhooks))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
    assert attempt.confirmed
    assert lines[0] == b"PUT /prefix/api/update-webhooks HTTP/1.1"
    assert headers[b"authorization"] == TOKEN.encode()
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"user-agent"].startswith(b"reconciler/")
    url = '"https://a.example.com/{x}?k=s3cret{secret:PLUG_SECRET_A}"'
    assert body.decode() == "{" + ",".join(f'"{event}":{url}' for event in webhooks) + "}"


def test_bearer_is_the_other_scheme() -> None:
    """FACTS D."""
    seen: list[bytes] = []
    with server(answering(http("200 OK"), seen)) as port:
        put(port, desired=make_desired(auth_scheme=AuthScheme.BEARER))
    assert b"Authorization: Bearer " + TOKEN.encode() + b"\r\n" in seen[0]


@pytest.mark.parametrize(
    ("answer", "fate", "status", "confirmed"),
    [
        (http("200 OK"), Fate.DEFINITE, 200, True),
        (http("204 No Content"), Fate.DEFINITE, 204, True),
        (http("200 OK", b'{"value": true}'), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value": false}'), Fate.DEFINITE, 200, False),
        (http("200 OK", b"<html>"), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value": false}' + b" " * 70_000), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value"', length=99), Fate.AMBIGUOUS, 200, False),
        (http("200 OK", b"[" * 60_000), Fate.AMBIGUOUS, 200, False),
        (packed("gzip", gzip.compress(b'{"value": true}', mtime=0)), Fate.DEFINITE, 200, True),
        (packed("gzip", gzip.compress(b'{"value": false}', mtime=0)), Fate.DEFINITE, 200, False),
        (packed("deflate", zlib.compress(b'{"value": false}')), Fate.DEFINITE, 200, False),
        (packed("deflate", zlib.compress(b'{"value": false}')[2:-4]), Fate.DEFINITE, 200, False),
        (packed("gzip", b""), Fate.DEFINITE, 200, True),
        (packed("gzip", gzip.compress(b'{"value": false}' + b" " * 70_000, mtime=0)), Fate.DEFINITE, 200, True),
        (packed("gzip", gzip.compress(b'{"value": true}', mtime=0)[:-9]), Fate.AMBIGUOUS, 200, False),
        (packed("gzip", b'{"value": true}'), Fate.AMBIGUOUS, 200, False),
        (packed("br", b'{"value": true}'), Fate.AMBIGUOUS, 200, False),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/"), Fate.DEFINITE, 302, False),
        (http("401 Unauthorized", TOKEN.encode()), Fate.DEFINITE, 401, False),
        (http("408 Request Timeout"), Fate.AMBIGUOUS, 408, False),
        (http("500 Oops"), Fate.AMBIGUOUS, 500, False),
        (b"", Fate.AMBIGUOUS, None, False),
        (b"HTTP/1.1 200", Fate.AMBIGUOUS, None, False),
        (b"\x00\x01nonsense\r\n\r\n", Fate.AMBIGUOUS, None, False),
    ],
)
def test_what_is_known_after_an_answer(answer: bytes, fate: Fate, status: int | None, confirmed: bool) -> None:
    """Never the token, whatever the server echoes."""
    with server(answering(answer)) as port:
        attempt = put(port)
    assert (attempt.fate, attempt.status, attempt.confirmed) == (fate, status, confirmed)
    assert TOKEN not in repr(attempt)


def test_a_packed_answer_is_unpacked_no_further_than_it_is_read() -> None:
    """A kilobyte may hold a megabyte."""
    bomb = packed("gzip", gzip.compress(bytes(50_000_000), 9))
    assert len(bomb) < 64 * 1024
    with server(answering(bomb)) as port:
        tracemalloc.start()
        try:
            attempt = put(port)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert attempt.confirmed
    assert peak < 10_000_000


def test_without_a_token_nothing_is_sent() -> None:
    """It may be missing where an environment had nothing to do, and was planned anew."""

    async def attempt() -> Attempt:
        async with HttpPlug(Credentials({}), timeout_s=5, environ={}) as plug:
            return await plug.put(make_desired())

    assert asyncio.run(attempt()) == Attempt(Fate.UNSENT, message="no token in PLUG_TOKEN_PRODUCTION")


def test_a_connection_that_breaks_in_whatever_way_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the answer too, as it is given back; the system's own text is left out."""

    async def fail(connection: Connection) -> None:
        raise ConnectionResetError(TOKEN)

    monkeypatch.setattr(Connection, "drop_if_ahead", fail)
    with server(answering(http("200 OK"))) as port:
        attempt = put(port)
    message = "the answer was cut short: ConnectionResetError"
    assert attempt == Attempt(Fate.AMBIGUOUS, 200, complete=False, message=message)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (httpx.ReadError("quotes what was sent"), "the connection broke"),
        (httpx.ConnectError("quotes what was sent"), "no connection"),
        (httpx.ProxyError("407 quotes what was sent"), "the proxy refused the connection"),
    ],
)
def test_of_a_librarys_error_its_kind_is_told(error: httpx.TransportError, told: str) -> None:
    """Never its text."""
    assert describe_transport_error(error) == told
    error.__cause__ = BrokenPipeError("quotes what was sent")
    assert describe_transport_error(error) == "the connection was reset"


def test_a_refused_connection_is_unsent() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    attempt = put(port)
    assert attempt.fate is Fate.UNSENT
    assert attempt.message.startswith("not sent: the connection was refused. Check the base URL")


def test_a_name_that_is_not_found_is_unsent() -> None:
    """DNS has no answer."""
    one = replace(make_desired(), endpoint="https://plug.invalid/api")

    async def attempt() -> Attempt:
        async with HttpPlug(Credentials(ENVIRON), timeout_s=5, environ={}) as plug:
            return await plug.put(one)

    found = asyncio.run(attempt())
    assert found.fate is Fate.UNSENT
    assert found.message == "not sent: the host's name was not found. Check the base URL and this machine's DNS"


def test_a_server_that_never_answers_is_ambiguous() -> None:
    """The request was written."""
    with server(keep_silent) as port:
        attempt = put(port, timeout_s=0.5)
    assert (attempt.fate, attempt.message) == (Fate.AMBIGUOUS, "no answer: no complete answer within 0.5 s")


def test_a_server_that_takes_connections_and_keeps_silent_costs_no_handles() -> None:
    """Before TLS the library leaves its socket behind where a limit of time ends it: a fleet would run out of them."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    desired = replace(make_desired(), endpoint=f"https://localhost:{listener.getsockname()[1]}/")

    async def put_often() -> tuple[set[str], int]:
        async with HttpPlug(Credentials({desired.token_env: "token"}), timeout_s=0.05, environ={}) as plug:
            await plug.put(desired)
            before = len(os.listdir("/proc/self/fd"))
            told = {(await plug.put(desired)).message.partition(".")[0] for _ in range(5)}
            return told, len(os.listdir("/proc/self/fd")) - before

    with listener:
        told, left = asyncio.run(put_often())
    assert told == {"not sent: no connection within 0"}
    assert left == 0


def test_a_server_that_answers_a_byte_at_a_time_runs_into_the_timeout() -> None:
    """The limit is for the whole attempt, not for each read."""

    def trickle(connection: socket.socket) -> None:
        read_request(connection)
        for byte in http("200 OK", b"x" * 100):
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with server(trickle) as port:
        attempt = put(port, timeout_s=0.6)
    assert (attempt.fate, attempt.confirmed) == (Fate.AMBIGUOUS, False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("name", "trusted", "fate"),
    [("localhost", True, Fate.DEFINITE), ("localhost", False, Fate.UNSENT), ("other.example.com", True, Fate.UNSENT)],
)
def test_a_certificate_that_is_not_accepted_is_unsent(
    name: str,
    trusted: bool,
    fate: Fate,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """TLS fails before the first byte of the request; SSL_CERT_FILE adds a company's own authority."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(tls)
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with server(answering(http("200 OK")), tls) as port:
        attempt = put(port, scheme="https")
    assert attempt.fate is fate
    assert ("certificate is not accepted" in attempt.message) is (fate is Fate.UNSENT)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://www.plugchat.com.br/x", {}, None),
        ("https://www.plugchat.com.br/x", {"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("https://www.plugchat.com.br/x", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("https://www.plugchat.com.br/x", {"ALL_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ("https://www.plugchat.com.br/x", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("https://www.plugchat.com.br/x", {"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1"),
        ("https://www.plugchat.com.br/x", {"HTTPS_PROXY": "http://b:1", "https_proxy": "http://a:1"}, "http://a:1"),
        ("https://www.plugchat.com.br/x", {"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None),
        ("https://www.plugchat.com.br/x", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "plugchat.com.br"}, None),
        ("https://www.plugchat.com.br/x", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ("https://localhost/x", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("http://127.0.0.1/x", {"HTTP_PROXY": "http://proxy:1", "ALL_PROXY": "http://proxy:1"}, None),
    ],
)
def test_a_proxy_is_for_https_beyond_this_machine(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """CONTRACT §3."""
    assert find_proxy(url, environ) == proxy


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60.0),
        ("Mon, 23 Nov 2026 12:01:00", 60.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, 999_999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """What is neither says nothing."""
    assert parse_retry_after(header, datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) == seconds


@given(st.binary(max_size=200))
def test_an_answer_of_any_bytes_is_judged(body: bytes) -> None:
    """Without an error, and only a JSON object can deny."""
    assert says_denied(body) in (False, True)


@pytest.mark.parametrize(("body", "denied"), [(b'{"value":false}', True), (b"false", False), (b'{"value":0}', False)])
def test_only_value_false_denies(body: bytes, denied: bool) -> None:
    """FACTS D."""
    assert says_denied(body) is denied


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252"])
def test_value_false_denies_in_whatever_encoding(encoding: str) -> None:
    """An older server says why in Latin-1, which is no UTF-8."""
    assert says_denied('{"value": false, "message": "não autorizado"}'.encode(encoding))
    assert not says_denied('{"value": true, "message": "não, nada"}'.encode(encoding))


def test_the_first_send_loads_nothing_any_more() -> None:
    """It would leave late after its slot of the rate limit, and its second would hold one more than the limit."""
    code = (
        "import asyncio, sys\n"
        "from reconciler.plug.pool import Connections\n"
        "async def send():\n"
        "    async with Connections({}) as connections:\n"
        "        before = set(sys.modules)\n"
        "        with connections.borrow(sys.argv[1]) as connection:\n"
        "            await connection.send('PUT', sys.argv[1], {})\n"
        "        print(sorted(set(sys.modules) - before))\n"
        "asyncio.run(send())\n"
    )
    with server(answering(http("200 OK", b""))) as port:
        command = [sys.executable, "-c", code, f"http://127.0.0.1:{port}/"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
