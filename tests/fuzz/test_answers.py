"""Answers of Plug, of its partner API and of receivers, byte by byte: each becomes an attempt, never an exception."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.attempts import Attempt
from reconciler.core.partner_account import FIELDS
from reconciler.core.receivers import Place, ProbeResult, Receiver
from reconciler.io.http.retry_after import parse_retry_after
from reconciler.model import CheckStage, Desired, Event
from reconciler.plug.client import HttpPlug
from reconciler.plug.credentials import EnvironCredentials
from reconciler.plug.partner import HttpObserver
from reconciler.plug.secret import Secret
from reconciler.receivers.network import HttpReceivers
from tests.fakes import make_desired
from tests.fuzz.hostile import CANARY, PIECES, bounded, hostile_texts, mutated
from tests.wire import read_request, server

ENDPOINT = "http://127.0.0.1:1/api/integrations/update-webhooks"
ENVIRON = {"PLUG_TOKEN_PRODUCTION": CANARY}
DESIRED = replace(make_desired(), endpoint=ENDPOINT, account_id="1", partner_base_url="http://127.0.0.1:1")
ACCOUNT = {name: DESIRED.webhooks[event] for event, name in FIELDS.items()}

header_values = hostile_texts.map(lambda text: text.encode("utf-8", "replace").replace(b"\0", b"\xff"))
HEADERS = [
    b"Retry-After: 1",
    b"Retry-After: \xb2",
    b"Retry-After: 99999999999999999999",
    b"Retry-After: Mon, 31 Dec 9999 23:59:60 -9999",
    b"Retry-After: Thu, 01 Jan 0001 00:00:00 +2359",
    b"Retry-After: 0, 1",
    b"Location: https://evil.test/" + CANARY.encode(),
    b"Refresh: 0; url=https://evil.test/",
    b"WWW-Authenticate: Basic realm=x",
    b"WWW-Authenticate: Digest nonce=x",
    b"Set-Cookie: a=b",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br",
    b"Content-Encoding: gzip, gzip, gzip",
    b"Content-Length: 3",
    b"Content-Length: -1",
    b"Content-Length: 99999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: x",
    b"Connection: close",
    b"Connection: Upgrade",
    b"Upgrade: h2c",
    b'Alt-Svc: h2="evil.test:443"',
    b"Content-Type: text/html; charset=\xff",
    b"X: " + b"a" * 70_000,
    b": x",
    b" folded",
]
heads = st.builds(
    lambda status, reason, headers: b"\r\n".join([b"HTTP/1.1 " + status + b" " + reason, *headers, b"", b""]),
    st.sampled_from(
        [b"200", b"204", b"301", b"307", b"401", b"408", b"429", b"503", b"100", b"101", b"599", b"999", b"000", b"2OO"]
    ),
    st.sampled_from([b"OK", b"", CANARY.encode(), b"\x1b[31m", b"::error::x"]),
    st.lists(
        st.integers(0, len(HEADERS) - 1).map(HEADERS.__getitem__)
        | header_values.map(lambda value: b"Retry-After: " + value),
        max_size=4,
    ),
)
BODIES = [
    b"",
    b"3\r\nabc\r\n0\r\n\r\n",
    b'{"value": false}',
    b'{"value": true}',
    CANARY.encode(),
    b"[" * 40_000,
    b"[" * 64 + b"]" * 64,
    b'{"value": false, "value": true}',
    b"\x1f\x8b\x08",
    b"9" * 9000,
    b"\xff\xfe",
    b"a" * 70_000,
]
bodies = st.integers(0, len(BODIES) - 1).map(BODIES.__getitem__) | mutated(ACCOUNT).map(
    lambda value: json.dumps(value).encode()
)
wires = st.builds(lambda head, body: head + body, heads, bodies) | st.binary(max_size=60)


class _Plug:
    """A server that answers every request with the bytes of the example, and then closes."""

    def __init__(self) -> None:
        self.answer = b""
        self.port = 0

    def talk(self, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(self.answer)

    def desired(self) -> Desired:
        base = f"http://127.0.0.1:{self.port}"
        return replace(DESIRED, endpoint=f"{base}/api/integrations/update-webhooks", partner_base_url=base)


class RootlessContext(ssl.SSLContext):
    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Load nothing: to read the system's roots takes longer than the rest of the test."""


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Plug]:
    """Every connection gets its `answer`."""
    tls = RootlessContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: tls)  # To make one takes longer than the rest of the test.
    made = _Plug()
    with server(made.talk) as made.port:
        yield made


def check(attempt: Attempt) -> None:
    assert CANARY not in attempt.message
    assert attempt.message.isprintable()
    assert attempt.retry_after_s is None or 0 <= attempt.retry_after_s < 1e12


in_a_fixture = settings(bounded, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@in_a_fixture
@given(answer=wires)
def test_any_answer_to_a_put_is_an_attempt(plug: _Plug, answer: bytes) -> None:
    """Its message repeats nothing of the answer."""

    async def put() -> Attempt:
        async with HttpPlug(EnvironCredentials(ENVIRON), timeout_s=5, environ={}) as client:
            return await client.put(plug.desired())

    plug.answer = answer
    check(asyncio.run(put()))


@in_a_fixture
@given(answer=wires)
def test_any_answer_to_a_read_is_an_attempt_and_perhaps_an_account(plug: _Plug, answer: bytes) -> None:
    """What is shown of an account holds no token."""

    async def read() -> Any:
        token = Secret(CANARY)
        observer = HttpObserver(EnvironCredentials(ENVIRON), token, "T", hidden=[token], timeout_s=5, environ={})
        async with observer:
            return await observer.read(plug.desired(), None, ())

    plug.answer = answer
    reading = asyncio.run(read())
    check(reading.attempt)
    assert CANARY not in repr(reading.comparisons)


@in_a_fixture
@given(answer=wires)
def test_any_answer_of_a_receiver_is_an_answer(plug: _Plug, answer: bytes) -> None:
    """The message repeats nothing of the answer."""

    async def post() -> Any:
        receivers = HttpReceivers(lambda text, environment: text, timeout_s=5)
        async with receivers:
            place = Place("http", "127.0.0.1", plug.port, allow_local=True)
            receiver = Receiver(f"http://127.0.0.1:{plug.port}/x", Event.MESSAGE_STATUS, ("production",), place)
            return await receivers.post(receiver, ProbeResult(CheckStage.CONNECT, ("127.0.0.1",), "127.0.0.1"), b"{}")

    plug.answer = answer
    found = asyncio.run(post())
    assert CANARY not in found.message and found.message.isprintable()


DATE_PIECES = [
    "Mon",
    ", ",
    "31 ",
    "Feb ",
    "Dec ",
    "0001 ",
    "9999 ",
    "23:59:60",
    "00:00:00",
    " ",
    "GMT",
    "+2400",
    "-9999",
    "-0000",
    ":",
    "(",
    ")",
]


@bounded
@given(st.lists(st.sampled_from([*DATE_PIECES, *PIECES]) | st.text(max_size=3), max_size=12).map("".join))
def test_any_retry_after_is_seconds_or_nothing(text: str) -> None:
    """Invalid dates are ignored."""
    found = parse_retry_after(text, datetime(2026, 11, 23, tzinfo=UTC))
    assert found is None or 0 <= found < 1e12
