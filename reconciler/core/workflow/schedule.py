"""The decisions of the schedule: which findings it leaves to a running apply run, and when it starts one.

A run is *active* from the moment it is requested until it has ended. An active run will apply the head of the default
branch. So the schedule leaves unapplied changes to it, for a day at most, and starts no further run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from reconciler.model import Finding, FindingKind, Head

PATIENCE = timedelta(hours=24)  # unapplied changes are left to an active run for this long
LONGEST_RUN = timedelta(days=35)  # GitHub's limit, with all waiting; a run that looks active for longer is dead

ACTIVE = ("requested", "queued", "pending", "waiting", "in_progress")
"""The values of `status` of a run that has not ended, in the order in which a run may pass through them."""
WAITING = "waiting"  # for a reviewer
COMPLETED = "completed"
PUSH = "push"
UNDECIDED = frozenset({"cancelled", "skipped", "stale", "neutral"})
"""Conclusions of a run that decided nothing: it was superseded, a person ended it, or it had nothing to do."""


class ApplyRun(Struct, frozen=True):
    """A run of apply.yml on the default branch. `begun_at` is when its last attempt was requested.

    `whole`: a push or the schedule started it, so that no input has narrowed it.
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
        """Return whether it ended by itself: it failed or refused to apply everything that it did not apply."""
        return self.has_ended and self.conclusion not in UNDECIDED


class Begin(StrEnum):
    """The kinds of run that the schedule starts."""

    NOTHING = "nothing"
    ORDINARY = "ordinary"
    REASSERT = "reassert"


class Runs(Struct, frozen=True):
    """The apply runs that GitHub shows, judged at `now`."""

    now: datetime
    all: tuple[ApplyRun, ...]

    @property
    def active(self) -> list[ApplyRun]:
        """The active runs, the oldest first."""
        found = [run for run in self.all if not run.has_ended and self.now - run.begun_at < LONGEST_RUN]
        return sorted(found, key=lambda run: (run.begun_at, run.run_id))

    @property
    def awaited(self) -> ApplyRun | None:
        """The run to which unapplied changes are left; None if no run is active, or one of them is late."""
        return next(iter(self.active), None) if self.late is None else None

    @property
    def late(self) -> ApplyRun | None:
        """The run that blocks the others: one that waits for reviewers, else the oldest; None if no run is late."""
        late = [run for run in self.active if self.now - run.begun_at >= PATIENCE]
        waiting = [run for run in late if run.status == WAITING]
        return next(iter(waiting or late), None)

    @property
    def last_decided(self) -> ApplyRun | None:
        """The latest run that ended by itself. The start of the last attempt counts."""
        return max(
            (run for run in self.all if run.has_decided), key=lambda run: (run.begun_at, run.run_id), default=None
        )

    def has_ended_for(self, head: str) -> bool:
        """Return whether a whole run has ended by itself for this commit, so that a further one would not help."""
        return any(run.head_sha == head and run.whole and run.has_decided for run in self.all)


class Wanted(Struct, frozen=True):
    """The wishes of the repository's variables and of the plan of the head.

    `unapplied`: the head wants something else than what was applied. `self_heal`: PLUG_SELF_HEAL is true.
    """

    head: str
    unapplied: bool
    self_heal: bool = False


def choose_begin(runs: Runs | None, wanted: Wanted, findings: Iterable[Finding]) -> Begin:
    """Decide whether to start a run. `runs` is None if they could not be read, so that one may be active."""
    if runs is None or runs.active:
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
"""The kinds of drift that an apply fixes. It fixes no orphan, no token that ends and no other company's token."""


def drop_unapplied(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], int]:
    """Return the findings without those of kind `unapplied`, and the number of environments that had one."""
    every = tuple(findings)
    left = {one.environment for one in every if one.kind is FindingKind.UNAPPLIED}
    return tuple(one for one in every if one.kind is not FindingKind.UNAPPLIED), len(left)


def find_sending(heads: Iterable[Head], now: datetime) -> frozenset[str]:
    """Return the environments whose PUT is in flight, and which are not in doubt yet."""
    return frozenset(head.environment for head in heads if head.is_locked(now) and not head.is_in_doubt(now))


def drop_doubt_of_sending(findings: Iterable[Finding], sending: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings without `uncertain` ones of environments that are sending, as their PUT has not ended."""
    return tuple(one for one in findings if one.kind is not FindingKind.UNCERTAIN or one.environment not in sending)
