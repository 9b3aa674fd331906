"""The effects of an observation: live drift, findings, warnings (docs/contract.md#drift)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.cli.exitcode import ExitCode, of_drift
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
from reconciler.core.partner_account import FIELDS, AvailableSecrets, compare_account, parse_account
from reconciler.core.planner import PlanInput, make_plan, plan_environment
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.model import (
    Action,
    By,
    Desired,
    Document,
    Drift,
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
AVAILABLE = AvailableSecrets(value_of=lambda name: None, occur_in=lambda url: False)
NOW = PlanInput(now=START)
PRINT = Fingerprint("org:1")


def account_of(webhooks: Mapping[Event, str | None], **fields: Any) -> dict[str, Any]:
    return {"name": "x", "active": True, **{name: webhooks[event] for event, name in FIELDS.items()}, **fields}


EDITED = account_of({**DESIRED.webhooks, STATUS: "https://by.hand.example.com/"})


def applied(desired: Desired = DESIRED) -> Document:
    return adopt(None, desired, PRINT, START, By(), lineage="l")


def observation(account: Mapping[str, Any], document: Document | None, desired: Desired = DESIRED) -> Observation:
    record = document.applied.webhooks if document and document.applied else None
    return Observation(compare_account(parse_account(account), desired.webhooks, record, AVAILABLE, ()))


def test_live_drift_makes_a_reassert_that_shows_what_was_observed() -> None:
    """The environment has no other reason."""
    document = applied()
    planned = plan_environment(DESIRED, document, PRINT, NOW, observation(EDITED, document))
    assert (planned.action, planned.reasons, planned.unchecked) == (Action.REASSERT, (Reason.LIVE_DRIFT,), ())
    expected = LiveDifference(STATUS, "https://by.hand.example.com/", DESIRED.webhooks[STATUS])
    assert planned.live == (expected,)


def test_an_environment_never_applied_has_no_live_drift() -> None:
    """A create stays a create, even if Plug holds other URLs."""
    planned = plan_environment(DESIRED, None, PRINT, NOW, observation(EDITED, None))
    assert (planned.action, planned.reasons, planned.live) == (Action.CREATE, (Reason.NEVER_APPLIED,), ())


def test_an_observation_never_ends_doubt() -> None:
    """All visible events are as desired, but the seventh is never shown."""
    document = begin_intent(applied(), DESIRED, Claim("i", "l", START, 900, By()))
    planned = plan_environment(DESIRED, document, PRINT, NOW, observation(account_of(DESIRED.webhooks), document))
    assert (planned.action, planned.reasons) == (Action.REASSERT, (Reason.UNCERTAIN,))


def test_a_difference_in_doubt_has_its_likely_cause() -> None:
    """The unfinished PUT may have caused it."""
    document = begin_intent(applied(), DESIRED, Claim("i", "l", START, 900, By()))
    seen = observation(EDITED, document)
    planned = plan_environment(DESIRED, document, PRINT, NOW, seen)
    assert planned.reasons == (Reason.UNCERTAIN, Reason.LIVE_DRIFT)
    findings = find_drift([planned], {}, {"production": document}, {"production": seen})
    assert findings[0].kind is FindingKind.LIVE
    assert findings[0].message.endswith("perhaps through the PUT in doubt")


def test_a_desired_url_that_plug_already_holds_is_live_drift_until_it_is_applied() -> None:
    """If somebody registered the desired URL by hand, the plan has an update and live drift."""
    document = applied()
    desired = replace(DESIRED, webhooks={**DESIRED.webhooks, STATUS: "https://by.hand.example.com/"})
    seen = observation(EDITED, document, desired)
    planned = plan_environment(desired, document, PRINT, NOW, seen)
    assert (planned.action, planned.reasons) == (Action.UPDATE, (Reason.WEBHOOKS_CHANGED, Reason.LIVE_DRIFT))
    live = find_drift([planned], {"production": desired}, {"production": document}, {"production": seen})[0]
    assert live.message.endswith("already what the manifest wants")


def test_an_update_that_plug_does_not_hold_yet_is_not_live_drift() -> None:
    """The applied URLs are compared with the observed ones, not the desired ones."""
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
    """It says so only if a read was tried and failed."""
    planned = plan_environment(DESIRED, applied(), PRINT, NOW, seen)
    assert (planned.action, planned.unchecked) == (Action.NOOP, unchecked)


def test_the_digest_does_not_depend_on_observations() -> None:
    """A reassert only sends what was approved before."""
    document = {"production": applied()}
    seen = {"production": observation(EDITED, document["production"])}
    plain = make_plan([DESIRED], document, lambda one: PRINT, NOW)
    observed = make_plan([DESIRED], document, lambda one: PRINT, NOW, observations=seen)
    assert plain.digest == observed.digest
    assert (plain.observed, observed.observed) == (False, True)


def test_findings_are_as_the_contract_shows_them() -> None:
    """`expected` is the applied URL; events that can't be seen are unobservable."""
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


def test_a_failed_read_exits_1_even_with_drift() -> None:
    """Events that are never shown do not change the exit code 0."""
    live = Finding("a", FindingKind.LIVE, STATUS, None, None, "")
    unseen = Finding("a", FindingKind.UNOBSERVABLE, None, None, None, "")
    assert of_drift(Drift((unseen,))) is ExitCode.DONE
    assert of_drift(Drift((live, unseen))) is ExitCode.CHANGES
    assert of_drift(Drift((live, unseen), failed=True)) is ExitCode.NOT_APPLIED


def test_reads_that_failed_for_one_reason_are_one_warning() -> None:
    """The warning has the environments' names."""
    failed = Observation(failure="500: broken")
    warnings = describe_unobserved({"b": failed, "a": failed, "c": UNOBSERVABLE, "d": Observation(failure="no")})
    assert warnings == ("not observed: a, b: 500: broken", "not observed: d: no")


def test_the_plan_of_an_environment_never_applied_shows_no_live_drift() -> None:
    """There is no applied record to differ from."""
    seen = Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.DIFFERENT, "https://x.example.com/…"),))
    assert find_live(seen, make_desired(), None) == ()
