"""What is told of a plan file that no longer fits (CONTRACT §5). `state` is a store with one environment applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.core import record
from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.planner import LIVE, PlanInput
from reconciler.core.saved_plan import SavedPlan, check_expected, check_saved_plan, recall_observations
from reconciler.errors import StalePlan
from reconciler.model import Action, BodyForm, By, EnvironmentPlan, Event, LiveDifference, Plan, Reason, Where
from reconciler.ports import Write
from reconciler.run import state_edits as state
from reconciler.run.planning import EVERYTHING, PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, adopt_by_hand, make_desired
from tests.memory_store import MemoryStore


class Place:
    """Two environments in the manifests, of which the first was applied."""

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


def told(saved: Plan, fresh: Plan, *, intact: bool = True) -> list[str]:
    with pytest.raises(StalePlan) as caught:
        check_saved_plan(SavedPlan(saved, intact), fresh)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "this plan is stale; nothing was sent. Since it was made:"
    assert last == "Plan again."
    assert [f"  {one}" for one in caught.value.moved[:20]] == lines[:20]
    return [line.strip() for line in lines]


def edited(plan: Plan, name: str, change: Callable[[EnvironmentPlan], EnvironmentPlan]) -> Plan:
    environments = tuple(change(one) if one.environment == name else one for one in plan.environments)
    return replace(plan, environments=environments)


def test_a_plan_that_still_fits_is_what_is_applied() -> None:
    place = Place()
    saved = place.plan()
    checked = check_saved_plan(SavedPlan(saved, intact=True), place.plan())
    assert [(one.environment, one.action) for one in checked.environments] == [
        ("a", Action.UPDATE),
        ("b", Action.CREATE),
    ]


@pytest.mark.parametrize(
    ("move", "line"),
    [
        (lambda place: place.adopt("b", "0"), "b: its state was written for the first time"),
        (lambda place: place.forget("a"), "a: its state was forgotten"),
        (
            lambda place: (place.forget("a"), place.adopt("a", "0")),
            "a: its state was forgotten and made anew (another lineage)",
        ),
        (lambda place: place.adopt("a", "0"), "a: its state was written (serial 1 then, 2 now)"),
        (lambda place: place.desired.append(make_desired("c")), "c: appeared"),
        (lambda place: place.desired.pop(), "b: is gone"),
        (lambda place: place.desired.__setitem__(1, make_desired("b", "2")), "b: its changes are others"),
        (
            lambda place: place.desired.__setitem__(0, make_desired("a", token_env="PLUG_TOKEN_B")),
            "a: its destination is another",
        ),
    ],
)
def test_each_thing_that_moved_on_is_told(move: Callable[[Place], object], line: str) -> None:
    place = Place()
    saved = place.plan()
    move(place)
    assert line in told(saved, place.plan())


def test_an_edited_file_is_told_whatever_was_edited() -> None:
    place = Place()
    saved = place.plan()
    assert told(saved, place.plan(), intact=False) == ["the plan file was edited after it was saved"]
    assert told(replace(saved, digest="sha256:0"), place.plan()) == ["the plan file was edited: its digest is another"]
    assert told(replace(saved, manifests_digest="sha256:0"), place.plan()) == ["the manifests have changed"]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, destination=make_desired("a", endpoint="http://127.0.0.1:1/").destination),
        lambda one: replace(one, endpoint_before="http://127.0.0.1:1/"),
        lambda one: replace(one, body_before=BodyForm.VALUE),
    ],
)
def test_another_destination_in_the_file_is_reported(change: Callable[[EnvironmentPlan], EnvironmentPlan]) -> None:
    """Whatever the digests in the file say."""
    place = Place()
    assert told(edited(place.plan(), "a", change), place.plan()) == ["a: its destination is another"]


@pytest.mark.parametrize(
    ("was", "uses", "told_of"),
    [
        (("sA", "sha256:a"), ("sB", "sha256:b"), "the plan was made with sA, this run uses sB"),
        (("s", "sha256:a"), ("s", "sha256:b"), "the plan was made with s, this run uses s in another folder"),
        (("s\n\x1b[2J", "sha256:a"), ("sB", "sha256:b"), r"the plan was made with s\n\x1b[2J, this run uses sB"),
        (("sA", None), ("sA", "sha256:b"), "the plan was made with sA, this run uses sA in another folder"),
    ],
)
def test_a_plan_of_another_state_is_refused_and_both_are_named(
    was: tuple[str, str | None], uses: tuple[str, str | None], told_of: str
) -> None:
    """Also where both lack a document, so that no serial and no lineage differs."""
    plan = Place().plan()
    saved, fresh = (replace(plan, where=Where(one[0], 0, (), state_id=one[1])) for one in (was, uses))
    assert told(saved, fresh) == [f"the state is another: {told_of}"]


def test_one_state_may_be_written_in_two_ways() -> None:
    plan = Place().plan()
    saved, fresh = (replace(plan, where=Where(one, 0, (), state_id="sha256:a")) for one in ("s", "/srv/s"))
    assert check_saved_plan(SavedPlan(saved, intact=True), fresh).environments == fresh.environments


def test_a_plan_of_a_part_is_not_stale_where_the_rest_of_the_fleet_changed() -> None:
    place = Place()
    scope = PlanScope(("a",))
    saved = place.plan(scope)
    place.desired[1] = make_desired("b", "2")
    fresh = place.plan(scope)
    assert saved.fleet_digest != fresh.fleet_digest
    assert check_saved_plan(SavedPlan(saved, intact=True), fresh).environments == fresh.environments


def test_a_plan_that_only_moves_an_environment_still_fits() -> None:
    place = Place()
    place.desired = [make_desired("a", "0", endpoint="https://other.example.com/")]
    (planned,) = check_saved_plan(SavedPlan(place.plan(), intact=True), place.plan()).environments
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
def test_an_action_that_its_reasons_do_not_give_is_told(change: Callable[[EnvironmentPlan], EnvironmentPlan]) -> None:
    place = Place()
    found = told(edited(place.plan(), "a", change), place.plan())
    assert found == ["a: its reasons are others: was it planned with another max_age, or the plan file edited?"]


def test_an_orphan_that_became_one_since_is_other_than_it_was() -> None:
    place = Place()
    place.desired.pop(0)
    saved = place.plan()
    with_manifest = edited(saved, "a", lambda one: replace(one, action=Action.NOOP))
    assert told(with_manifest, saved) == ["a: its changes are others"]


def test_a_plan_of_every_action_still_fits() -> None:
    place = Place()
    for name in ("same", "again", "orphan"):
        place.adopt(name, "1")
    place.desired += [make_desired("same"), make_desired("again", account_id=None)]
    claim = record.Claim("i", "l", START, 900, By("ana"))
    stored = state.find_stored(place.store, "again")
    in_doubt = record.doubt(record.begin_intent(stored.document, make_desired("again"), claim))
    place.store.write([Write("again", in_doubt, stored.version)])
    checked = check_saved_plan(SavedPlan(place.plan(), intact=True), place.plan())
    assert {one.environment: one.action for one in checked.environments} == {
        "a": Action.UPDATE,
        "b": Action.CREATE,
        "same": Action.NOOP,
        "again": Action.REASSERT,
        "orphan": Action.ORPHAN,
    }


def test_what_the_planner_decided_with_his_tokens_is_what_is_done() -> None:
    """Who applies can't see the change, and still puts again what was reviewed."""
    place = Place()
    place.adopt("a", "1")
    fresh = place.plan()
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


def test_what_was_seen_when_the_plan_was_made_is_recalled() -> None:
    plan = replace(Place().plan(), observed=True)
    live = (LiveDifference(Event.MESSAGE_STATUS, "https://x.example.com/…", "https://y"),)
    plan = edited(plan, "a", lambda one: replace(one, live=live))
    plan = edited(plan, "b", lambda one: replace(one, unchecked=(LIVE,)))
    assert recall_observations(replace(plan, observed=False)) is None
    assert recall_observations(plan) == {
        "a": Observation((EventComparison(Event.MESSAGE_STATUS, Verdict.DIFFERENT, "https://x.example.com/…"),)),
        "b": Observation(failure="it could not be read when the plan was made"),
    }


@pytest.mark.parametrize("reason", [Reason.ACCOUNT_CHANGED, Reason.SECRET_CHANGED])
def test_what_only_the_planners_tokens_told_is_kept(reason: Reason) -> None:
    """The one who plans and the one who applies may have other tokens and secrets at hand (CONTRACT §5)."""
    place = Place()
    fresh = place.plan()
    saved = edited(fresh, "a", lambda one: replace(one, reasons=(*one.reasons, reason)))
    checked = check_saved_plan(SavedPlan(saved, intact=True), fresh)
    assert reason in checked.environments[0].reasons


@pytest.mark.parametrize("count", [20, 21])
def test_a_fleet_that_moved_on_is_told_in_twenty_lines(count: int) -> None:
    place = Place()
    place.desired = [make_desired(f"e{number:02}") for number in range(count)]
    place.forget("a")
    saved = place.plan()
    for one in place.desired:
        place.adopt(one.environment, "0")
    lines = told(saved, place.plan())
    assert lines[20:] == (["… and 1 more"] if count > 20 else [])


def test_an_expected_digest_is_asked_only_of_what_changes_anything() -> None:
    place = Place()
    check_expected(place.plan().digest, place.plan())
    plan = place.plan()
    words = rf"the plan is not the one expected \(sha256:0\): its digest is {plan.digest}, its fleet_digest "
    with pytest.raises(StalePlan, match=words + plan.fleet_digest):
        check_expected("sha256:0", plan)
    for one in place.desired:
        place.adopt(one.environment, "1")
    check_expected("sha256:0", place.plan())


def test_the_digest_of_the_fleet_is_expected_too() -> None:
    """It is that of all environments, whatever part of them is planned."""
    place = Place()
    fleet_digest = place.plan().fleet_digest
    check_expected(fleet_digest, place.plan())
    check_expected(fleet_digest, place.plan(PlanScope(("a",))))
    place.desired[1] = make_desired("b", "2")
    with pytest.raises(StalePlan):
        check_expected(fleet_digest, place.plan(PlanScope(("a",))))


def test_with_reassert_there_is_something_to_do_as_long_as_anything_is_reasserted() -> None:
    """The digest of the manifests covers it, and that of the changes where they are none."""
    place = Place()
    place.adopt("a", "1")
    place.adopt("b", "1")
    plan = place.plan(requested=True)
    assert {one.action for one in plan.environments} == {Action.REASSERT}
    with pytest.raises(StalePlan):
        check_expected("sha256:0", plan)
    check_expected(plan.fleet_digest, plan)
    check_expected(plan.digest, plan)
    place.desired = []
    check_expected("sha256:0", place.plan(requested=True))


def test_a_move_alone_is_not_passed_as_nothing_to_do() -> None:
    place = Place()
    place.adopt("a", "1")
    place.desired.pop()
    empty = place.plan().digest
    place.desired[0] = make_desired("a", endpoint="http://127.0.0.1:1/")
    with pytest.raises(StalePlan):
        check_expected(empty, place.plan())
