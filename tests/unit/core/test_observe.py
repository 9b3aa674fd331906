"""What follows from what was observed: live drift, findings, warnings (docs/contract.md#drift)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.cli.exitcode import ExitCode, of_drift
from reconciler.core.account import FIELDS, AvailableSecrets, compare_account, parse_account
from reconciler.core.drift import find_drift
from reconciler.core.observe import (
    NO_ACCOUNT_ID,
    UNOBSERVABLE,
    EventComparison,
    Observation,
    Verdict,
    describe_unobserved,
    find_live,
)
from reconciler.core.planner import PlanInput, make_plan, plan_environment
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.model import (
    Action,
    By,
    Desired,
    Document,
    Event,
    Finding,
    FindingKind,
    Fingerprint,
    LiveDifference,
    Reason,
)
from tests.fakes import START, make_desired

DESIRED = make_desired()
STATUS = Event.MESSAGE_STATUS
AVAILABLE = AvailableSecrets(value_of=lambda name: None)
NOW = PlanInput(now=START)
PRINT = Fingerprint("org:1")


def account_of(webhooks: Mapping[Event, str | None], **fields: Any) -> dict[str, Any]:
    return {"name": "x", "active": True, **{name: webhooks[event] for event, name in FIELDS.items()}, **fields}


EDITED = account_of({**DESIRED.webhooks, STATUS: "https://by.hand.example.com/"})


def applied(desired: Desired = DESIRED) -> Document:
    return adopt(None, desired, PRINT, START, By(), lineage="l")


def observation(account: Mapping[str, Any], document: Document | None, desired: Desired = DESIRED) -> Observation:
    record = document.applied.webhooks if document and document.applied else None
    return Observation(compare_account(parse_account(account), desired.webhooks, record, AVAILABLE))


def test_live_drift_makes_a_reassert_that_shows_what_was_observed() -> None:
    """With nothing else to do."""
    document = applied()
    planned = plan_environment(DESIRED, document, PRINT, NOW, observation(EDITED, document))
    assert (planned.action, planned.reasons, planned.unchecked) == (Action.REASSERT, (Reason.LIVE_DRIFT,), ())
    expected = LiveDifference(STATUS, "https://by.hand.example.com/", DESIRED.webhooks[STATUS])
    assert planned.live == (expected,)


def test_what_was_never_applied_has_nothing_to_drift_from() -> None:
    """A create is one, whatever Plug holds."""
    planned = plan_environment(DESIRED, None, PRINT, NOW, observation(EDITED, None))
    assert (planned.action, planned.reasons, planned.live) == (Action.CREATE, (Reason.NEVER_APPLIED,), ())


def test_an_observation_never_ends_doubt() -> None:
    """Though all that can be seen is as desired: the seventh can't be."""
    document = begin_intent(applied(), DESIRED, Claim("i", "l", START, 900, By()))
    planned = plan_environment(DESIRED, document, PRINT, NOW, observation(account_of(DESIRED.webhooks), document))
    assert (planned.action, planned.reasons) == (Action.REASSERT, (Reason.UNCERTAIN,))


def test_in_doubt_a_difference_is_told_with_its_likely_cause() -> None:
    """It may be our own PUT."""
    document = begin_intent(applied(), DESIRED, Claim("i", "l", START, 900, By()))
    seen = observation(EDITED, document)
    planned = plan_environment(DESIRED, document, PRINT, NOW, seen)
    assert planned.reasons == (Reason.UNCERTAIN, Reason.LIVE_DRIFT)
    findings = find_drift([planned], {}, {"production": document}, {"production": seen})
    assert findings[0].kind is FindingKind.LIVE
    assert findings[0].message.endswith("perhaps through the PUT in doubt")


def test_what_plug_holds_already_is_live_drift_until_it_is_applied() -> None:
    """Somebody did by hand what the manifest wants: an update, told as both."""
    document = applied()
    desired = replace(DESIRED, webhooks={**DESIRED.webhooks, STATUS: "https://by.hand.example.com/"})
    seen = observation(EDITED, document, desired)
    planned = plan_environment(desired, document, PRINT, NOW, seen)
    assert (planned.action, planned.reasons) == (Action.UPDATE, (Reason.WEBHOOKS_CHANGED, Reason.LIVE_DRIFT))
    live = find_drift([planned], {"production": desired}, {"production": document}, {"production": seen})[0]
    assert live.message.endswith("already what the manifest wants")


def test_an_update_that_plug_does_not_hold_yet_is_no_live_drift() -> None:
    """Applied against observed, not desired against observed."""
    document = applied(make_desired(version="0"))
    seen = observation(account_of(make_desired(version="0").webhooks), document)
    assert plan_environment(DESIRED, document, PRINT, NOW, seen).reasons == (Reason.WEBHOOKS_CHANGED,)


@pytest.mark.parametrize(
    ("seen", "unchecked"),
    [
        (None, ()),
        (UNOBSERVABLE, ()),
        (Observation(failure="500"), ("live",)),
        (Observation((EventComparison(STATUS, Verdict.GARBLED, reason="x"),)), ("live",)),
        (Observation((EventComparison(STATUS, Verdict.UNSEEN, reason="x"),)), ()),
    ],
)
def test_a_noop_says_that_it_could_not_be_observed(seen: Observation | None, unchecked: tuple[str, ...]) -> None:
    """Only where a read was to be made, and failed."""
    planned = plan_environment(DESIRED, applied(), PRINT, NOW, seen)
    assert (planned.action, planned.unchecked) == (Action.NOOP, unchecked)


def test_the_digest_knows_no_observation() -> None:
    """A reassert changes nothing that was not approved before."""
    document = {"production": applied()}
    seen = {"production": observation(EDITED, document["production"])}
    plain = make_plan([DESIRED], document, lambda one: PRINT, NOW)
    observed = make_plan([DESIRED], document, lambda one: PRINT, NOW, observations=seen)
    assert plain.digest == observed.digest
    assert (plain.observed, observed.observed) == (False, True)


def test_findings_are_as_the_contract_shows_them() -> None:
    """Expected is what was applied; what can't be seen is information."""
    document = applied()
    planned = plan_environment(DESIRED, document, PRINT, NOW)
    none = {"a": UNOBSERVABLE, "b": Observation(failure="500: broken")}
    seen = {"production": observation(EDITED, document), **none}
    assert find_drift([planned], {}, {"production": document}, seen) == [
        Finding(
            "production",
            FindingKind.LIVE,
            STATUS,
            DESIRED.webhooks[STATUS],
            "https://by.hand.example.com/",
            "Plug holds something else than was applied",
        ),
        Finding("a", FindingKind.UNOBSERVABLE, None, None, None, NO_ACCOUNT_ID),
        Finding("b", FindingKind.UNOBSERVABLE, None, None, None, "the read failed: 500: broken"),
        Finding(
            "production",
            FindingKind.UNOBSERVABLE,
            Event.WHEN_DISCONNECTING,
            None,
            None,
            "the partner API never shows it",
        ),
    ]


def test_a_failed_read_is_1_before_drift_is_2() -> None:
    """What can't be seen by its nature is 0."""
    live = Finding("a", FindingKind.LIVE, STATUS, None, None, "")
    unseen = Finding("a", FindingKind.UNOBSERVABLE, None, None, None, "")
    assert of_drift([unseen]) is ExitCode.DONE
    assert of_drift([live, unseen]) is ExitCode.CHANGES
    assert of_drift([live, unseen], failed=True) is ExitCode.NOT_APPLIED


def test_reads_that_failed_alike_are_one_warning() -> None:
    """With the environments' names."""
    failed = Observation(failure="500: broken")
    told = describe_unobserved({"b": failed, "a": failed, "c": UNOBSERVABLE, "d": Observation(failure="no")})
    assert told == ("not observed: a, b: 500: broken", "not observed: d: no")


def test_a_plan_of_what_was_never_applied_shows_no_live_drift() -> None:
    """There is nothing that it could differ from."""
    seen = Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.DIFFERENT, "https://x.example.com/…"),))
    assert find_live(seen, make_desired(), None) == ()
