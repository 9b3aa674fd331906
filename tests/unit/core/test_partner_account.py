"""The comparison of an account with the applied webhooks (docs/plug-api.md#the-partner-api)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.masking import mask_url
from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.partner_account import FIELDS, AvailableSecrets, NotAnAccount, compare_account, parse_account
from reconciler.model import EVENTS, Event
from tests.fakes import make_desired

VALUE = "canary-secret-value"
TEXT = "https://hooks.example.com/in?key={secret:PLUG_SECRET_A}&v=1"
AVAILABLE = AvailableSecrets(value_of={"PLUG_SECRET_A": VALUE}.get, occur_in=lambda url: VALUE in url)
UNAVAILABLE = AvailableSecrets(value_of=lambda name: None, occur_in=lambda url: False)
REPLACED = replace(AVAILABLE, replaced=frozenset({"PLUG_SECRET_A"}))
DESIRED = make_desired()
STATUS = Event.MESSAGE_STATUS


def account_of(webhooks: Mapping[Event, str | None], **fields: Any) -> dict[str, Any]:
    return {"name": "x", "active": True, **{name: webhooks[event] for event, name in FIELDS.items()}, **fields}


def comparisons(
    account: Mapping[str, Any],
    applied: Mapping[Event, str] | None = DESIRED.webhooks,
    desired: Mapping[Event, str] = DESIRED.webhooks,
    secrets: AvailableSecrets = AVAILABLE,
) -> dict[Event, EventComparison]:
    return {one.event: one for one in compare_account(parse_account(account), desired, applied, secrets, ())}


def compare_one(
    text: str, url: str | None, secrets: AvailableSecrets = AVAILABLE, desired: str | None = None
) -> EventComparison:
    """Return the comparison of one event whose applied text is `text` and whose account shows `url`."""
    applied = {**DESIRED.webhooks, STATUS: text}
    wanted = {**DESIRED.webhooks, STATUS: text if desired is None else desired}
    return comparisons(account_of({**DESIRED.webhooks, STATUS: url}), applied, wanted, secrets)[STATUS]


def test_the_fields_are_those_of_the_vendors_example() -> None:
    """onMessageDeliveryError is documented elsewhere; whenDisconnecting has no field."""
    example = {"onStartAttendance", "onFinishAttendance", "onReceiveMessage", "onSendingMessage", "onMessageStatus"}
    assert example == set(FIELDS.values()) - {"onMessageDeliveryError"}
    assert set(EVENTS) - set(FIELDS) == {Event.WHEN_DISCONNECTING}


def test_the_applied_urls_compare_as_the_same() -> None:
    """Six of the seven are compared; the last one is never shown."""
    seen = comparisons(account_of(DESIRED.webhooks))
    assert {event for event, one in seen.items() if one.verdict is Verdict.SAME} == set(FIELDS)
    assert seen[Event.WHEN_DISCONNECTING].verdict is Verdict.UNSEEN


def test_null_and_an_empty_text_mean_nothing_registered() -> None:
    """Both differ from an applied URL."""
    for nothing in (None, ""):
        assert compare_one("https://a.example.com/", nothing) == EventComparison(STATUS, Verdict.DIFFERENT, None)


def test_a_field_that_is_absent_is_unseen() -> None:
    """onMessageDeliveryError may be absent (docs/plug-api.md#the-partner-api)."""
    account = account_of(DESIRED.webhooks)
    del account["onMessageDeliveryError"]
    assert comparisons(account)[Event.MESSAGE_DELIVERY_ERROR].verdict is Verdict.UNSEEN


@pytest.mark.parametrize("value", [1, True, [], {"url": "https://a.example.com/"}, ["https://a.example.com/"], 1.5])
def test_a_field_of_another_type_is_garbled(value: object) -> None:
    """The read of this field failed; the others are compared."""
    seen = comparisons(account_of(DESIRED.webhooks, onMessageStatus=value))
    assert seen[STATUS].verdict is Verdict.GARBLED
    assert seen[Event.RECEIVE_MESSAGE].verdict is Verdict.SAME
    assert Observation(tuple(seen.values())).faults == (f"messageStatus: {seen[STATUS].reason}",)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        1,
        {},
        {"data": account_of(DESIRED.webhooks)},
        {"value": False},
        [account_of({**DESIRED.webhooks})],
    ],
)
def test_an_answer_that_is_not_an_account_is_refused(value: object) -> None:
    """A wrapped, empty or other value never counts as an account with nothing registered."""
    with pytest.raises(NotAnAccount):
        parse_account(value)


@pytest.mark.parametrize(
    ("url", "secrets", "verdict"),
    [
        (TEXT.replace("{secret:PLUG_SECRET_A}", VALUE), AVAILABLE, Verdict.SAME),
        (TEXT.replace("{secret:PLUG_SECRET_A}", "other"), AVAILABLE, Verdict.DIFFERENT),
        (TEXT, AVAILABLE, Verdict.DIFFERENT),
        (TEXT.replace("{secret:PLUG_SECRET_A}", VALUE), UNAVAILABLE, Verdict.UNCOMPARED),
        (TEXT.replace("{secret:PLUG_SECRET_A}", "any"), UNAVAILABLE, Verdict.UNCOMPARED),
        (TEXT.replace("{secret:PLUG_SECRET_A}", ""), UNAVAILABLE, Verdict.DIFFERENT),
        ("https://hooks.example.com/in?key=any&v=2", UNAVAILABLE, Verdict.DIFFERENT),
        ("https://evil.example.com/in?key=any&v=1", UNAVAILABLE, Verdict.DIFFERENT),
        ("http://hooks.example.com/in?key=any&v=1", UNAVAILABLE, Verdict.DIFFERENT),
        (None, UNAVAILABLE, Verdict.DIFFERENT),
        (TEXT.replace("{secret:PLUG_SECRET_A}", VALUE), REPLACED, Verdict.SAME),
        (TEXT.replace("{secret:PLUG_SECRET_A}", "the-applied-one"), REPLACED, Verdict.UNCOMPARED),
        ("https://evil.example.com/in?key=any&v=1", REPLACED, Verdict.DIFFERENT),
    ],
)
def test_a_secret_is_compared_if_its_value_is_available(
    url: str | None, secrets: AvailableSecrets, verdict: Verdict
) -> None:
    """Without the value a URL is different if the rest differs, else uncompared, but never the same."""
    seen = compare_one(TEXT, url, secrets)
    assert seen.verdict is verdict
    assert (seen.reason != "") is (verdict is Verdict.UNCOMPARED)
    assert VALUE not in repr(seen)


def test_one_of_two_secrets_is_compared_if_only_it_is_available() -> None:
    """The other one may have any value that isn't empty."""
    text = "https://a.example.com/{secret:PLUG_SECRET_A}/{secret:PLUG_SECRET_B}{{x}}"
    assert compare_one(text, f"https://a.example.com/{VALUE}/b{{x}}").verdict is Verdict.UNCOMPARED
    assert compare_one(text, f"https://a.example.com/{VALUE}/{{x}}").verdict is Verdict.DIFFERENT
    assert compare_one(text, "https://a.example.com/other/b{x}").verdict is Verdict.DIFFERENT
    assert compare_one(text, f"https://a.example.com/{VALUE}/b{{x}}y").verdict is Verdict.DIFFERENT


def test_literal_braces_are_compared_as_sent_and_shown_doubled() -> None:
    """Every text form doubles them."""
    text = "https://a.example.com/{{x}}"
    assert compare_one(text, "https://a.example.com/{x}").verdict is Verdict.SAME
    assert compare_one(text, text) == EventComparison(STATUS, Verdict.DIFFERENT, "https://a.example.com/{{{{x}}}}")


@pytest.mark.parametrize(
    ("text", "desired", "url", "actual"),
    [
        ("https://a.example.com/", None, "https://b.example.com/?x=1", "https://b.example.com/?x=…"),
        (TEXT, None, "https://b.example.com:8443/?key=1", "https://b.example.com:8443/…"),
        ("https://a.example.com/", TEXT, "https://b.example.com/?key=1", "https://b.example.com/…"),
        ("https://a.example.com/", None, f"https://b.example.com/{VALUE}", "https://b.example.com/…"),
        ("https://a.example.com/", None, f"https://{VALUE}.example.com/", "…"),
        (TEXT, None, f"https://u:{VALUE}@b.example.com/", "https://b.example.com/…"),
        (TEXT, None, f"{VALUE}", "…"),
        (TEXT, None, f"https://b.example.com#{VALUE}", "https://b.example.com/…"),
        (TEXT, None, f"https://b.example.com\\@{VALUE}", "https://b.example.com/…"),
        (TEXT, None, "https://b\n.example.com/", "…"),
    ],
)
def test_a_url_that_may_hold_a_secret_is_masked(text: str, desired: str | None, url: str, actual: str) -> None:
    """The applied URL, the desired one and the URL itself decide."""
    assert compare_one(text, url, desired=desired).actual == actual


@pytest.mark.parametrize(
    ("secrets", "past", "url", "actual"),
    [
        (UNAVAILABLE, (), f"https://hooks.example.com/in?key={VALUE}", "https://hooks.example.com/…"),
        (REPLACED, (), "https://hooks.example.com/in?key=former&v=2", "https://hooks.example.com/…"),
        (AVAILABLE, (), "https://hooks.example.com/in?key=other", "https://hooks.example.com/in?key=…"),
        (UNAVAILABLE, (), "https://hooks.example.com/in", "https://hooks.example.com/in"),
        (UNAVAILABLE, (), "https://other.example.com/in?key=1", "https://other.example.com/in?key=…"),
        (AVAILABLE, ({STATUS: TEXT},), "https://other.example.com/in?key=1", "https://other.example.com/…"),
        (
            AVAILABLE,
            ({Event.SENDING_MESSAGE: "https://h.example.com/{secret:PLUG_SECRET_A}/in"},),
            "https://h.example.com/former/in",
            "https://h.example.com/…",
        ),
        (
            AVAILABLE,
            ({Event.SENDING_MESSAGE: "https://h.example.com/{secret:PLUG_SECRET_A}/in"},),
            "https://h.example.com/former/out",
            "https://h.example.com/former/out",
        ),
    ],
)
def test_a_url_that_may_be_another_events_with_its_secret_is_masked(
    secrets: AvailableSecrets, past: tuple[Mapping[Event, str], ...], url: str, actual: str
) -> None:
    """If the value can't be searched for, an equal text before the secret decides; so does the event's history."""
    webhooks = {**DESIRED.webhooks, Event.RECEIVE_MESSAGE: TEXT}
    account = parse_account(account_of({**webhooks, STATUS: url}))
    seen = {one.event: one for one in compare_account(account, webhooks, webhooks, secrets, past)}
    assert (seen[STATUS].verdict, seen[STATUS].actual) == (Verdict.DIFFERENT, actual)


def test_a_url_longer_than_any_webhook_is_cut() -> None:
    """A URL of 64 KiB would flood a terminal."""
    actual = compare_one("https://a.example.com/", "https://b.example.com/" + "x" * 60_000).actual
    assert actual is not None
    assert (len(actual), actual[-1]) == (2049, "…")


def test_masking_any_text_shows_at_most_scheme_host_and_port() -> None:
    """A dashboard may have accepted any text."""
    assert mask_url("https://[2001:db8::1]:443/x") == "https://[2001:db8::1]:443/…"
    assert mask_url("HTTPS://A.example.com") == "HTTPS://A.example.com/…"
    for text in ("", "key=1", "ftp://a.example.com/", "https://", "https://a b/", "//a.example.com/"):
        assert mask_url(text) == "…"
