"""What the schedule begins, and what it leaves to runs under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.protocol.schedule import (
    HEALABLE,
    LONGEST_RUN,
    PATIENCE,
    UNDECIDED,
    UNDER_WAY,
    ApplyRun,
    Begin,
    Runs,
    Wanted,
    choose_begin,
    find_sending,
    leave_out,
    leave_out_sending,
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


@pytest.mark.parametrize("status", UNDER_WAY)
def test_a_run_under_way_is_waited_for_and_no_other_is_begun(status: str) -> None:
    """In whichever state it is; for a day."""
    found = runs(replace(QUEUED, status=status), ENDED)
    assert found.awaited == replace(QUEUED, status=status)
    assert choose_begin(found, UNAPPLIED, []) is Begin.NOTHING
    assert choose_begin(found, HEALING, [finding(FindingKind.LIVE)]) is Begin.NOTHING


def test_after_a_day_a_run_hides_nothing_and_still_no_other_is_begun() -> None:
    """Also where younger ones wait behind it: they would hide it for ever."""
    late = replace(QUEUED, status="waiting", begun_at=START - PATIENCE)
    found = runs(late, QUEUED)
    assert (found.awaited, found.late) == (None, late)
    assert choose_begin(found, UNAPPLIED, []) is Begin.NOTHING
    assert runs(replace(late, begun_at=START - PATIENCE + timedelta(seconds=1))).late is None


def test_the_run_that_waits_for_reviewers_is_named_and_not_those_behind_it() -> None:
    """The oldest of them; without one, the oldest."""
    queued = replace(QUEUED, begun_at=START - 2 * PATIENCE)
    waiting = replace(QUEUED, run_id=9, status="waiting", begun_at=START - PATIENCE)
    assert runs(queued, waiting).late == waiting
    assert runs(queued).late == queued


def test_a_run_that_github_forgot_counts_no_more() -> None:
    """None lasts for more than 35 days."""
    dead = runs(replace(QUEUED, begun_at=START - LONGEST_RUN))
    assert (dead.under_way, dead.late, dead.awaited) == ([], None, None)
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
def test_one_run_is_begun_for_a_head_that_no_run_decided(ended: ApplyRun, begin: Begin) -> None:
    """One that a person began may have been narrowed, so it decided nothing of the rest."""
    assert choose_begin(runs(ended), UNAPPLIED, []) is begin
    assert choose_begin(runs(ended), replace(UNAPPLIED, unapplied=False), []) is Begin.NOTHING


def test_without_the_runs_nothing_is_begun() -> None:
    """One may be under way."""
    assert choose_begin(None, UNAPPLIED, [finding(FindingKind.LIVE)]) is Begin.NOTHING


@pytest.mark.parametrize("kind", list(FindingKind))
def test_what_an_apply_repairs_is_healed_where_that_is_switched_on(kind: FindingKind) -> None:
    """All of it again where Plug or a secret may differ; what was only never applied needs no more than a run."""
    expected = Begin.REASSERT if kind in HEALABLE else Begin.NOTHING
    if kind is FindingKind.UNAPPLIED:
        expected = Begin.ORDINARY
    assert choose_begin(runs(ENDED), HEALING, [finding(kind)]) is expected
    assert choose_begin(runs(ENDED), replace(HEALING, self_heal=False), [finding(kind)]) is Begin.NOTHING


def test_the_last_run_that_decided_something_is_the_one_begun_last() -> None:
    """A repeated one by its last attempt."""
    again = replace(ENDED, run_id=3, conclusion="failure", begun_at=START)
    cancelled = replace(ENDED, run_id=9, conclusion="cancelled", begun_at=START + HOUR)
    assert runs(ENDED, again, cancelled, QUEUED).last_decided == again
    assert runs(QUEUED).last_decided is None


def test_only_what_is_unapplied_is_left_out() -> None:
    """Each environment is counted once."""
    every = [finding(kind) for kind in FindingKind] + [finding(FindingKind.UNAPPLIED)] * 2
    kept, count = leave_out(every)
    assert ([one.kind for one in kept], count) == ([one for one in FindingKind if one.value != "unapplied"], 1)


def test_a_put_under_way_is_not_in_doubt() -> None:
    """It is once its lease has ended, or where an earlier one was."""
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
    kept = leave_out_sending([*uncertain, finding(FindingKind.LIVE, "live")], sending)
    assert [one.environment for one in kept] == ["over", "doubt", "calm", "live"]


# --- the rule ----------------------------------------------------------------------------------------


@dataclass
class World:
    """The default branch, its apply runs, and what was applied. Every hour the schedule looks."""

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
        """Runs are serial: one waits where another is under way."""
        at = START + self.now * HOUR
        run_id = len(self.runs) + 1
        self.runs.append(ApplyRun(run_id, str(self.head), "pending", None, at, whole, ""))
        self._start_next()

    def _start_next(self) -> None:
        """The first job finds the head of the moment at which it runs."""
        first = next((run for run in self.runs if not run.has_ended), None)
        if first is not None and first.run_id not in self.found:
            self._replace(first, status="in_progress")
            self.found[first.run_id] = self.head

    def end_first(self, conclusion: str) -> None:
        """The oldest ends; only one that is whole applies all that it found."""
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
        self.runs[self.runs.index(run)] = replace(run, **values)  # type: ignore[arg-type]

    def look(self) -> None:
        """The schedule."""
        before = self.snapshot
        wanted = Wanted(str(self.head), unapplied=self.applied != self.head)
        if choose_begin(before, wanted, []) is not Begin.NOTHING:
            assert not before.under_way
            self.begin(whole=True)
            self.begun_by_schedule += 1

    @property
    def is_lost(self) -> bool:
        """Whether nobody will ever look at the head again: not applied, not refused, and no run under way."""
        decided = self.applied == self.head or self.head in self.refused
        return not decided and not self.snapshot.under_way


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
def test_no_merge_is_lost_for_longer_than_a_schedule_and_none_is_begun_twice(events: Sequence[tuple[str, int]]) -> None:
    """Merges by GITHUB_TOKEN start no run; runs are superseded, cancelled, narrowed by hand, or wait for days."""
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
    # once nothing but the schedule happens, everything is applied or refused
    for _ in range(2 * len(events) + 2):
        world.now += 1
        world.look()
        assert not world.is_lost
        world.end_first("success")
    assert world.applied == world.head or world.head in world.refused
    before = world.begun_by_schedule
    world.look()
    assert world.begun_by_schedule == before
