"""The PUT over real sockets and real TLS: what is known of an attempt afterwards.

See docs/contract.md#requests, docs/contract.md#outcomes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from reconciler.core.attempts import Attempt, Fate
from reconciler.model import AuthScheme, BodyForm, Desired
from reconciler.plug.client import HttpPlug
from reconciler.plug.credentials import EnvironCredentials
from tests.fakes import make_desired
from tests.wire import answering, http, keep_silent, packed, read_request, server

TOKEN = "canary-token-0123456789"
TWO_MEMBERS = gzip.compress(b'{"value":', mtime=0) + bytes(7) + gzip.compress(b" false}", mtime=0)
ENVIRON = {"PLUG_TOKEN_PRODUCTION": TOKEN, "PLUG_SECRET_A": "s3cret{secret:PLUG_SECRET_A}"}


def put(port: int, *, scheme: str = "http", timeout_s: float = 5, desired: Desired | None = None) -> Attempt:
    one = replace(desired or make_desired(), endpoint=f"{scheme}://localhost:{port}/prefix/api/update-webhooks")

    async def attempt() -> Attempt:
        async with HttpPlug(EnvironCredentials(ENVIRON), timeout_s=timeout_s, environ={}) as plug:
            return await plug.put(one)

    return asyncio.run(attempt())


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
    """docs/plug-api.md."""
    seen: list[bytes] = []
    with server(answering(http("200 OK"), seen)) as port:
        put(port, desired=make_desired(auth_scheme=AuthScheme.BEARER))
    assert b"Authorization: Bearer " + TOKEN.encode() + b"\r\n" in seen[0]


def test_the_other_form_of_the_body_has_the_seven_inside_one_object() -> None:
    """Nothing else is beside it (docs/plug-api.md)."""
    desired = make_desired(body=BodyForm.VALUE)
    seen: list[bytes] = []
    with server(answering(http("200 OK"), seen)) as port:
        assert put(port, desired=desired).confirmed
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == {"value": desired.webhooks}


@pytest.mark.parametrize(
    ("answer", "fate", "status", "confirmed"),
    [
        (http("200 OK"), Fate.DEFINITE, 200, True),
        (http("204 No Content"), Fate.DEFINITE, 204, True),
        (http("200 OK", b'{"value": true}'), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value": false}'), Fate.DEFINITE, 200, False),
        (http("200 OK", b"<html>"), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value": false}' + b" " * 70_000), Fate.AMBIGUOUS, 200, False),
        (http("200 OK", b" " * 65_536), Fate.DEFINITE, 200, True),
        (http("200 OK", b'{"value"', length=99), Fate.AMBIGUOUS, 200, False),
        (http("200 OK", b"[" * 60_000), Fate.AMBIGUOUS, 200, False),
        (http("200 OK", b"[" * 64 + b"]" * 64), Fate.DEFINITE, 200, True),
        (http("200 OK", b"[" * 65 + b"]" * 65), Fate.AMBIGUOUS, 200, False),
        (http("200 OK", b'{"value": false, "value": true}'), Fate.DEFINITE, 200, False),
        (packed("gzip", gzip.compress(b'{"value": true}', mtime=0)), Fate.DEFINITE, 200, True),
        (packed("gzip", gzip.compress(b'{"value": false}', mtime=0)), Fate.DEFINITE, 200, False),
        (packed("x-gzip", gzip.compress(b'{"value": false}', mtime=0)), Fate.DEFINITE, 200, False),
        (packed("gzip", TWO_MEMBERS), Fate.DEFINITE, 200, False),
        (
            packed("deflate, GZIP", gzip.compress(zlib.compress(b'{"value": false}'), mtime=0)),
            Fate.DEFINITE,
            200,
            False,
        ),
        (packed("deflate", zlib.compress(b'{"value": false}')), Fate.DEFINITE, 200, False),
        (packed("deflate", zlib.compress(b'{"value": false}')[2:-4]), Fate.DEFINITE, 200, False),
        (packed("gzip", b""), Fate.DEFINITE, 200, True),
        (packed("gzip", gzip.compress(b'{"value": false}' + b" " * 70_000, mtime=0)), Fate.AMBIGUOUS, 200, False),
        (packed("gzip", gzip.compress(b'{"value": true}', mtime=0)[:-9]), Fate.AMBIGUOUS, 200, False),
        (packed("gzip", gzip.compress(b'{"value": true}', mtime=0) + b"more"), Fate.AMBIGUOUS, 200, False),
        (packed("gzip", b'{"value": true}'), Fate.AMBIGUOUS, 200, False),
        (packed("br", b'{"value": true}'), Fate.AMBIGUOUS, 200, False),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/"), Fate.DEFINITE, 302, False),
        (http("401 Unauthorized", TOKEN.encode()), Fate.DEFINITE, 401, False),
        (http("408 Request Timeout"), Fate.AMBIGUOUS, 408, False),
        (http("500 Oops"), Fate.AMBIGUOUS, 500, False),
        (b"", Fate.AMBIGUOUS, None, False),
        (b"HTTP/1.1 200", Fate.AMBIGUOUS, None, False),
        (http("400 Bad Request", b"x", length=99), Fate.DEFINITE, 400, False),
        (http("400 Bad Request", b"x" * 70_000), Fate.DEFINITE, 400, False),
        (b"HTTP/1.1 400 Bad Request\r\nX: ", Fate.DEFINITE, 400, False),
        (b"HTTP/1.1 401 No\r\n: no name\r\n\r\n", Fate.DEFINITE, 401, False),
        (b"HTTP/1.1 408 Late\r\nX: ", Fate.AMBIGUOUS, 408, False),
        (b"HTTP/1.1 200 OK\r\nX: ", Fate.AMBIGUOUS, 200, False),
        (b"HTTP/1.1 400 Bad Request", Fate.AMBIGUOUS, None, False),
        (b"\x00\x01nonsense\r\n\r\n", Fate.AMBIGUOUS, None, False),
    ],
)
def test_what_is_known_after_an_answer(answer: bytes, fate: Fate, status: int | None, confirmed: bool) -> None:
    """The token is never shown, even if the server echoes it."""
    with server(answering(answer)) as port:
        attempt = put(port)
    assert (attempt.fate, attempt.status, attempt.confirmed) == (fate, status, confirmed)
    assert TOKEN not in repr(attempt)


def test_a_packed_answer_is_unpacked_no_further_than_it_is_read() -> None:
    """A kilobyte may decode to a megabyte, in one gzip member or in many."""
    bomb = packed("gzip", gzip.compress(bytes(50_000_000), 9))
    assert len(bomb) < 64 * 1024
    with server(answering(bomb)) as port:
        tracemalloc.start()
        try:
            attempt = put(port)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert attempt.message == "200, but the answer is longer than 65,536 bytes, and no more is read"
    assert attempt.fate is Fate.AMBIGUOUS
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (packed("br", b"x"), "200, but the answer's coding br can't be undone"),
        (packed("gzip", b"x"), "200, but the answer's coding gzip can't be undone"),
        (packed(f"{TOKEN}\x1b[31m", b"x"), "200, but the answer's coding (of an unknown name) can't be undone"),
        (http("200 OK", b"[" * 65), "200, but the answer is nested more than 64 deep"),
        (
            http("200 OK", b"{", length=9),
            "the answer (200) was cut short: Plug (localhost:PORT) closed the connection before the answer was "
            "complete",
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\n{",
            "the answer (200) was cut short: Plug (localhost:PORT) closed the connection before the answer was "
            "complete",
        ),
        (b"", "no answer: Plug (localhost:PORT) closed the connection without an answer"),
        (b"HTTP/1", "no usable answer: Plug (localhost:PORT) closed the connection before the answer was complete"),
        (b"what?\r\n\r\n", "no usable answer: the answer of Plug (localhost:PORT) is not valid HTTP"),
    ],
)
def test_an_answer_that_proves_nothing_says_why(answer: bytes, message: str) -> None:
    """The message is in our words and names Plug. A coding is named only if it is registered."""
    with server(answering(answer)) as port:
        attempt = put(port)
    assert attempt.message == message.replace("PORT", str(port))
    assert attempt.retriable


def test_without_a_token_nothing_is_sent() -> None:
    """It may be missing if the environment had nothing to do when the run began."""

    async def attempt() -> Attempt:
        async with HttpPlug(EnvironCredentials({}), timeout_s=5, environ={}) as plug:
            return await plug.put(make_desired())

    assert asyncio.run(attempt()) == Attempt(Fate.UNSENT, message="no token in PLUG_TOKEN_PRODUCTION")


def test_a_refused_connection_is_unsent() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    attempt = put(port)
    assert attempt.fate is Fate.UNSENT
    assert attempt.message == (
        f"not sent: the connection to Plug (localhost:{port}) was refused. "
        "Check api.base_url, and whether a firewall is in the way"
    )


def test_a_name_that_is_not_found_is_unsent() -> None:
    """DNS has no answer."""
    one = replace(make_desired(), endpoint="https://plug.invalid/api")

    async def attempt() -> Attempt:
        async with HttpPlug(EnvironCredentials(ENVIRON), timeout_s=5, environ={}) as plug:
            return await plug.put(one)

    found = asyncio.run(attempt())
    assert found.fate is Fate.UNSENT
    assert found.message == (
        "not sent: the name of Plug (plug.invalid) was not found. Check api.base_url and this machine's DNS"
    )


def test_a_server_that_never_answers_is_ambiguous() -> None:
    """The request was written."""
    with server(keep_silent) as port:
        attempt = put(port, timeout_s=0.5)
    assert attempt.fate is Fate.AMBIGUOUS
    assert attempt.message == f"no answer: Plug (localhost:{port}) did not answer within 0.5 s"


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
    assert ("the certificate of Plug (localhost" in attempt.message) is (fate is Fate.UNSENT)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_first_put_imports_nothing(scheme: str, authority: trustme.CA, tmp_path: Path) -> None:
    """An import would delay it after it got its slot, and the next second would exceed the rate limit."""
    code = (
        "import asyncio, sys\n"
        "from msgspec.structs import replace\n"
        "from reconciler.plug.client import HttpPlug\n"
        "from reconciler.plug.credentials import EnvironCredentials\n"
        "from tests.fakes import make_desired\n"
        "desired = replace(make_desired(), endpoint=sys.argv[1])\n"
        "async def send():\n"
        "    async with HttpPlug(EnvironCredentials({desired.token_env: 'token'}), timeout_s=5, environ={}) as plug:\n"
        "        before = set(sys.modules)\n"
        "        assert (await plug.put(desired)).confirmed\n"
        "        print(sorted(set(sys.modules) - before))\n"
        "asyncio.run(send())\n"
    )
    tls = None
    if scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with server(answering(http("200 OK", b"")), tls) as port:
        ran = subprocess.run(
            [sys.executable, "-c", code, f"{scheme}://localhost:{port}/"],
            capture_output=True,
            text=True,
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")},
        )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
