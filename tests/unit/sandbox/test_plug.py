"""The model of Plug, without HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model import EVENTS, BodyForm, Event
from reconciler.sandbox.plug import (
    MAX_BODY_BYTES,
    Malformed,
    Options,
    PutFate,
    SimulatedPlug,
    is_loopback,
    parse_edit,
    parse_webhooks,
)

SEVEN = {event: f"https://hooks.example.com/{event}" for event in EVENTS}


def _fates(count: int = 200, token: str = "t", **options: Any) -> list[PutFate]:
    plug = SimulatedPlug(Options(**options))
    return [plug.put(token, SEVEN) for _ in range(count)]


def test_a_seed_gives_the_same_fates_again() -> None:
    """Chance depends on the seed, the token and the number of the PUT alone."""
    assert _fates(failure_rate=0.3, lost_answers=0.3, seed=7) == _fates(failure_rate=0.3, lost_answers=0.3, seed=7)


def test_another_seed_gives_other_fates() -> None:
    """Two seeds don't agree over 200 PUTs."""
    assert _fates(failure_rate=0.5, seed=1) != _fates(failure_rate=0.5, seed=2)


def test_fates_do_not_depend_on_how_companies_interleave() -> None:
    """A company meets the same faults whether it is alone or not."""
    plug = SimulatedPlug(Options(failure_rate=0.4, seed=3))
    mine = []
    for number in range(200):
        plug.put(f"other-{number}", SEVEN)
        mine.append(plug.put("t", SEVEN))
    assert mine == _fates(failure_rate=0.4, seed=3)


def test_rates_are_shares() -> None:
    """Rates of a tenth and a half give about that many of 2,000 PUTs."""
    fates = _fates(2000, failure_rate=0.1, lost_answers=0.5)
    failed = sum(not fate.acts for fate in fates)
    assert 120 < failed < 290
    assert 750 < fates.count(PutFate.LOST) < 1050
    assert {PutFate.UNAVAILABLE, PutFate.BROKEN} <= set(fates)


@pytest.mark.parametrize(
    ("options", "fates"),
    [
        ({}, {PutFate.DONE}),
        ({"failure_rate": 1.0}, {PutFate.UNAVAILABLE, PutFate.BROKEN}),
        ({"lost_answers": 1.0}, {PutFate.LOST}),
    ],
)
def test_rates_of_zero_and_one_leave_nothing_to_chance(options: dict[str, Any], fates: set[PutFate]) -> None:
    """Zero is never, one is always."""
    assert set(_fates(**options)) == fates


def test_a_failed_put_changes_nothing() -> None:
    """The company keeps what it had, and the PUT is only in the log."""
    plug = SimulatedPlug(Options(failure_rate=1.0))
    plug.put("t", SEVEN)
    company = plug.company("t")
    assert (company.puts, company.received, set(company.webhooks.values())) == (0, 1, {None})


def test_a_lost_answer_is_a_put_that_was_done() -> None:
    """The company has the new webhooks."""
    plug = SimulatedPlug(Options(lost_answers=1.0))
    plug.put("t", SEVEN)
    assert plug.company("t").webhooks == SEVEN
    assert plug.company("t").puts == 1


def test_the_rate_limit_lets_a_second_s_worth_through() -> None:
    """A burst of N passes, then one every N-th of a second."""
    now = [100.0]
    plug = SimulatedPlug(Options(rate_limit=2), clock=lambda: now[0])
    assert [plug.put(f"t{number}", SEVEN) for number in range(3)] == [PutFate.DONE, PutFate.DONE, PutFate.LIMITED]
    assert plug.retry_after_s() == 1
    now[0] += 0.5
    assert [plug.put("t", SEVEN) for _ in range(2)] == [PutFate.DONE, PutFate.LIMITED]
    now[0] += 3600
    assert [plug.put("t", SEVEN) for _ in range(3)] == [PutFate.DONE, PutFate.DONE, PutFate.LIMITED]


def test_a_slow_rate_limit_says_how_long_to_wait() -> None:
    """A limit below one a second still lets one through, and asks for the rest of its time."""
    plug = SimulatedPlug(Options(rate_limit=0.25), clock=lambda: 0.0)
    assert [plug.put("t", SEVEN) for _ in range(2)] == [PutFate.DONE, PutFate.LIMITED]
    assert plug.retry_after_s() == 4


def test_limited_puts_do_not_shift_the_faults() -> None:
    """The numbers depend on the company's PUTs alone."""
    plug = SimulatedPlug(Options(failure_rate=0.5, seed=5, rate_limit=1000), clock=lambda: 0.0)
    fates = [plug.put("t", SEVEN) for _ in range(200)]
    assert fates == _fates(failure_rate=0.5, seed=5)


def test_forced_fates_come_before_chance() -> None:
    """A test may set the fates of the next PUTs, also under a rate limit."""
    plug = SimulatedPlug(Options(rate_limit=5))
    plug.forced.extend([PutFate.LIMITED, PutFate.LOST])
    assert [plug.put("t", SEVEN) for _ in range(3)] == [PutFate.LIMITED, PutFate.LOST, PutFate.DONE]
    assert plug.retry_after_s() == 1


def test_every_put_is_kept_with_its_fate() -> None:
    """The log has the token and the fate of each PUT."""
    plug = SimulatedPlug(Options())
    plug.forced.append(PutFate.UNAVAILABLE)
    plug.put("a", SEVEN)
    plug.put("b", SEVEN)
    assert [(put.token, put.fate, put.webhooks) for put in plug.received] == [
        ("a", PutFate.UNAVAILABLE, SEVEN),
        ("b", PutFate.DONE, SEVEN),
    ]


@pytest.mark.parametrize("form", BodyForm)
def test_a_put_in_another_form_is_ignored_and_leaves_chance_unchanged(form: BodyForm) -> None:
    """The company keeps what it had; a PUT that would have failed fails."""
    plug = SimulatedPlug(Options(body_forms=frozenset({form}), failure_rate=0.5, seed=5))
    fates = [plug.put("t", SEVEN, BodyForm.VALUE) for _ in range(50)]
    expected = {PutFate.DONE: PutFate.DONE if form is BodyForm.VALUE else PutFate.IGNORED}
    assert fates == [expected.get(fate, fate) for fate in _fates(50, failure_rate=0.5, seed=5)]
    assert (plug.company("t").puts > 0) == (plug.company("t").webhooks == SEVEN) == (form is BodyForm.VALUE)


def test_no_representation_shows_a_token() -> None:
    """What a failing assertion prints holds no token."""
    plug = SimulatedPlug(Options(tokens=frozenset({"canary"}), accounts={"1": "canary"}))
    plug.put("canary", SEVEN)
    assert "canary" not in f"{plug.options!r} {plug.received!r} {plug.company('canary')!r} {plug!r}"


def test_an_account_shows_what_is_set() -> None:
    """The five documented fields always, null where unset; messageDeliveryError where it is set."""
    plug = SimulatedPlug(Options(accounts={"7": "t"}))
    unset = plug.account("7")
    assert unset == {
        "name": "sandbox 7",
        "externalId": "7",
        "active": True,
        "onStartAttendance": None,
        "onFinishAttendance": None,
        "onReceiveMessage": None,
        "onSendingMessage": None,
        "onMessageStatus": None,
    }
    plug.put("t", SEVEN)
    shown = plug.account("7")
    assert shown is not None
    assert shown.keys() == unset.keys() | {"onMessageDeliveryError"}
    assert shown["onMessageDeliveryError"] == SEVEN[Event.MESSAGE_DELIVERY_ERROR]
    assert shown["onFinishAttendance"] == SEVEN[Event.FINISH_ATTENDANCE]
    assert plug.account("8") is None


def _put_body(**changes: object) -> bytes:
    return json.dumps({**SEVEN, **changes}).encode()


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "HTTPS://hooks.example.com/x?key=1",
        "http://127.0.0.1:8000/x",
        "http://localhost/x",
        "http://[::1]:80/",
    ],
)
def test_https_and_loopback_are_accepted(url: str) -> None:
    """Plain http is accepted if the host is this machine."""
    form, webhooks = parse_webhooks(_put_body(startAttendance=url))
    assert (form, webhooks[Event.START_ATTENDANCE]) == (BodyForm.FLAT, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://hooks.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://[::1/",
        "ftp://x.example.com",
        "https://",
        "https:///x",
        "https://x y",
        " https://x.example.com",
        "https://x.example.com/\n",
        "https://x.example.com/\ud800",
        "x.example.com",
        None,
        7,
        ["https://x.example.com"],
    ],
)
def test_other_urls_are_refused_by_the_event_s_name(url: object) -> None:
    """The reason names the event and doesn't repeat the value."""
    with pytest.raises(Malformed, match=r"^startAttendance is not [^:/]+$"):
        parse_webhooks(_put_body(startAttendance=url))


def test_the_form_of_a_body_is_found() -> None:
    """Only an object under the one key `value` is the other form."""
    assert parse_webhooks(json.dumps({"value": SEVEN}).encode()) == (BodyForm.VALUE, SEVEN)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"value": "https://x.example.com"}', "missing: .*; not among the seven: 1"),
        (b'{"value": {}}', "missing: finishAttendance"),
        (_put_body(value={}), "not among the seven: 1$"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b" " * (MAX_BODY_BYTES + 1), "larger"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "missing: finishAttendance, startAttendance"),
        (_put_body(canary="https://x.example.com"), "not among the seven: 1$"),
    ],
)
def test_malformed_bodies_are_explained(body: bytes, reason: str) -> None:
    """Each fault has its own words, and none repeats what was sent."""
    with pytest.raises(Malformed, match=reason) as raised:
        parse_webhooks(body)
    assert "canary" not in str(raised.value)


def test_an_edit_may_be_partial_and_null() -> None:
    """The dashboard changes one webhook, or empties it."""
    edit = {"messageStatus": None, "startAttendance": "https://x.example.com"}
    assert parse_edit(edit) == edit


@pytest.mark.parametrize("edit", [None, [], {"status": None}, {"messageStatus": "x"}, {"messageStatus": 1}])
def test_an_edit_that_plug_would_refuse_is_refused(edit: object) -> None:
    """Unknown names and values that are no URL."""
    with pytest.raises(Malformed):
        parse_edit(edit)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("LocalHost", True),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_known_by_its_spelling(host: str | None, expected: bool) -> None:
    """No name is resolved."""
    assert is_loopback(host) is expected
