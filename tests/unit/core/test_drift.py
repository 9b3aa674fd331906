"""The findings, one for each kind of difference (docs/contract.md#drift)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.drift import TokenWatch, find_drift
from reconciler.core.planner import PlanInput, plan_environment, plan_orphan
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.model import (
    EVENTS,
    BodyForm,
    By,
    Desired,
    DestinationPart,
    Document,
    Event,
    Finding,
    FindingKind,
    Fingerprint,
)
from tests.fakes import ENDPOINT, START, make_desired

PRINT = Fingerprint("org:1", {"PLUG_SECRET_A": "hmac-sha256:1"})
ONE = make_desired(secrets=("PLUG_SECRET_A",))


def applied(desired: Desired = ONE) -> Document:
    return adopt(None, desired, PRINT, START, By("ana"), lineage="l")


def drift(
    desired: Desired,
    document: Document | None,
    fingerprint: Fingerprint = PRINT,
    given: PlanInput | None = None,
) -> list[Finding]:
    planned = plan_environment(desired, document, fingerprint, given or PlanInput(START))
    documents = {desired.environment: document} if document else {}
    return find_drift([planned], {desired.environment: desired}, documents)


def test_without_a_difference_there_is_no_finding() -> None:
    """A reassert that was requested is not drift either."""
    assert drift(ONE, applied()) == []


def test_an_environment_never_applied_has_an_unapplied_finding_for_each_event() -> None:
    """`expected` is the desired text and `actual` is null."""
    assert drift(ONE, None) == [
        Finding("production", FindingKind.UNAPPLIED, event, ONE.webhooks[event], None, "never applied")
        for event in EVENTS
    ]


def test_the_destination_of_an_environment_never_applied_is_no_finding() -> None:
    """It replaces nothing."""
    overrides = frozenset({DestinationPart.ENDPOINT})
    moved = replace(ONE, endpoint="https://app.plugchat.com.br/api/integrations/update-webhooks", overrides=overrides)
    assert {finding.kind for finding in drift(moved, None)} == {FindingKind.UNAPPLIED}


def test_a_changed_url_is_an_unapplied_finding() -> None:
    """Only the changed event has a finding."""
    changed = replace(ONE, webhooks={**ONE.webhooks, Event.MESSAGE_STATUS: "https://a.example.com/"})
    message = "the manifest differs from what was last applied"
    before = ONE.webhooks[Event.MESSAGE_STATUS]
    assert drift(changed, applied()) == [
        Finding("production", FindingKind.UNAPPLIED, Event.MESSAGE_STATUS, "https://a.example.com/", before, message)
    ]


def test_actual_is_masked_if_either_text_has_a_secret() -> None:
    """Only scheme and host are shown, as the old text may contain the secret itself."""
    url = "https://a.example.com/x?key="
    for before, after in ((f"{url}clear", f"{url}{{secret:PLUG_SECRET_A}}"), (f"{url}{{secret:PLUG_SECRET_A}}", url)):
        old = replace(ONE, webhooks={**ONE.webhooks, Event.MESSAGE_STATUS: before})
        new = replace(ONE, webhooks={**ONE.webhooks, Event.MESSAGE_STATUS: after})
        [finding] = drift(new, applied(old))
        assert (finding.expected, finding.actual) == (after, "https://a.example.com/…")


def test_an_environment_in_doubt_is_uncertain_since_its_put() -> None:
    """The message has the time of the intent."""
    [finding] = drift(ONE, begin_intent(applied(), ONE, Claim("i", "l", START, 900, By("ana"))))
    message = "it is unknown whether the PUT of 2026-11-23T12:00:00Z changed Plug"
    assert finding == Finding("production", FindingKind.UNCERTAIN, None, None, None, message)


def test_another_endpoint_account_and_secret_are_findings() -> None:
    """They are in the order of their importance."""
    moved = replace(ONE, endpoint="https://app.plugchat.com.br/api/integrations/update-webhooks")
    other = Fingerprint("org:2", {"PLUG_SECRET_A": "hmac-sha256:2"})
    assert drift(moved, applied(), other) == [
        Finding(
            "production",
            FindingKind.ACCOUNT,
            None,
            None,
            "org:1",
            "the available token belongs to another account, or was replaced",
        ),
        Finding(
            "production",
            FindingKind.ENDPOINT,
            None,
            moved.endpoint,
            ENDPOINT,
            "applied through another endpoint than the one configured",
        ),
        Finding(
            "production",
            FindingKind.SECRET,
            None,
            None,
            None,
            "a secret of a webhook URL, or the token it is recorded under, was replaced",
        ),
    ]


def test_another_form_of_the_body_is_a_finding_of_the_endpoint() -> None:
    """The body form alone makes the finding."""
    message = "applied with another form of body than the one configured"
    [finding] = drift(replace(ONE, body=BodyForm.VALUE), applied())
    assert finding == Finding("production", FindingKind.ENDPOINT, None, "value", "flat", message)


def test_a_record_older_than_max_age_is_expired() -> None:
    """The message has the time of the last apply."""
    given = PlanInput(START + timedelta(seconds=61), max_age_s=60)
    message = "last applied at 2026-11-23T12:00:00Z, longer ago than max_age"
    assert drift(ONE, applied(), given=given) == [Finding("production", FindingKind.EXPIRED, None, None, None, message)]


def test_an_orphan_is_a_finding_and_findings_go_by_kind_then_name() -> None:
    """The most important kind comes first, and the name decides within a kind."""
    gone, doubted = replace(applied(), environment="a"), make_desired("b")
    document = begin_intent(None, doubted, Claim("i", "l", START, 900, By("ana")))
    planned = [plan_orphan(gone), plan_environment(doubted, document, PRINT, PlanInput(START))]
    found = find_drift(planned, {"b": doubted}, {"a": gone, "b": document})
    assert [(one.environment, one.kind) for one in found] == [
        ("b", FindingKind.UNCERTAIN),
        *[("b", FindingKind.UNAPPLIED)] * 7,
        ("a", FindingKind.ORPHAN),
    ]
    assert found[-1].message == "in the state, but in no manifest"


DAY = timedelta(days=1)


def ending(recorded: datetime | None, available: Fingerprint) -> list[Finding]:
    """Return the findings about the token of an environment whose record has `recorded`."""
    document = adopt(None, ONE, replace(PRINT, token_expires_at=recorded), START, By("ana"), lineage="l")
    planned = plan_environment(ONE, document, PRINT, PlanInput(START))
    tokens = TokenWatch(START, 14 * 86_400, lambda desired: available)
    return find_drift([planned], {ONE.environment: ONE}, {ONE.environment: document}, tokens=tokens)


def test_a_recorded_token_that_ends_soon_is_a_finding_without_any_token() -> None:
    """`actual` is its instant. The last second of the warning and a token that has ended count too."""
    nothing = Fingerprint()
    (soon,) = ending(START + 14 * DAY, nothing)
    assert (soon.kind, soon.event, soon.expected) == (FindingKind.TOKEN_EXPIRY, None, None)
    assert soon.actual == "2026-12-07T12:00:00Z"
    assert "ends at 2026-12-07T12:00:00Z" in soon.message and "only a PUT with a new token" in soon.message
    (ended,) = ending(START - DAY, nothing)
    assert "the token of the last apply ended at 2026-11-22T12:00:00Z" in ended.message
    assert ending(START + 14 * DAY + timedelta(seconds=1), nothing) == []
    assert ending(None, nothing) == []


def test_an_available_token_takes_precedence_over_the_record() -> None:
    """A new token, even an opaque one, ends the finding; a token that ends sooner makes one."""
    assert ending(START, replace(PRINT, token_expires_at=START + 365 * DAY)) == []
    assert ending(START, PRINT) == []
    (finding,) = ending(START + 365 * DAY, replace(PRINT, token_expires_at=START + DAY))
    assert "the available token ends at" in finding.message


def test_the_token_of_an_environment_never_applied_is_not_watched() -> None:
    """An orphan's token is not watched either, as nothing is sent with it."""
    tokens = TokenWatch(START, 86_400, lambda desired: replace(PRINT, token_expires_at=START))
    planned = plan_environment(ONE, None, PRINT, PlanInput(START))
    kinds = {finding.kind for finding in find_drift([planned], {ONE.environment: ONE}, {}, tokens=tokens)}
    assert kinds == {FindingKind.UNAPPLIED}
    gone = adopt(None, ONE, replace(PRINT, token_expires_at=START), START, By("ana"), lineage="l")
    found = find_drift([plan_orphan(gone)], {}, {ONE.environment: gone}, tokens=tokens)
    assert [finding.kind for finding in found] == [FindingKind.ORPHAN]


@pytest.mark.parametrize(
    ("pin", "token", "record", "actual"),
    [
        ("9", "org:1", "org:1", "org:1"),
        ("9", None, "org:1", "org:1"),
        ("9", None, None, None),
        ("9", "token:1", "token:1", None),
        ("1", "org:1", "org:1", None),
        (None, "org:1", "org:1", None),
    ],
)
def test_a_company_that_contradicts_the_manifest_is_a_finding_of_the_account(
    pin: str | None, token: str | None, record: str | None, actual: str | None
) -> None:
    """It is one even if the plan has nothing to do. Without a token the record is compared."""
    desired = replace(ONE, organization_id=pin)
    document = adopt(None, desired, Fingerprint(record), START, By(), lineage="l")
    planned = plan_environment(desired, document, Fingerprint(token), PlanInput(START))
    tokens = TokenWatch(START, 0, lambda one: Fingerprint(token))
    name = desired.environment
    found = find_drift([planned], {name: desired}, {name: document}, tokens=tokens)
    shown = [(one.kind, one.expected, one.actual) for one in found]
    assert shown == ([] if actual is None else [(FindingKind.ACCOUNT, "org:9", actual)])
