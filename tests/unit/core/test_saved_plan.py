"""The errors for a stale plan file. `state` is a store with one applied environment.

See docs/contract.md#plan.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.planner import LIVE, PlanInput, make_plan
from reconciler.core.saved_plan import SavedPlan, check_expected, check_saved_plan, recall_observations
from reconciler.errors import StalePlan
from reconciler.model import (
    Action,
    BodyForm,
    By,
    EnvironmentPlan,
    Event,
    Fingerprint,
    LiveDifference,
    Plan,
    Reason,
    Where,
)
from reconciler.ports import Write
from reconciler.run import state_edits as state
from reconciler.run.planning import EVERYTHING, PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, adopt_by_hand, make_desired
from tests.memory_store import MemoryStore


class Checkout:
    """Manifests with two environments, of which the first was applied."""

    def __init__(self) -> None:
        self.store, self.credentials = MemoryStore(), FakeCredentials()
        self.desired = [make_desired("a"), make_desired("b")]
        self.adopt("a", "0")

    def adopt(self, name: str, version: str) -> None:
        desired = make_desired(name, version)
        adopt_by_hand(self.store, desired, self.credentials.fingerprint(desired), START, By("ana"))

    def forget(self, name: str) -> None:
        state.forget(self.store, state.find_stored(self.store, name), START)

    def plan(self, scope: PlanScope = EVERYTHING, *, requested: bool = False) -> Plan:
        given = PlanInput(START, requested=requested)
        return plan_environments(self.desired, self.store, self.credentials, given, scope).plan


def differences(saved: Plan, fresh: Plan, *, intact: bool = True) -> list[str]:
    with pytest.raises(StalePlan) as caught:
        check_saved_plan(SavedPlan(saved, intact), fresh)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "this plan is stale; nothing was sent. Since it was made:"
    assert last == "Plan again."
    assert [f"  {one}" for one in caught.value.differences[:20]] == lines[:20]
    return [line.strip() for line in lines]


def edited(plan: Plan, name: str, change: Callable[[EnvironmentPlan], EnvironmentPlan]) -> Plan:
    environments = tuple(change(one) if one.environment == name else one for one in plan.environments)
    return replace(plan, environments=environments)


def test_a_plan_that_still_fits_is_applied() -> None:
    checkout = Checkout()
    saved = checkout.plan()
    checked = check_saved_plan(SavedPlan(saved, intact=True), checkout.plan())
    assert [(one.environment, one.action) for one in checked.environments] == [
        ("a", Action.UPDATE),
        ("b", Action.CREATE),
    ]


@pytest.mark.parametrize(
    ("move", "line"),
    [
        (lambda checkout: checkout.adopt("b", "0"), "b: its state was written for the first time"),
        (lambda checkout: checkout.forget("a"), "a: its state was forgotten"),
        (
            lambda checkout: (checkout.forget("a"), checkout.adopt("a", "0")),
            "a: its state was forgotten and created again (another lineage)",
        ),
        (lambda checkout: checkout.adopt("a", "0"), "a: its state was written (serial 1 then, 2 now)"),
        (lambda checkout: checkout.desired.append(make_desired("c")), "c: is new"),
        (lambda checkout: checkout.desired.pop(), "b: is gone"),
        (lambda checkout: checkout.desired.__setitem__(1, make_desired("b", "2")), "b: its changes differ"),
        (
            lambda checkout: checkout.desired.__setitem__(0, make_desired("a", token_env="PLUG_TOKEN_B")),
            "a: its destination differs",
        ),
    ],
)
def test_each_difference_is_reported(move: Callable[[Checkout], object], line: str) -> None:
    checkout = Checkout()
    saved = checkout.plan()
    move(checkout)
    assert line in differences(saved, checkout.plan())


def test_any_edit_of_the_file_is_reported() -> None:
    checkout = Checkout()
    saved = checkout.plan()
    assert differences(saved, checkout.plan(), intact=False) == ["the plan file was edited after it was saved"]
    assert differences(replace(saved, digest="sha256:0"), checkout.plan()) == [
        "the plan file was edited: its digest differs"
    ]
    assert differences(replace(saved, manifests_digest="sha256:0"), checkout.plan()) == ["the manifests have changed"]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, destination=make_desired("a", endpoint="http://127.0.0.1:1/").destination),
        lambda one: replace(one, endpoint_before="http://127.0.0.1:1/"),
        lambda one: replace(one, body_before=BodyForm.VALUE),
    ],
)
def test_another_destination_in_the_file_is_reported(change: Callable[[EnvironmentPlan], EnvironmentPlan]) -> None:
    """The digests in the file do not hide it."""
    checkout = Checkout()
    assert differences(edited(checkout.plan(), "a", change), checkout.plan()) == ["a: its destination differs"]


@pytest.mark.parametrize(
    ("was", "uses", "named"),
    [
        (("sA", "sha256:a"), ("sB", "sha256:b"), "the plan was made with sA, this run uses sB"),
        (("s", "sha256:a"), ("s", "sha256:b"), "the plan was made with s, this run uses s in another folder"),
        (("s\n\x1b[2J", "sha256:a"), ("sB", "sha256:b"), r"the plan was made with s\n\x1b[2J, this run uses sB"),
        (("sA", None), ("sA", "sha256:b"), "the plan was made with sA, this run uses sA in another folder"),
    ],
)
def test_a_plan_of_another_state_is_refused_and_both_are_named(
    was: tuple[str, str | None], uses: tuple[str, str | None], named: str
) -> None:
    """It is refused even if neither state has a document, so that no serial or lineage differs."""
    plan = Checkout().plan()
    saved, fresh = (replace(plan, where=Where(one[0], 0, (), state_id=one[1])) for one in (was, uses))
    assert differences(saved, fresh) == [f"another state is used: {named}"]


def test_one_state_may_be_written_in_two_ways() -> None:
    plan = Checkout().plan()
    saved, fresh = (replace(plan, where=Where(one, 0, (), state_id="sha256:a")) for one in ("s", "/srv/s"))
    assert check_saved_plan(SavedPlan(saved, intact=True), fresh).environments == fresh.environments


def test_a_plan_of_a_part_is_not_stale_if_the_rest_of_the_fleet_changed() -> None:
    checkout = Checkout()
    scope = PlanScope(("a",))
    saved = checkout.plan(scope)
    checkout.desired[1] = make_desired("b", "2")
    fresh = checkout.plan(scope)
    assert saved.fleet_digest != fresh.fleet_digest
    assert check_saved_plan(SavedPlan(saved, intact=True), fresh).environments == fresh.environments


def test_a_plan_that_only_moves_an_environment_still_fits() -> None:
    checkout = Checkout()
    checkout.desired = [make_desired("a", "0", endpoint="https://other.example.com/")]
    (planned,) = check_saved_plan(SavedPlan(checkout.plan(), intact=True), checkout.plan()).environments
    assert (planned.action, planned.reasons) == (Action.UPDATE, (Reason.ENDPOINT_CHANGED,))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, reasons=(Reason.EXPIRED,)),
        lambda one: replace(one, reasons=()),
        lambda one: replace(one, action=Action.NOOP),
        lambda one: replace(one, action=Action.REASSERT),
        lambda one: replace(one, action=Action.NOOP, reasons=()),
        lambda one: replace(one, action=Action.CREATE),
    ],
)
def test_an_action_that_does_not_follow_from_its_reasons_is_reported(
    change: Callable[[EnvironmentPlan], EnvironmentPlan],
) -> None:
    checkout = Checkout()
    found = differences(edited(checkout.plan(), "a", change), checkout.plan())
    assert found == ["a: its reasons differ: was it planned with another max_age, or the plan file edited?"]


def test_an_environment_that_became_an_orphan_since_is_a_difference() -> None:
    checkout = Checkout()
    checkout.desired.pop(0)
    saved = checkout.plan()
    with_manifest = edited(saved, "a", lambda one: replace(one, action=Action.NOOP))
    assert differences(with_manifest, saved) == ["a: its changes differ"]


def test_a_plan_of_every_action_still_fits() -> None:
    checkout = Checkout()
    for name in ("same", "again", "orphan"):
        checkout.adopt(name, "1")
    checkout.desired += [make_desired("same"), make_desired("again", account_id=None)]
    claim = record.Claim("i", "l", START, 900, By("ana"))
    stored = state.find_stored(checkout.store, "again")
    in_doubt = record.mark_in_doubt(record.begin_intent(stored.document, make_desired("again"), claim))
    checkout.store.write([Write("again", in_doubt, stored.version)])
    checked = check_saved_plan(SavedPlan(checkout.plan(), intact=True), checkout.plan())
    assert {one.environment: one.action for one in checked.environments} == {
        "a": Action.UPDATE,
        "b": Action.CREATE,
        "same": Action.NOOP,
        "again": Action.REASSERT,
        "orphan": Action.ORPHAN,
    }


def test_the_decision_made_with_the_planners_tokens_is_applied() -> None:
    """The apply has other tokens and can't see the change, but still puts what was reviewed."""
    checkout = Checkout()
    checkout.adopt("a", "1")
    fresh = checkout.plan()
    assert fresh.environments[0].action is Action.NOOP
    saved = edited(
        fresh,
        "a",
        lambda one: replace(one, action=Action.REASSERT, reasons=(Reason.ACCOUNT_CHANGED,), unchecked=("secret:X",)),
    )
    done = check_saved_plan(SavedPlan(saved, intact=True), fresh).environments[0]
    assert (done.action, done.reasons, done.unchecked) == (
        Action.REASSERT,
        (Reason.ACCOUNT_CHANGED,),
        ("secret:X",),
    )


def test_the_observations_of_a_saved_plan_are_recalled() -> None:
    plan = replace(Checkout().plan(), observed=True)
    live = (LiveDifference(Event.MESSAGE_STATUS, "https://x.example.com/…", "https://y"),)
    plan = edited(plan, "a", lambda one: replace(one, live=live))
    plan = edited(plan, "b", lambda one: replace(one, unchecked=(LIVE,)))
    assert recall_observations(replace(plan, observed=False)) is None
    assert recall_observations(plan) == {
        "a": Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.DIFFERENT, "https://x.example.com/…"),)),
        "b": Observation(failure="it could not be read when the plan was made"),
    }


@pytest.mark.parametrize("reason", [Reason.ACCOUNT_CHANGED, Reason.SECRET_CHANGED])
def test_reasons_from_the_planners_tokens_are_kept(reason: Reason) -> None:
    """Plan and apply may have different tokens and secrets available (docs/contract.md#plan)."""
    checkout = Checkout()
    fresh = checkout.plan()
    saved = edited(fresh, "a", lambda one: replace(one, reasons=(*one.reasons, reason)))
    checked = check_saved_plan(SavedPlan(saved, intact=True), fresh)
    assert reason in checked.environments[0].reasons


@pytest.mark.parametrize("count", [20, 21])
def test_at_most_twenty_differences_are_listed(count: int) -> None:
    checkout = Checkout()
    checkout.desired = [make_desired(f"e{number:02}") for number in range(count)]
    checkout.forget("a")
    saved = checkout.plan()
    for one in checkout.desired:
        checkout.adopt(one.environment, "0")
    lines = differences(saved, checkout.plan())
    assert lines[20:] == (["… and 1 more"] if count > 20 else [])


def test_an_expected_digest_is_compared_only_if_the_plan_changes_anything() -> None:
    checkout = Checkout()
    check_expected(checkout.plan().digest, checkout.plan())
    plan = checkout.plan()
    words = rf"the plan is not the one expected \(sha256:0\): its digest is {plan.digest}, its fleet_digest "
    with pytest.raises(StalePlan, match=words + plan.fleet_digest):
        check_expected("sha256:0", plan)
    for one in checkout.desired:
        checkout.adopt(one.environment, "1")
    check_expected("sha256:0", checkout.plan())


def test_an_expired_record_is_sent_again_without_the_expected_digest() -> None:
    """What is sent was approved before."""
    desired = make_desired()
    applied = record.adopt(None, desired, Fingerprint(), START, By(), lineage="l")
    given = PlanInput(START + timedelta(seconds=2), max_age_s=1)
    plan = make_plan([desired], {desired.environment: applied}, lambda one: Fingerprint(), given)
    assert [one.action for one in plan.environments] == [Action.REASSERT]
    check_expected("sha256:0", plan)


def test_the_digest_of_the_fleet_is_expected_too() -> None:
    """It is over all environments, even if only a part of them is planned."""
    checkout = Checkout()
    fleet_digest = checkout.plan().fleet_digest
    check_expected(fleet_digest, checkout.plan())
    check_expected(fleet_digest, checkout.plan(PlanScope(("a",))))
    checkout.desired[1] = make_desired("b", "2")
    with pytest.raises(StalePlan):
        check_expected(fleet_digest, checkout.plan(PlanScope(("a",))))


def test_with_reassert_the_digest_is_compared_if_anything_is_reasserted() -> None:
    """The digest of the manifests matches, and so does that of a plan without changes."""
    checkout = Checkout()
    checkout.adopt("a", "1")
    checkout.adopt("b", "1")
    plan = checkout.plan(requested=True)
    assert {one.action for one in plan.environments} == {Action.REASSERT}
    with pytest.raises(StalePlan):
        check_expected("sha256:0", plan)
    check_expected(plan.fleet_digest, plan)
    check_expected(plan.digest, plan)
    checkout.desired = []
    check_expected("sha256:0", checkout.plan(requested=True))


def test_a_changed_destination_alone_is_not_accepted_as_nothing_to_do() -> None:
    checkout = Checkout()
    checkout.adopt("a", "1")
    checkout.desired.pop()
    empty = checkout.plan().digest
    checkout.desired[0] = make_desired("a", endpoint="http://127.0.0.1:1/")
    with pytest.raises(StalePlan):
        check_expected(empty, checkout.plan())
