"""Actions, reasons and digests (docs/contract.md#plan)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.planner import PlanInput, Planned, make_plan, plan_environment, share_texts
from reconciler.core.record import Claim, adopt, begin_intent, confirm
from reconciler.model import (
    EVENTS,
    Action,
    AuthScheme,
    BodyForm,
    By,
    Desired,
    DestinationChange,
    DestinationPart,
    Document,
    EnvironmentPlan,
    Event,
    Fingerprint,
    Head,
    Reason,
    Shard,
)
from tests.fakes import START, make_desired

NOW = PlanInput(now=START)
PRINT = Fingerprint("org:1", {"PLUG_SECRET_A": "hmac-sha256:1"})
SECRET = make_desired(secrets=("PLUG_SECRET_A",))


def applied(desired: Desired = SECRET) -> Document:
    return adopt(None, desired, PRINT, START, By("ana"), lineage="l")


def reasons(
    desired: Desired, document: Document | None, fingerprint: Fingerprint = PRINT, given: PlanInput = NOW
) -> list[Reason]:
    return list(plan_environment(desired, document, fingerprint, given).reasons)


def test_an_environment_never_applied_is_created_with_seven_changes() -> None:
    """Each change has `before` None and the place of its value."""
    planned = plan_environment(SECRET, None, PRINT, NOW)
    assert (planned.action, planned.reasons) == (Action.CREATE, (Reason.NEVER_APPLIED,))
    assert [(change.event, change.before) for change in planned.changes] == [(event, None) for event in EVENTS]
    assert [change.source for change in planned.changes] == [SECRET.sources[event] for event in EVENTS]
    assert (planned.serial, planned.lineage) == (0, None)


@pytest.mark.parametrize(
    ("desired", "shared"),
    [
        (SECRET, True),
        (replace(SECRET, endpoint="https://other.example.com"), True),
        (replace(SECRET, webhooks={**SECRET.webhooks, Event.MESSAGE_STATUS: "https://other.example.com"}), False),
        (None, False),
    ],
)
def test_applied_webhooks_are_kept_once_if_they_are_wanted(desired: Desired | None, shared: bool) -> None:
    """The head is equal to the one that was read, whatever else differs."""
    for read in (applied(), begin_intent(applied(), SECRET, Claim("i", "l", START, 900, By()))):
        assert read.applied is not None
        assert read.applied.webhooks is not SECRET.webhooks  # a state is never read into the object of a manifest
        kept = share_texts(read, desired)
        assert kept == read
        assert kept.applied is not None
        assert (desired is not None and kept.applied.webhooks is desired.webhooks) == shared
    never = Head("production", "l", 1)
    assert share_texts(never, desired) == never


def test_an_environment_without_a_difference_is_a_noop() -> None:
    """Everything was checked, the account too, and nothing would be sent to a host."""
    seen = Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.SAME),))
    planned = plan_environment(SECRET, applied(), PRINT, NOW, seen)
    assert (planned.action, planned.reasons, planned.unchecked, planned.hosts) == (Action.NOOP, (), (), ())


def test_a_changed_text_is_an_update_of_that_event_alone() -> None:
    """Several changed events are in the order of `EVENTS`."""
    webhooks = {
        **SECRET.webhooks,
        Event.MESSAGE_STATUS: "https://a.example.com/",
        Event.START_ATTENDANCE: "https://b.example.com/",
    }
    planned = plan_environment(replace(SECRET, webhooks=webhooks), applied(), PRINT, NOW)
    assert planned.action is Action.UPDATE
    assert [change.event for change in planned.changes] == [Event.START_ATTENDANCE, Event.MESSAGE_STATUS]


@pytest.mark.parametrize(
    ("desired", "fingerprint", "given", "reason"),
    [
        (SECRET, replace(PRINT, account="org:2"), NOW, Reason.ACCOUNT_CHANGED),
        (SECRET, replace(PRINT, secrets={"PLUG_SECRET_A": "hmac-sha256:2"}), NOW, Reason.SECRET_CHANGED),
        (SECRET, PRINT, PlanInput(now=START + timedelta(seconds=61), max_age_s=60), Reason.EXPIRED),
        (SECRET, PRINT, replace(NOW, requested=True), Reason.REQUESTED),
    ],
)
def test_each_other_reason_is_a_reassert(
    desired: Desired, fingerprint: Fingerprint, given: PlanInput, reason: Reason
) -> None:
    """The URLs did not change."""
    planned = plan_environment(desired, applied(), fingerprint, given)
    assert (planned.action, planned.reasons, planned.changes) == (Action.REASSERT, (reason,), ())


MOVED = replace(SECRET, endpoint="https://other/")
WRAPPED = replace(SECRET, body=BodyForm.VALUE)


@pytest.mark.parametrize(
    ("desired", "changes"),
    [
        (MOVED, [DestinationChange(DestinationPart.ENDPOINT, SECRET.endpoint, "https://other/")]),
        (WRAPPED, [DestinationChange(DestinationPart.BODY, "flat", "value")]),
    ],
)
def test_another_endpoint_or_form_of_body_is_an_update(desired: Desired, changes: list[DestinationChange]) -> None:
    """No URL changes, but the destination of a token is reviewed like one."""
    planned = plan_environment(desired, applied(), PRINT, NOW)
    assert (planned.action, planned.reasons, planned.changes) == (Action.UPDATE, (Reason.ENDPOINT_CHANGED,), ())
    assert planned.destination == desired.destination
    assert (planned.endpoint_before, planned.body_before) == (SECRET.endpoint, BodyForm.FLAT)
    assert list(planned.destination_changes) == changes
    assert plan_environment(desired, applied(desired), PRINT, NOW).action is Action.NOOP


def test_another_token_variable_or_scheme_is_not_a_reason_to_put() -> None:
    """Neither is in the applied record; the account says which company the token belongs to."""
    desired = replace(SECRET, token_env="PLUG_TOKEN_B", auth_scheme=AuthScheme.BEARER)
    planned = plan_environment(desired, applied(), PRINT, NOW)
    assert (planned.action, planned.destination_changes) == (Action.NOOP, ())
    assert planned.destination == desired.destination


def test_a_create_shows_the_parts_of_its_destination_that_differ_from_the_settings() -> None:
    """Nothing was applied, so `before` is None."""
    overrides = frozenset({DestinationPart.ENDPOINT, DestinationPart.TOKEN_ENV})
    planned = plan_environment(replace(MOVED, overrides=overrides), None, PRINT, NOW)
    assert planned.destination_changes == (DestinationChange(DestinationPart.ENDPOINT, None, "https://other/"),)
    assert plan_environment(MOVED, None, PRINT, NOW).destination_changes == ()


def test_a_record_as_old_as_max_age_is_not_expired_yet() -> None:
    """Only an older one is."""
    assert reasons(SECRET, applied(), given=PlanInput(now=START + timedelta(seconds=60), max_age_s=60)) == []


def test_an_unfinished_intent_is_never_a_noop() -> None:
    """Live or in doubt, the effect of its PUT is unknown."""
    claim = Claim("i", "l", START, 900, By())
    document = begin_intent(applied(), SECRET, claim)
    assert reasons(SECRET, document) == [Reason.UNCERTAIN]


def test_all_reasons_that_hold_are_listed_in_order() -> None:
    """The order is that of docs/contract.md#plan."""
    document = begin_intent(applied(), SECRET, Claim("i", "l", START, 900, By()))
    desired = replace(make_desired(version="2", secrets=("PLUG_SECRET_A",)), endpoint="https://other/")
    given = PlanInput(now=START + timedelta(days=1), max_age_s=1, requested=True)
    live = Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.DIFFERENT),))
    fingerprint = Fingerprint("org:2", {"PLUG_SECRET_A": "hmac-sha256:2"})
    planned = plan_environment(desired, document, fingerprint, given, live)
    assert list(planned.reasons) == [reason for reason in Reason if reason is not Reason.NEVER_APPLIED]


def test_without_a_token_account_and_secrets_are_unchecked() -> None:
    """Such a noop says only that the URLs are equal."""
    planned = plan_environment(SECRET, applied(), Fingerprint(), NOW)
    assert (planned.action, planned.unchecked) == (Action.NOOP, ("account", "secret:PLUG_SECRET_A"))


def test_an_environment_adopted_without_a_token_stays_unchecked() -> None:
    """The record has no account to compare the token with."""
    document = adopt(None, SECRET, Fingerprint(), START, By(), lineage="l")
    planned = plan_environment(SECRET, document, PRINT, NOW)
    assert planned.unchecked == ("account", "secret:PLUG_SECRET_A")


def test_a_document_without_a_manifest_is_an_orphan() -> None:
    """An orphan is reported and never changed."""
    plan = make_plan([], {"production": applied()}, lambda one: PRINT, NOW)
    assert [(one.environment, one.action, one.source) for one in plan.environments] == [
        ("production", Action.ORPHAN, None)
    ]


def test_environments_are_sorted_by_wave_and_name() -> None:
    """The order of the manifests does not matter."""
    wanted = [make_desired("c"), make_desired("b", wave=1), make_desired("a", wave=2), make_desired("d")]
    plan = make_plan(wanted, {}, lambda one: PRINT, NOW)
    assert [one.environment for one in plan.environments] == ["c", "d", "b", "a"]


def test_the_digest_does_not_depend_on_tokens_the_clock_or_reasserts() -> None:
    """So the plans of a pull request and of its merge have the same digest."""
    documents = {"production": applied()}
    wanted = [make_desired("production", secrets=("PLUG_SECRET_A",)), make_desired("staging")]
    first = make_plan(wanted, documents, lambda one: Fingerprint(), NOW)
    second = make_plan(
        wanted, documents, lambda one: Fingerprint("org:9"), PlanInput(START + timedelta(days=9), 1, True)
    )
    assert first.digest == second.digest
    assert first.manifests_digest == second.manifests_digest


def test_the_digest_depends_on_every_before_and_after() -> None:
    """A different `before` is a different change, even if `after` is the same."""
    wanted = [make_desired(version="2")]
    digests = {
        make_plan(wanted, documents, lambda one: PRINT, NOW).digest
        for documents in (
            {},
            {"production": applied(make_desired(version="1"))},
            {"production": applied(make_desired(version="3"))},
        )
    }
    assert len(digests) == 3


def test_the_digest_depends_on_every_destination_and_the_one_before() -> None:
    """The plan is an update of one URL."""
    one, was = make_desired(version="2"), make_desired(version="1")

    def digest(desired: Desired, before: Desired) -> str:
        return make_plan([desired], {"production": applied(before)}, lambda _: PRINT, NOW).digest

    others = [
        digest(replace(one, endpoint="https://other/"), was),
        digest(replace(one, body=BodyForm.VALUE), was),
        digest(replace(one, auth_scheme=AuthScheme.BEARER), was),
        digest(replace(one, token_env="PLUG_TOKEN_B"), was),
        digest(one, replace(was, endpoint="https://other/")),
        digest(one, replace(was, body=BodyForm.VALUE)),
    ]
    assert len({digest(one, was), *others}) == 7


def test_the_digest_of_a_plan_without_changes_is_known() -> None:
    """The run that drift starts expects this digest, so that it can only send again what was applied."""
    plan = make_plan(
        [make_desired()], {"production": applied(make_desired())}, lambda _: PRINT, replace(NOW, requested=True)
    )
    assert [one.action for one in plan.environments] == [Action.REASSERT]
    assert plan.digest == "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_a_description_makes_no_plan_stale() -> None:
    """A moved line does not either; a wave or an endpoint does."""
    one = make_desired()

    def digest(desired: Desired) -> str:
        return make_plan([desired], {}, lambda _: PRINT, NOW).manifests_digest

    assert digest(one) == digest(replace(one, description="other", source=one.source._replace(line=9)))
    assert digest(one) != digest(replace(one, wave=1))
    for other in (
        replace(one, endpoint="https://other/"),
        replace(one, body=BodyForm.VALUE),
        replace(one, token_env="PLUG_TOKEN_B"),
        replace(one, auth_scheme=AuthScheme.BEARER),
        replace(one, account_id="1"),
        replace(one, organization_id="1"),
    ):
        assert digest(one) != digest(other)


def test_the_fleets_digest_is_over_all_environments_planned_or_not() -> None:
    """Two parts of one fleet share it; their own digests differ."""
    fleet = [make_desired("a"), make_desired("b")]
    whole, first, second = (
        make_plan(part, {}, lambda _: PRINT, NOW, fleet=fleet) for part in (fleet, fleet[:1], fleet[1:])
    )
    assert whole.fleet_digest == whole.manifests_digest == first.fleet_digest == second.fleet_digest
    assert len({plan.manifests_digest for plan in (whole, first, second)}) == 3
    other = make_plan(fleet[:1], {}, lambda _: PRINT, NOW, fleet=[fleet[0], make_desired("b", "2")])
    assert (other.manifests_digest, other.digest) == (first.manifests_digest, first.digest)
    assert other.fleet_digest != first.fleet_digest


def test_the_history_keeps_ten_records() -> None:
    """The newest comes first, and each record has only the events that it changed."""
    document = applied(make_desired(version="0"))
    for version in range(1, 12):
        document = begin_intent(document, make_desired(version=str(version)), Claim("i", "l", START, 900, By()))
        document = confirm(document, make_desired(version=str(version)), PRINT, START, By(run=str(version)))
    document = confirm(document, make_desired(version="11"), PRINT, START, By(run="again"))
    assert [entry.by.run for entry in document.history] == ["again", *map(str, range(11, 2, -1))]
    assert [len(entry.webhooks) for entry in document.history] == [0] + [7] * 9


def test_a_plan_has_its_inputs_and_an_orphan_has_its_stored_record() -> None:
    """A saved plan is made again from these fields, or checked against them."""
    gone = replace(applied(), environment="gone")
    given = PlanInput(START, requested=True)
    plan = make_plan(
        [SECRET],
        {"gone": gone, SECRET.environment: applied()},
        lambda desired: PRINT,
        given,
        selection=("*",),
        shard=Shard(1, 1),
        warnings=("look",),
    )
    assert (plan.created_at, plan.selection, plan.requested) == (START, ("*",), True)
    assert (plan.shard, plan.warnings) == (Shard(1, 1), ("look",))
    assert Planned(plan, {SECRET.environment: SECRET}, {}).vars_by_environment == {SECRET.environment: SECRET.vars}
    orphan, one = sorted(plan.environments, key=lambda planned: planned.environment)
    assert orphan == EnvironmentPlan(
        *("gone", Action.ORPHAN, 0, (), (), None, (), 1, "l"),
        endpoint_before=SECRET.endpoint,
        body_before=BodyForm.FLAT,
    )
    assert (one.source, one.serial, one.lineage) == (SECRET.source, 1, "l")
