"""Failures of network and server: no name, TLS intercepted on the way, bytes by the minute or by the GB."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from tests.acceptance.bad_day.world import (
    OK,
    Talk,
    assert_converges,
    assert_whole,
    hurt,
    message_of,
    only_outcome,
    peak_mib,
    serve,
)
from tests.acceptance.conftest import TIMEOUT_S, Cli
from tests.wire import read_request, say_goodbye

FLEET = ("a", "b", "c")
NAMELESS = ("--api-base-url", "https://plug.invalid", "--api-allowed-hosts", "plug.invalid")

# A DNS that answers nothing after some time; the names of this machine aren't looked up there.
HANGING_DNS = """
import socket, time

known = socket.getaddrinfo

def hang(host, *arguments, **named):
    if host in ("127.0.0.1", "localhost", b"127.0.0.1", b"localhost"):
        return known(host, *arguments, **named)
    time.sleep(30)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

socket.getaddrinfo = hang
"""


# --- before the first byte ---------------------------------------------------------------------------


def test_a_name_that_is_not_found_is_a_failure_and_says_where_to_look(cli: Cli) -> None:
    """Nothing was sent, so nothing is in doubt, and no attempt is counted."""
    cli.fleet(*FLEET)
    ran = cli.run("apply", "--yes", "--new-state", *NAMELESS, "--attempts", "1", "--format", "json", code=1)
    assert only_outcome(ran, FLEET) == "failed"
    assert {one["attempts"] for one in ran.json["environments"]} == {0}
    assert message_of(ran, "a") == (
        "not sent: the name of Plug (plug.invalid) was not found. Check api.base_url and this machine's DNS"
    )
    assert all(cli.document(name)["intent"] is None for name in FLEET)
    assert_converges(cli, *FLEET)
    assert cli.puts("a") == 1


def test_a_dns_that_hangs_delays_no_outcome(cli: Cli) -> None:
    """Names are looked up in threads; the state has its own. All wait for a name, and each ends by its timeout."""
    fleet = tuple(f"loja-{number:02}" for number in range(24))
    cli.fleet(*fleet)
    options = ("--timeout", "1", "--attempts", "1", "--concurrency", "24", "--max-failures", "100")
    with hurt(cli, HANGING_DNS):
        ran = cli.run("apply", "--yes", "--new-state", *NAMELESS, *options, "--format", "json", code=1)
    assert only_outcome(ran, fleet) == "failed"
    assert message_of(ran, fleet[0]) == (
        "not sent: no connection to Plug (plug.invalid) within 1 s. "
        "Check api.base_url, this machine's DNS, and whether a firewall is in the way"
    )
    # This is its timeout and two writes, without a lookup of the others.
    assert max(one["seconds"] for one in ran.json["environments"]) < 28
    assert all(cli.document(name)["intent"] is None for name in fleet)
    assert_converges(cli, *fleet)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _issue(authority: trustme.CA, name: str, days: int = 30) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days)).configure_cert(tls)
    return tls


@pytest.mark.parametrize(
    ("name", "days", "known", "reason", "advice"),
    [
        ("localhost", 30, False, "is not trusted", "name the file of its CA in SSL_CERT_FILE"),
        ("localhost", -1, True, "has expired", "Check this machine's clock; if it is right, the certificate must"),
        ("plug.acme.com.br", 30, True, "is for another name", "Check api.base_url: does another server answer"),
    ],
    ids=["intercepted", "expired", "another name"],
)
def test_tls_of_another_server_gets_no_byte_and_has_its_own_message(
    cli: Cli, authority: trustme.CA, name: str, days: int, known: bool, reason: str, advice: str
) -> None:
    """It fails without an attempt, and no token is sent; each kind says what to do about it."""
    cli.fleet(*FLEET)
    trusted = authority if known else trustme.CA()
    bundle = cli.root / "authority.pem"
    trusted.cert_pem.write_to_path(str(bundle))
    seen: list[int] = []
    with serve(lambda connection, number: seen.append(number), _issue(authority, name, days)) as server:
        url = ("--api-base-url", server.base_url)
        env = {"SSL_CERT_FILE": str(bundle)}
        ran = cli.run("apply", "--yes", *url, "--attempts", "1", "--format", "json", code=1, env=env)
    assert only_outcome(ran, FLEET) == "failed"
    assert {one["attempts"] for one in ran.json["environments"]} == {0}
    message = message_of(ran, "a")
    assert "certificate of Plug (localhost:" in message
    assert message.startswith("not sent: ")
    assert reason in message
    assert advice in message
    assert seen == []
    assert_whole(cli)
    assert_converges(cli, *FLEET)


def test_a_companys_own_authority_is_trusted_once_it_is_configured(cli: Cli, authority: trustme.CA) -> None:
    """The advice in the message works."""
    cli.fleet("a")
    bundle = cli.root / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))

    def answer(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK)

    with serve(answer, _issue(authority, "localhost")) as server:
        url = ("--api-base-url", server.base_url)
        assert cli.run("apply", "--yes", *url, "--attempts", "1", code=1).code == 1
        cli.run("apply", "--yes", *url, code=0, env={"SSL_CERT_FILE": str(bundle)})


# --- after the first byte ----------------------------------------------------------------------------


def _dripping(answer: bytes) -> Talk:
    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        for place in range(len(answer)):
            connection.sendall(answer[place : place + 1])
            time.sleep(0.5)

    return talk


def _flooding(begin: bytes, more: bytes) -> Talk:
    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(begin)
        while True:
            connection.sendall(more)

    return talk


def _never_reads(connection: socket.socket, number: int) -> None:
    """Wait until the client has disconnected, which can be noticed without a read."""
    left = select.poll()
    left.register(connection, select.POLLRDHUP)
    left.poll(TIMEOUT_S * 1000)


def _resets_after_half(connection: socket.socket, number: int) -> None:
    connection.recv(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "talk",
    [
        _dripping(OK),
        _dripping(b"\r\n" * 50),
        _flooding(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
        _flooding(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 8000),
        _flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
        _flooding(CHUNKED + b"1;", b"x" * 65536),
        _flooding(CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 65536),
        _never_reads,
        _resets_after_half,
    ],
    ids=[
        "a byte now and then",
        "blank lines now and then",
        "a header line without end",
        "headers without end",
        "1xx without end",
        "a chunk's extension without end",
        "a trailer without end",
        "takes the connection and never reads",
        "reset after half of the request",
    ],
)
def test_an_answer_that_never_ends_is_uncertain_soon_and_in_little_memory(cli: Cli, talk: Talk) -> None:
    """Plug may have acted: in doubt, the lease released. The next apply sends it again."""
    cli.fleet("a")
    with serve(talk) as server:
        url = ("--api-base-url", server.base_url)
        ran, peak = peak_mib(cli, "apply", "--yes", *url, "--timeout", "1", "--attempts", "1", "--format", "json")
    assert (ran.code, ran.outcomes) == (1, {"a": "uncertain"})
    assert message_of(ran, "a").startswith(("no answer: ", "no usable answer: ", "the answer (200) was cut short: "))
    assert peak < 150
    assert_whole(cli)
    intent = cli.document("a")["intent"]
    assert (intent["doubt"], intent["lease_until"]) == (True, None)
    assert_converges(cli, "a")
    assert cli.puts("a") == 1


def _packed() -> bytes:
    """Return a quarter of a gigabyte, compressed to a quarter of a megabyte. Its end is never read."""
    packer = zlib.compressobj(9, wbits=31)
    blocks = [packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    packed = blocks[0] + blocks[1] * 255  # After a full flush, a block doesn't depend on those before it.
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    return head.encode() + packed


def _bomb() -> Talk:
    answer = _packed()

    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    return talk


@pytest.mark.parametrize(
    "make",
    [
        lambda: _flooding(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        lambda: _flooding(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"x" * 65536),
        _bomb,
    ],
    ids=["chunks without end", "ten gigabytes", "megabytes in each packed kilobyte"],
)
def test_gigabytes_are_not_read(cli: Cli, make: Callable[[], Talk]) -> None:
    """Only 64 KiB are read, so what the rest says is unknown: uncertain, in little memory.

    See docs/contract.md#outcomes.
    """
    cli.fleet(*FLEET)
    with serve(make()) as server:
        url = ("--api-base-url", server.base_url)
        ran, peak = peak_mib(cli, "apply", "--yes", *url, "--attempts", "1", "--format", "json")
    assert (ran.code, only_outcome(ran, FLEET)) == (1, "uncertain")
    assert message_of(ran, "a") == "200, but the answer is longer than 65,536 bytes, and no more is read"
    assert peak < 150
    assert_whole(cli)
    assert_converges(cli, *FLEET)


@pytest.mark.parametrize(("goodbye", "code", "outcome"), [(True, 0, "applied"), (False, 1, "uncertain")])
def test_an_answer_without_a_length_ends_with_a_tls_close(
    cli: Cli, authority: trustme.CA, goodbye: bool, code: int, outcome: str
) -> None:
    """Without the close, the end may have been cut off, and it may have been a refusal."""
    cli.fleet("a")
    bundle = cli.root / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))

    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n<html>")
        if goodbye:
            say_goodbye(connection)

    with serve(talk, _issue(authority, "localhost")) as server:
        url = ("--api-base-url", server.base_url, "--attempts", "1", "--format", "json")
        ran = cli.run("apply", "--yes", *url, code=code, env={"SSL_CERT_FILE": str(bundle)})
    assert ran.outcomes == {"a": outcome}


def test_a_kept_connection_that_the_server_closed_is_noticed(cli: Cli) -> None:
    """It was closed between two PUTs without notice: a new one is opened, and no PUT is sent twice."""
    cli.fleet(*FLEET)
    taken: list[int] = []

    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        taken.append(number)
        connection.sendall(OK)

    with serve(talk) as server:
        url = ("--api-base-url", server.base_url)
        ran = cli.run("apply", "--yes", *url, "--concurrency", "1", "--format", "json", code=0)
    assert only_outcome(ran, FLEET) == "applied"
    assert len(taken) == len(FLEET)
    assert_whole(cli)


def test_a_kept_connection_that_breaks_under_a_put_is_ambiguous_and_retried(cli: Cli) -> None:
    """The server closes it at the second request: ambiguous, so it counts as an attempt, and the retry decides."""
    cli.fleet(*FLEET)

    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK)
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serve(talk) as server:
        url = ("--api-base-url", server.base_url)
        ran = cli.run("apply", "--yes", *url, "--concurrency", "1", "--format", "json", code=0)
        assert {one["attempts"] for one in ran.json["environments"][1:]} == {2}
        cli.manifest("a", version="2")
        ran = cli.run("apply", "--yes", *url, "--attempts", "1", "--concurrency", "1", "--format", "json", code=0)
    assert ran.outcomes["a"] == "applied"


def test_a_surplus_answer_is_not_used_for_the_next_company(cli: Cli) -> None:
    """A server (or a proxy) answers twice: the second 200 confirms nothing. Rule 2."""
    cli.fleet("a", "b")

    def talk(connection: socket.socket, number: int) -> None:
        read_request(connection)
        if number == 1:
            connection.sendall(OK + OK)
            read_request(connection)
        connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")

    with serve(talk) as server:
        url = ("--api-base-url", server.base_url)
        ran = cli.run("apply", "--yes", *url, "--concurrency", "1", "--format", "json", code=1)
    assert ran.outcomes == {"a": "applied", "b": "rejected"}
    assert cli.document("b")["applied"] is None
    assert_converges(cli, "a", "b")


def test_a_proxy_that_is_not_reachable_is_not_bypassed(cli: Cli) -> None:
    """https never falls back to a direct connection; nothing is sent."""
    cli.fleet("a")
    env = {"HTTPS_PROXY": "http://127.0.0.1:1"}
    ran = cli.run("apply", "--yes", "--new-state", *NAMELESS, "--attempts", "1", "--format", "json", code=1, env=env)
    assert ran.outcomes == {"a": "failed"}
    assert message_of(ran, "a") == (
        "not sent: the connection to the proxy 127.0.0.1:1 was refused. "
        "Check HTTPS_PROXY, and whether a firewall is in the way"
    )
    assert_converges(cli, "a")
