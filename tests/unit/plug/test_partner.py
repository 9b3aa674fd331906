"""The read of an account over real sockets: what is sent, where to, and what is known afterwards.

See docs/plug-api.md#the-partner-api.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.attempts import Fate
from reconciler.core.observe import Verdict
from reconciler.core.partner_account import FIELDS
from reconciler.core.record import adopt
from reconciler.model import EVENTS, Applied, By, Desired, Event, Fingerprint
from reconciler.plug.credentials import EnvironCredentials
from reconciler.plug.partner import HttpObserver, account_url
from reconciler.plug.secret import Secret
from reconciler.ports import Reading
from tests.fakes import START, make_desired
from tests.wire import answering, http, keep_silent, read_head, server

PARTNER = "canary-partner-0123456789"
TOKEN = "canary-token-0123456789"
VALUE = "canary-secret-0123456789"
ENVIRON = {"PLUG_TOKEN_PRODUCTION": TOKEN, "PLUG_SECRET_A": VALUE, "PLUG_PARTNER_TOKEN": PARTNER}
DESIRED = make_desired(account_id="32133-31232")


def applied_of(desired: Desired, fingerprint: Fingerprint | None = None) -> Applied:
    found = adopt(None, desired, fingerprint or Fingerprint(), START, By(), lineage="l").applied
    assert found is not None
    return found


def account_of(desired: Desired, **fields: Any) -> bytes:
    return json.dumps({**{name: desired.webhooks[event] for event, name in FIELDS.items()}, **fields}).encode()


def read(
    port: int, desired: Desired = DESIRED, *, timeout_s: float = 5, applied: Applied | None = None, prefix: str = ""
) -> Reading:
    one = replace(desired, partner_base_url=f"http://localhost:{port}{prefix}")

    async def attempt() -> Reading:
        observer = HttpObserver(
            EnvironCredentials(ENVIRON),
            Secret(PARTNER),
            "PLUG_PARTNER_TOKEN",
            hidden=[Secret(value) for value in ENVIRON.values()],
            timeout_s=timeout_s,
            environ={"HTTP_PROXY": "http://127.0.0.1:9"},
        )
        async with observer:
            return await observer.read(one, applied or applied_of(one))

    reading = asyncio.run(attempt())
    assert not any(value in repr(reading) for value in ENVIRON.values())
    return reading


def verdicts(reading: Reading) -> dict[Event, Verdict]:
    assert reading.comparisons is not None
    return {one.event: one.verdict for one in reading.comparisons}


def test_the_bytes_on_the_wire_are_those_of_the_facts() -> None:
    """A GET below the base URL's prefix, a slash at its end, the partner token as a bearer, nothing of a company's."""
    seen: list[bytes] = []
    with server(answering(http("200 OK", account_of(DESIRED)), seen)) as port:
        reading = read(port, prefix="/prefix/")
    lines = seen[0].split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:] if line)
    assert lines[0] == b"GET /prefix/integrator/account/32133-31232/ HTTP/1.1"
    assert headers[b"authorization"] == f"Bearer {PARTNER}".lower().encode()
    assert headers[b"user-agent"].startswith(b"reconciler/")
    assert TOKEN.encode() not in seen[0]
    assert set(verdicts(reading)) == set(EVENTS)
    assert verdicts(reading)[Event.MESSAGE_STATUS] is Verdict.SAME


@pytest.mark.parametrize(
    ("account_id", "segment"),
    [
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b@c:d", "a%20b%40c%3Ad"),
        ("100%2F", "100%252F"),
        ("é\n", "%C3%A9%0A"),
    ],
)
def test_an_account_id_of_any_text_is_one_segment(account_id: str, segment: str) -> None:
    """It stays so on the wire, where a library might decode it."""
    seen: list[bytes] = []
    one = replace(DESIRED, account_id=account_id)
    assert account_url(replace(one, partner_base_url="https://h/")) == f"https://h/integrator/account/{segment}/"
    with server(answering(http("200 OK", account_of(one)), seen)) as port:
        read(port, one)
    assert seen[0].startswith(f"GET /integrator/account/{segment}/ HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("answer", "retriable", "word"),
    [
        (http("401 Unauthorized", PARTNER.encode()), False, "PLUG_PARTNER_TOKEN"),
        (http("403 Forbidden"), False, "PLUG_PARTNER_TOKEN"),
        (http("404 Not Found"), False, "account_id"),
        (http("405 No"), False, "partner.base_url"),
        (http("429 Slow down", b"", "Retry-After: 7"), True, "fewer"),
        (http("500 Oops", PARTNER.encode()), True, "failed"),
        (http("503 Later"), True, "not available"),
        (http("204 Nothing"), False, "without an account"),
        (http("201 Created", account_of(DESIRED)), False, "without an account"),
        (http("200 OK", b""), False, "not JSON"),
        (http("200 OK", b"<html>"), False, "not JSON"),
        (http("200 OK", b"\xff\xfe\x00"), False, "not JSON"),
        (http("200 OK", b"[" * 60_000), False, "nested"),
        (http("200 OK", b"[]"), False, "not a JSON object"),
        (http("200 OK", b'{"account": {}}'), False, "none of the webhooks"),
        (http("200 OK", b'{"onMessageStatus": null, "onMessageStatus": "x"}'), False, "twice"),
        (http("200 OK", account_of(DESIRED, pad="x" * 65_536)), False, "longer than"),
        (http("200 OK", gzip.compress(b" " * 10_000_000, mtime=0), "Content-Encoding: gzip"), False, "longer than"),
        (http("200 OK", account_of(DESIRED), "Content-Encoding: br"), False, "coding"),
        (http("200 OK", account_of(DESIRED)[:-9], length=5_000), True, "cut short"),
        (http("200 OK", b'{"x": ' + b"[" * 64 + b"]" * 64 + b"}"), False, "nested"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + account_of(DESIRED)[:-9], True, "cut short"),
        (b"HTTP/1.0 200 OK\r\n\r\n", True, "cut short"),
        (http("401 Unauthorized", length=9), False, "PLUG_PARTNER_TOKEN"),
        (b"", True, "no answer: Plug"),
        (b"\x00\x01nonsense\r\n\r\n", True, "not valid HTTP"),
    ],
)
def test_an_answer_without_an_account_shows_nothing_and_says_why(answer: bytes, retriable: bool, word: str) -> None:
    """The message is in our words, because an answer may echo the token."""
    with server(answering(answer)) as port:
        reading = read(port)
    assert reading.comparisons is None
    assert word in reading.attempt.message
    assert (reading.attempt.retriable and not reading.attempt.confirmed) is retriable
    assert reading.attempt.retry_after_s == (7.0 if b"Retry-After" in answer else None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    """The partner token goes to the configured host alone."""
    elsewhere: list[bytes] = []
    with server(answering(http("200 OK", account_of(DESIRED)), elsewhere)) as other:
        location = f"Location: http://localhost:{other}/integrator/account/32133-31232/"
        with server(answering(http(f"{status} Moved", b"", location))) as port:
            reading = read(port)
    assert elsewhere == []
    assert (reading.comparisons, reading.attempt.status, reading.attempt.retriable) == (None, status, False)
    assert "partner.base_url" in reading.attempt.message


def test_a_server_that_never_answers_runs_into_the_timeout() -> None:
    """The read may be retried."""
    with server(keep_silent) as port:
        reading = read(port, timeout_s=0.5)
    message = f"no answer: Plug (localhost:{port}) did not answer within 0.5 s"
    assert (reading.attempt.message, reading.attempt.retriable) == (message, True)


def test_an_answer_without_an_end_is_not_read_to_it() -> None:
    """After 64 KiB the connection is closed."""
    sent: list[int] = []

    def flood(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n")
        while True:
            connection.sendall(b" " * 65_536)
            sent.append(65_536)

    with server(flood) as port:
        reading = read(port)
    assert "longer than" in reading.attempt.message
    assert sum(sent) < 64 * 1024 * 1024


def test_a_surplus_answer_is_not_taken_for_the_next_account() -> None:
    """A connection with surplus bytes is not used again."""
    connections: list[int] = []

    def talk(connection: socket.socket) -> None:
        connections.append(1)
        while connection.recv(65536):
            connection.sendall(http("200 OK", account_of(DESIRED)) * 2)

    async def twice(port: int) -> list[Reading]:
        one = replace(DESIRED, partner_base_url=f"http://localhost:{port}")
        observer = HttpObserver(
            EnvironCredentials(ENVIRON), Secret(PARTNER), "PLUG_PARTNER_TOKEN", hidden=[], timeout_s=5, environ={}
        )
        async with observer:
            return [await observer.read(one, applied_of(one)) for _ in range(2)]

    with server(talk) as port:
        readings = asyncio.run(twice(port))
    assert all(reading.comparisons for reading in readings)
    assert len(connections) == 2


def test_a_refused_connection_says_so() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    attempt = read(port).attempt
    assert (attempt.fate, attempt.retriable) == (Fate.UNSENT, True)
    assert attempt.message == (
        f"not sent: the connection to Plug (localhost:{port}) was refused. "
        "Check partner.base_url, and whether a firewall is in the way"
    )


def test_an_invalid_proxy_is_reported_without_its_password() -> None:
    """Nothing is sent without the proxy either."""
    one = replace(DESIRED, partner_base_url="https://api.plugchat.com.br")

    async def attempt() -> Reading:
        observer = HttpObserver(
            EnvironCredentials(ENVIRON),
            Secret(PARTNER),
            "PLUG_PARTNER_TOKEN",
            hidden=[],
            timeout_s=5,
            environ={"HTTPS_PROXY": "ftp://ana:canary-password@proxy"},
        )
        async with observer:
            return await observer.read(one, applied_of(one))

    reading = asyncio.run(attempt())
    assert (reading.comparisons, reading.attempt.fate, reading.attempt.complete) == (None, Fate.UNSENT, False)
    assert reading.attempt.message == (
        "not sent: HTTPS_PROXY: not a valid proxy address (unset it, or write http://HOST:PORT)"
    )


def test_before_a_first_apply_only_the_unobservable_event_is_reported() -> None:
    """A first apply with --observe: there is nothing to compare with, nor a secret that was signed before."""
    with server(answering(http("200 OK", account_of(DESIRED)))) as port:
        one = replace(DESIRED, partner_base_url=f"http://localhost:{port}")

        async def attempt() -> Reading:
            observer = HttpObserver(
                EnvironCredentials(ENVIRON), Secret(PARTNER), "PLUG_PARTNER_TOKEN", hidden=[], timeout_s=5, environ={}
            )
            async with observer:
                return await observer.read(one, None)

        reading = asyncio.run(attempt())
    assert reading.attempt.message == "read"
    assert verdicts(reading) == {Event.WHEN_DISCONNECTING: Verdict.UNSEEN}


@pytest.mark.parametrize("value", ["5", "-" + "1" * 5000, "1.5", "true", "[]", "{}"])
def test_a_webhook_that_is_neither_text_nor_null_is_garbled(value: str) -> None:
    """A number may have more digits than Python reads."""
    body = account_of(DESIRED, onMessageStatus="HERE").replace(b'"HERE"', value.encode())
    with server(answering(http("200 OK", body))) as port:
        reading = read(port)
    assert verdicts(reading)[Event.MESSAGE_STATUS] is Verdict.GARBLED


# --- secrets -----------------------------------------------------------------------------------------

TEXT = "https://hooks.example.com/in?key={secret:PLUG_SECRET_A}"
SECRET = replace(DESIRED, secrets=("PLUG_SECRET_A",), webhooks={**DESIRED.webhooks, Event.RECEIVE_MESSAGE: TEXT})


def look(desired: Desired, url: str, applied: Applied | None = None) -> tuple[Verdict, str | None]:
    with server(answering(http("200 OK", account_of(desired, onReceiveMessage=url)))) as port:
        reading = read(port, desired, applied=applied)
    comparison = next(one for one in reading.comparisons or () if one.event is Event.RECEIVE_MESSAGE)
    return comparison.verdict, comparison.actual


def test_a_secret_is_compared_with_its_value_and_masked() -> None:
    """Only the placeholder and the host get out."""
    assert look(SECRET, f"https://hooks.example.com/in?key={VALUE}") == (Verdict.SAME, None)
    masked = (Verdict.DIFFERENT, "https://hooks.example.com/…")
    assert look(SECRET, f"https://hooks.example.com/in?key={VALUE}x") == masked


def test_a_replaced_secret_is_not_live_drift() -> None:
    """Plug holds the applied value, which is not available any more."""
    before = EnvironCredentials({**ENVIRON, "PLUG_SECRET_A": "the-one-before"}).fingerprint(SECRET)
    found = look(SECRET, "https://hooks.example.com/in?key=the-one-before", applied_of(SECRET, before))
    assert found == (Verdict.UNCOMPARED, None)
    same = EnvironCredentials(ENVIRON).fingerprint(SECRET)
    assert look(SECRET, "https://hooks.example.com/in?key=x", applied_of(SECRET, same))[0] is Verdict.DIFFERENT


def test_only_variables_that_the_manifest_names_are_compared_with() -> None:
    """An edited state must not cause a comparison with other variables."""
    text = "https://hooks.example.com/{secret:PLUG_PARTNER_TOKEN}"
    applied = replace(applied_of(SECRET), webhooks={**SECRET.webhooks, Event.RECEIVE_MESSAGE: text})
    assert look(SECRET, f"https://hooks.example.com/{PARTNER}", applied)[0] is Verdict.UNCOMPARED


@pytest.mark.parametrize("value", [TOKEN, VALUE, PARTNER, VALUE.replace("-", "%2D")])
def test_a_secret_pasted_into_another_url_is_masked_too(value: str) -> None:
    """The secret may be of another environment, in any event, and percent-encoded."""
    with server(answering(http("200 OK", account_of(DESIRED, onMessageStatus=f"https://x.com.br/{value}")))) as port:
        reading = read(port)
    comparison = next(one for one in reading.comparisons or () if one.event is Event.MESSAGE_STATUS)
    assert comparison.actual == "https://x.com.br/…"
