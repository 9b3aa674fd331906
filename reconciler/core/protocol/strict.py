"""Whether a merged pull request's head wanted what an apply run would send (`PLUG_STRICT`).

The content of a commit can't be forged, so only commits decide: neither the event, the actor, a status nor a label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class UnreviewedCause(StrEnum):
    """The reason why an environment counts as not reviewed."""

    NO_PULL_REQUEST = "no-pull-request"
    COMBINATION = "combination"  # the base changed beneath the pull request, so its head wanted something else
    TOO_FAR_BACK = "too-far-back"  # the change is older than what is looked at, or can't be read by this version


class LastChange(NamedTuple):
    """The newest commit of a line that changed what an environment shall be.

    `position` counts from the line's first commit, 0, which is the run's. None: no such commit is known, and `commit`
    is the last one that could be looked at; `searched` is its position, and the change is there or before it.
    """

    position: int | None
    commit: str
    searched: int | None = None

    @property
    def reach(self) -> int:
        """The position up to which a commit is known not to be older than the change; -1: that of none."""
        if self.position is not None:
            return self.position
        return -1 if self.searched is None else self.searched


class Offer(NamedTuple):
    """A pull request that was merged into the default branch.

    `position` is that of its merge commit on the line. `is_of_change`: GitHub says that it brought the last change.
    `wants_same`: whether its head wants of the environment what the run's commit wants; None: its head can't be
    resolved by this version.
    """

    position: int
    is_of_change: bool
    wants_same: bool | None


@dataclass(frozen=True, slots=True)
class Unreviewed:
    """An environment that must not be sent. `commit` is the one that its cause is about."""

    environment: str
    commit: str
    cause: UnreviewedCause


def find_cause(change: LastChange, offers: Iterable[Offer]) -> UnreviewedCause | None:
    """Return why an environment is not reviewed; None where a merged pull request's head wanted the same.

    That pull request was merged as the commit of the last change or as a later one. A later one counts as well: a
    rebase merge is one change at its last commit, and a review of a branch that holds the change is a review of it.
    """
    counted = [offer for offer in offers if offer.position <= change.reach]
    if any(offer.wants_same for offer in counted):
        return None
    if change.position is None:
        return UnreviewedCause.TOO_FAR_BACK
    of_change = [offer for offer in counted if offer.is_of_change]
    if not of_change:
        return UnreviewedCause.NO_PULL_REQUEST
    return (
        UnreviewedCause.TOO_FAR_BACK
        if any(offer.wants_same is None for offer in of_change)
        else UnreviewedCause.COMBINATION
    )
