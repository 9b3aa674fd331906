"""What the schedule does about apply runs: what it leaves to them, when it begins one, and which issues it keeps.

A run is *under way* from the moment it is requested until it has ended. One that is under way will apply the head of
the default branch, so what is only unapplied is left to it, for a day at most, and no further run is begun.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.model import Finding, FindingKind, Head

PATIENCE = timedelta(hours=24)  # for which what is unapplied is left to a run under way
LONGEST_RUN = timedelta(days=35)  # of GitHub, with all waiting; a run that shows as under way for longer is dead

UNDER_WAY = ("requested", "queued", "pending", "waiting", "in_progress")
"""The values of `status` of a run that has not ended, in the order in which a run may pass through them."""
WAITING = "waiting"  # for a reviewer
COMPLETED = "completed"
PUSH = "push"
SUCCESS = "success"
UNDECIDED = frozenset({"cancelled", "skipped", "stale", "neutral"})
"""Conclusions of a run that decided nothing: it was superseded or ended by a person, or did nothing at all."""


@dataclass(frozen=True, slots=True)
class ApplyRun:
    """A run of apply.yml on the default branch. `begun_at` is when its last attempt was requested.

    `whole`: nobody can have narrowed it, as a push or the schedule itself began it.
    """

    run_id: int
    head_sha: str
    status: str
    conclusion: str | None
    begun_at: datetime
    whole: bool
    url: str

    @property
    def has_ended(self) -> bool:
        return self.status == COMPLETED

    @property
    def has_decided(self) -> bool:
        """Whether it ended by itself: what it did not apply, it failed or refused to apply."""
        return self.has_ended and self.conclusion not in UNDECIDED


class Begin(StrEnum):
    """The run that the schedule begins."""

    NOTHING = "nothing"
    ORDINARY = "ordinary"
    REASSERT = "reassert"


@dataclass(frozen=True, slots=True)
class Runs:
    """The apply runs that count at `now`, from what GitHub shows."""

    now: datetime
    all: tuple[ApplyRun, ...]

    @property
    def under_way(self) -> list[ApplyRun]:
        """The runs under way, the oldest first."""
        found = [run for run in self.all if not run.has_ended and self.now - run.begun_at < LONGEST_RUN]
        return sorted(found, key=lambda run: (run.begun_at, run.run_id))

    @property
    def awaited(self) -> ApplyRun | None:
        """The run to which what is unapplied is left; None: to no run, as none is under way or one holds it back."""
        return next(iter(self.under_way), None) if self.late is None else None

    @property
    def late(self) -> ApplyRun | None:
        """The run that holds the others back: one that waits for reviewers, else the oldest. None: none is late."""
        late = [run for run in self.under_way if self.now - run.begun_at >= PATIENCE]
        waiting = [run for run in late if run.status == WAITING]
        return next(iter(waiting or late), None)

    @property
    def last_decided(self) -> ApplyRun | None:
        """The run that ended by itself and was begun last, a repeated one by its last attempt."""
        return max(
            (run for run in self.all if run.has_decided), key=lambda run: (run.begun_at, run.run_id), default=None
        )

    def has_ended_for(self, head: str) -> bool:
        """Whether a run that applies everything has ended for this commit: what it did not apply needs a person."""
        return any(run.head_sha == head and run.whole and run.has_decided for run in self.all)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the repository's variables and the plan of the head ask for.

    `unapplied`: the head wants something else than what was applied. `self_heal`: PLUG_SELF_HEAL is true.
    """

    head: str
    unapplied: bool
    self_heal: bool = False


def choose_begin(runs: Runs | None, wanted: Wanted, findings: Iterable[Finding]) -> Begin:
    """Decide whether to begin a run. `runs` None: they could not be read, so one may be under way."""
    if runs is None or runs.under_way:
        return Begin.NOTHING
    healable = [one.kind for one in findings if one.kind in HEALABLE] if wanted.self_heal else []
    if any(kind is not FindingKind.UNAPPLIED for kind in healable):
        return Begin.REASSERT
    if healable or (wanted.unapplied and not runs.has_ended_for(wanted.head)):
        return Begin.ORDINARY
    return Begin.NOTHING


HEALABLE = frozenset(
    {
        FindingKind.LIVE,
        FindingKind.UNCERTAIN,
        FindingKind.UNAPPLIED,
        FindingKind.ENDPOINT,
        FindingKind.SECRET,
        FindingKind.EXPIRED,
    }
)
"""What an apply repairs: it never changes an orphan, makes no token last longer, and takes no other company's token."""


def leave_out(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], int]:
    """Return the findings without those of kind `unapplied`, and how many environments those are of."""
    every = tuple(findings)
    left = {one.environment for one in every if one.kind is FindingKind.UNAPPLIED}
    return tuple(one for one in every if one.kind is not FindingKind.UNAPPLIED), len(left)


def find_sending(heads: Iterable[Head], now: datetime) -> frozenset[str]:
    """Return the environments whose PUT is under way: nothing is in doubt there yet."""
    return frozenset(head.environment for head in heads if head.is_locked(now) and not head.is_in_doubt(now))


def leave_out_sending(findings: Iterable[Finding], sending: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings without doubt about a PUT that is under way: it is not known yet how it ends."""
    return tuple(one for one in findings if one.kind is not FindingKind.UNCERTAIN or one.environment not in sending)
