"""The runs that the schedule starts, and the findings that it leaves to active runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.workflow.schedule import (
    ACTIVE,
    HEALABLE,
    LONGEST_RUN,
    PATIENCE,
    UNDECIDED,
    ApplyRun,
    Begin,
    Runs,
    Wanted,
    choose_begin,
    drop_doubt_of_sending,
    drop_unapplied,
    find_sending,
)
from reconciler.model import By, Document, Finding, FindingKind, Intent
from tests.fakes import START, make_desired

HEAD = "a" * 40
HOUR = timedelta(hours=1)
ENDED = ApplyRun(7, HEAD, "completed", "success", START - HOUR, whole=True, url="https://github.com/r")
QUEUED = replace(ENDED, run_id=8, status="queued", conclusion=None)
UNAPPLIED = Wanted(HEAD, unapplied=True)
HEALING = Wanted(HEAD, unapplied=False, self_heal=True)


def runs(*every: ApplyRun) -> Runs:
    return Runs(START, every)


def finding(kind: FindingKind, environment: str = "loja") -> Finding:
    return Finding(environment, kind, None, None, None, "m")


@pytest.mark.parametrize("status", ACTIVE)
def test_an_active_run_is_awaited_and_no_other_is_started(status: str) -> None:
    """Its status does not matter. The limit is a day."""
    found = runs(replace(QUEUED, status=status), ENDED)
    assert found.awaited == replace(QUEUED, status=status)
    assert choose_begin(found, UNAPPLIED, []) is Begin.NOTHING
    assert choose_begin(found, HEALING, [finding(FindingKind.LIVE)]) is Begin.NOTHING


def test_after_a_day_a_run_hides_no_findings_but_no_other_is_started() -> None:
    """Younger runs that wait behind it do not hide findings either."""
    late = replace(QUEUED, status="waiting", begun_at=START - PATIENCE)
    found = runs(late, QUEUED)
    assert (found.awaited, found.late) == (None, late)
    assert choose_begin(found, UNAPPLIED, []) is Begin.NOTHING
    assert runs(replace(late, begun_at=START - PATIENCE + timedelta(seconds=1))).late is None


def test_the_late_run_is_the_one_that_waits_for_reviewers() -> None:
    """If several wait, the oldest of them counts; if none does, the oldest run."""
    queued = replace(QUEUED, begun_at=START - 2 * PATIENCE)
    waiting = replace(QUEUED, run_id=9, status="waiting", begun_at=START - PATIENCE)
    assert runs(queued, waiting).late == waiting
    assert runs(queued).late == queued


def test_a_run_older_than_githubs_limit_does_not_count() -> None:
    """A run can't last longer than 35 days."""
    dead = runs(replace(QUEUED, begun_at=START - LONGEST_RUN))
    assert (dead.active, dead.late, dead.awaited) == ([], None, None)
    assert choose_begin(dead, UNAPPLIED, []) is Begin.ORDINARY


@pytest.mark.parametrize(
    ("ended", "begin"),
    [
        (ENDED, Begin.NOTHING),
        (replace(ENDED, conclusion="failure"), Begin.NOTHING),
        *((replace(ENDED, conclusion=one), Begin.ORDINARY) for one in sorted(UNDECIDED)),
        (replace(ENDED, head_sha="b" * 40), Begin.ORDINARY),
        (replace(ENDED, whole=False), Begin.ORDINARY),
    ],
    ids=str,
)
def test_a_run_is_started_for_a_head_that_no_run_decided(ended: ApplyRun, begin: Begin) -> None:
    """A run that a person started may have been narrowed, so it did not decide on all environments."""
    assert choose_begin(runs(ended), UNAPPLIED, []) is begin
    assert choose_begin(runs(ended), replace(UNAPPLIED, unapplied=False), []) is Begin.NOTHING


def test_without_the_list_of_runs_nothing_is_started() -> None:
    """One may be active."""
    assert choose_begin(None, UNAPPLIED, [finding(FindingKind.LIVE)]) is Begin.NOTHING


@pytest.mark.parametrize("kind", list(FindingKind))
def test_drift_that_an_apply_fixes_is_healed_if_self_heal_is_on(kind: FindingKind) -> None:
    """It reasserts if Plug or a secret may differ; an ordinary run is enough for unapplied changes."""
    expected = Begin.REASSERT if kind in HEALABLE else Begin.NOTHING
    if kind is FindingKind.UNAPPLIED:
        expected = Begin.ORDINARY
    assert choose_begin(runs(ENDED), HEALING, [finding(kind)]) is expected
    assert choose_begin(runs(ENDED), replace(HEALING, self_heal=False), [finding(kind)]) is Begin.NOTHING


def test_the_last_decided_run_is_the_one_that_began_last() -> None:
    """The start of its last attempt counts."""
    again = replace(ENDED, run_id=3, conclusion="failure", begun_at=START)
    cancelled = replace(ENDED, run_id=9, conclusion="cancelled", begun_at=START + HOUR)
    assert runs(ENDED, again, cancelled, QUEUED).last_decided == again
    assert runs(QUEUED).last_decided is None


def test_only_unapplied_findings_are_dropped() -> None:
    """Each environment is counted once."""
    every = [finding(kind) for kind in FindingKind] + [finding(FindingKind.UNAPPLIED)] * 2
    kept, count = drop_unapplied(every)
    assert ([one.kind for one in kept], count) == ([one for one in FindingKind if one.value != "unapplied"], 1)


def test_a_put_in_flight_is_not_in_doubt() -> None:
    """It is in doubt after its lease, or if an earlier intent was."""
    webhooks = make_desired("loja").webhooks
    live = Intent("i", webhooks, False, START, START + HOUR, By())
    heads = [
        Document("live", "l", 1, intent=live),
        Document("over", "l", 1, intent=replace(live, lease_until=START)),
        Document("doubt", "l", 1, intent=replace(live, doubt=True)),
        Document("calm", "l", 1),
    ]
    sending = find_sending(heads, START)
    assert sending == {"live"}
    uncertain = [finding(FindingKind.UNCERTAIN, head.environment) for head in heads]
    kept = drop_doubt_of_sending([*uncertain, finding(FindingKind.LIVE, "live")], sending)
    assert [one.environment for one in kept] == ["over", "doubt", "calm", "live"]


# --- the rule ----------------------------------------------------------------------------------------


@dataclass
class World:
    """A model of the default branch, its apply runs and the applied head. The schedule runs every hour."""

    head: int = 0
    applied: int = 0
    refused: set[int] = field(default_factory=set)  # heads that a run refused: a person must act
    now: int = 0
    runs: list[ApplyRun] = field(default_factory=list)
    found: dict[int, int] = field(default_factory=dict)  # run -> the head that its first job found
    begun_by_schedule: int = 0

    @property
    def snapshot(self) -> Runs:
        return Runs(START + self.now * HOUR, tuple(self.runs))

    def begin(self, *, whole: bool) -> None:
        """Request a run. Runs are serial, so it waits if another one is active."""
        at = START + self.now * HOUR
        run_id = len(self.runs) + 1
        self.runs.append(ApplyRun(run_id, str(self.head), "pending", None, at, whole, ""))
        self._start_next()

    def _start_next(self) -> None:
        """Start the next run. Its first job finds the head of that moment."""
        first = next((run for run in self.runs if not run.has_ended), None)
        if first is not None and first.run_id not in self.found:
            self._replace(first, status="in_progress")
            self.found[first.run_id] = self.head

    def end_first(self, conclusion: str) -> None:
        """End the oldest run. Only a whole one applies everything that it found."""
        first = next((run for run in self.runs if not run.has_ended), None)
        if first is None:
            return
        self._replace(first, status="completed", conclusion=conclusion)
        if conclusion == "success" and first.whole:
            self.applied = self.found[first.run_id]
        elif conclusion == "failure" and first.whole:
            self.refused.add(int(first.head_sha))
        self._start_next()

    def cancel(self, number: int) -> None:
        waiting = [run for run in self.runs if not run.has_ended]
        if waiting:
            self._replace(waiting[number % len(waiting)], status="completed", conclusion="cancelled")
            self._start_next()

    def _replace(self, run: ApplyRun, **values: object) -> None:
        self.runs[self.runs.index(run)] = replace(run, **values)

    def look(self) -> None:
        """Run the schedule."""
        before = self.snapshot
        wanted = Wanted(str(self.head), unapplied=self.applied != self.head)
        if choose_begin(before, wanted, []) is not Begin.NOTHING:
            assert not before.active
            self.begin(whole=True)
            self.begun_by_schedule += 1

    @property
    def is_lost(self) -> bool:
        """Return whether the head is lost: it is neither applied nor refused, and no run is active."""
        decided = self.applied == self.head or self.head in self.refused
        return not decided and not self.snapshot.active


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["merge", "silent merge", "succeed", "fail", "cancel", "by hand", "wait for a reviewer", "an hour"]
        ),
        st.integers(0, 5),
    ),
    max_size=30,
)


@given(events=EVENTS)
def test_no_merge_is_lost_for_longer_than_a_schedule_and_no_run_is_started_twice(
    events: Sequence[tuple[str, int]],
) -> None:
    """Merges by GITHUB_TOKEN start no run; runs are superseded, cancelled or narrowed, or wait for days."""
    world = World()
    for event, number in events:
        match event:
            case "merge":
                world.head += 1
                world.begin(whole=True)
            case "silent merge":
                world.head += 1
            case "succeed":
                world.end_first("success")
            case "fail":
                world.end_first("failure")
            case "cancel":
                world.cancel(number)
            case "by hand":
                world.begin(whole=False)
            case "wait for a reviewer":
                world.now += 20 * number
            case _:
                world.now += 1
                world.look()
                assert not world.is_lost
    # if nothing but the schedule happens any more, everything is applied or refused
    for _ in range(2 * len(events) + 2):
        world.now += 1
        world.look()
        assert not world.is_lost
        world.end_first("success")
    assert world.applied == world.head or world.head in world.refused
    before = world.begun_by_schedule
    world.look()
    assert world.begun_by_schedule == before
