"""The list of receivers, and the result of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.receivers import (
    Answer,
    Place,
    ProbeResult,
    Receiver,
    choose_addresses,
    conclude,
    explain_status,
    find_receivers,
    find_refusals,
    place_of,
)
from reconciler.model import EVENTS, CheckResult, CheckStage, Event
from tests.fakes import ENDPOINT, make_desired

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LOCAL = "http://127.0.0.1:8080/api/integrations/update-webhooks"
SHARED = dict.fromkeys(EVENTS, "https://hooks.acme.com.br/plug")


def receiver(**how: Any) -> Receiver:
    place = Place("https", "hooks.acme.com.br", 443, allow_local=False)
    values = {"url": SHARED[EVENTS[0]], "event": EVENTS[0], "environments": ("a",), "place": place}
    return Receiver(**{**values, **how})


def test_a_url_and_event_that_environments_share_is_one_receiver() -> None:
    """The same URL for another event is another receiver, as the bodies differ."""
    found = find_receivers([make_desired(name, webhooks=SHARED) for name in "ba"], allow_local_receivers=False)
    assert [(one.event, one.environments) for one in found] == [(event, ("a", "b")) for event in EVENTS]
    assert {one.place for one in found} == {receiver().place}


@pytest.mark.parametrize(
    ("setting", "endpoints", "allowed"),
    [(True, (LOCAL, LOCAL), True), (False, (LOCAL, LOCAL), False), (True, (LOCAL, ENDPOINT), False)],
)
def test_loopback_needs_the_setting_and_a_base_url_on_loopback(
    setting: bool, endpoints: tuple[str, ...], allowed: bool
) -> None:
    """Every environment that uses the URL must have such a base URL."""
    desired = [make_desired(f"e{place}", webhooks=SHARED, endpoint=one) for place, one in enumerate(endpoints)]
    assert {one.place.allow_local for one in find_receivers(desired, allow_local_receivers=setting)} == {allowed}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Hooks.Acme.com.br/x", ("https", "hooks.acme.com.br", 443)),
        ("https://hooks.acme.com.br:8443?x", ("https", "hooks.acme.com.br", 8443)),
        ("https://[2a00:1::1]:444/x", ("https", "2a00:1::1", 444)),
        ("http://localhost", ("http", "localhost", 80)),
    ],
)
def test_a_place_is_scheme_host_and_port(url: str, place: tuple[str, str, int]) -> None:
    """Receivers of one place share connections."""
    assert place_of(url, allow_local=False) == Place(*place, allow_local=False)


def test_only_public_addresses_are_connected_to() -> None:
    """Loopback is the only exception, if it is allowed."""
    found = ("93.184.216.34", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "2a00:1450:4001::1", "x", "fe80::1%2")
    assert choose_addresses(found, allow_local=False) == ("93.184.216.34", "2a00:1450:4001::1")
    assert choose_addresses(found, allow_local=True) == ("93.184.216.34", "127.0.0.1", "::1", "2a00:1450:4001::1")


def test_the_first_failing_answer_decides() -> None:
    """The message has the number of the example. The latency is that of the slowest answer."""
    probe = ProbeResult(CheckStage.TLS, ("93.184.216.34",), "93.184.216.34", NOW + timedelta(days=40), 0.5)
    answers = [Answer(CheckStage.POST, 200, 0.2), Answer(CheckStage.POST, 422, 0.1)]
    result = conclude(receiver(), probe, answers, NOW)
    assert (result.ok, result.status, result.latency_s, result.certificate_days) == (False, 422, 0.2, 40)
    assert result.message == "example 2: answered 422: the receiver refused the example"
    passed = conclude(receiver(), probe, answers[:1], NOW)
    assert (passed.ok, passed.stage, passed.message, passed.warning) == (True, CheckStage.POST, "", "")
    looked = conclude(receiver(), probe, [], NOW)
    assert (looked.ok, looked.stage, looked.latency_s) == (True, CheckStage.TLS, 0.5)


@pytest.mark.parametrize("status", [None, 100, 199, 300, 304, 400, 401, 404, 418, 429, 500, 503, 599, 999])
def test_every_status_is_explained(status: int | None) -> None:
    """The explanation begins with the status."""
    text = explain_status(status)
    assert text == "no answer" if status is None else text.startswith(f"answered {status}")


def test_these_statuses_have_an_explanation_of_their_own() -> None:
    """The others are explained by their class."""
    common = ("a redirect", "the receiver failed while", "the receiver refused the example", "which is not a 2xx")
    own = [status for status in range(100, 600) if not any(text in explain_status(status) for text in common)]
    assert own == [401, 403, 404, 405, 410, 413, 415, 429, 502, 503, 504]


def test_an_environment_is_refused_for_each_of_its_failing_receivers() -> None:
    """The first two are named, in the order of `EVENTS`, with their reasons; the others are counted."""
    probe = ProbeResult(CheckStage.CONNECT, message="the connection was refused")
    good = ProbeResult(CheckStage.TLS, address="93.184.216.34")
    results = [conclude(receiver(event=event, environments=("a", "b")), probe, [], NOW) for event in EVENTS]
    single = conclude(receiver(event=Event.MESSAGE_STATUS, environments=("c",)), probe, [], NOW)
    fine = conclude(receiver(environments=("d",)), good, [Answer(CheckStage.POST, 204)], NOW)
    refusals = find_refusals(CheckResult((*reversed(results), single, fine)))
    assert refusals == {
        "a": "not sent: 7 receivers fail the check. finishAttendance: the connection was refused; "
        "startAttendance: the connection was refused; and 5 more (`reconciler check`)",
        "b": refusals["a"],
        "c": "not sent: a receiver fails the check. messageStatus: the connection was refused",
    }


def test_with_the_applied_webhooks_only_changed_urls_are_receivers() -> None:
    """The text of the URL is compared; all seven of a new environment are receivers."""
    moved = make_desired("a", webhooks={**SHARED, EVENTS[2]: "https://new.acme.com.br/plug"})
    same, new = make_desired("b", webhooks=SHARED), make_desired("c", webhooks=SHARED)
    found = find_receivers(
        [moved, same, new], allow_local_receivers=False, applied={"a": SHARED, "b": SHARED, "gone": SHARED}
    )
    assert [(one.event, one.environments) for one in found if "a" in one.environments] == [(EVENTS[2], ("a",))]
    assert [one.event for one in found if one.environments == ("c",)] == list(EVENTS)
    assert len(found) == 8
