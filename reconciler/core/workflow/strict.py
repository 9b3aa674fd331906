"""The check that a merged pull request's head wanted what an apply run would send (`PLUG_STRICT`).

Only the content of commits decides, as it can't be forged. The event, the actor, statuses and labels are not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class UnreviewedCause(StrEnum):
    """The reason why an environment counts as not reviewed."""

    NO_PULL_REQUEST = "no-pull-request"
    COMBINATION = "combination"  # the base had changed since, so the pull request's head wanted something else
    TOO_FAR_BACK = "too-far-back"  # the change is older than the commits searched, or this version can't read it


class LastChange(NamedTuple):
    """The newest commit of a line that changed what is wanted of an environment.

    `position` counts from the run's commit, 0, backwards. If it is None, no such commit was found, and `commit` is the
    last one that was searched. `searched` is then its position; the change is this commit or an older one.
    """

    position: int | None
    commit: str
    searched: int | None = None

    @property
    def reach(self) -> int:
        """The highest position of a commit that is known not to be older than the change; -1 if there is none."""
        if self.position is not None:
            return self.position
        return -1 if self.searched is None else self.searched


class Candidate(NamedTuple):
    """A merged pull request whose review may cover an environment.

    `position` is the position of its merge commit on the line. `is_of_change`: GitHub says that the last change came
    with it. `wants_same`: its head wants the same of the environment as the run's commit; None if this version can't
    resolve the head.
    """

    position: int
    is_of_change: bool
    wants_same: bool | None


class Unreviewed(Struct, frozen=True):
    """An environment that must not be sent. `commit` is the one that its cause is about."""

    environment: str
    commit: str
    cause: UnreviewedCause


def find_cause(change: LastChange, candidates: Iterable[Candidate]) -> UnreviewedCause | None:
    """Return why an environment is not reviewed; None if the head of a merged pull request wanted the same.

    That pull request must have been merged as the commit of the last change or as a later one. A later one counts too:
    a rebase merge adds several commits, and a review of a branch that contains the change is a review of the change.
    """
    counted = [one for one in candidates if one.position <= change.reach]
    if any(one.wants_same for one in counted):
        return None
    if change.position is None:
        return UnreviewedCause.TOO_FAR_BACK
    of_change = [one for one in counted if one.is_of_change]
    if not of_change:
        return UnreviewedCause.NO_PULL_REQUEST
    return (
        UnreviewedCause.TOO_FAR_BACK
        if any(one.wants_same is None for one in of_change)
        else UnreviewedCause.COMBINATION
    )
