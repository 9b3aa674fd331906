"""The markers of the comments that a workflow updates: two lines with the comment's name and the run that wrote it.

They are HTML comments, so that they are not visible. Any user may write such lines, so the caller must use only
comments of the workflows' own author. Any workflow of the repository writes as this author, so a marker is no proof.
"""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct

MAX_AHEAD = 10**10  # ids; GitHub gave about that many in two years, and a run and its re-runs end within three months
MAX_ATTEMPTS = 10_000


class MarkState(StrEnum):
    """The states of a comment: whether a later run must look at it again."""

    OPEN = "open"  # some environment in it is not applied yet, so the next run looks again
    DONE = "done"


class Marker(Struct, frozen=True):
    """The marker of a comment. `name` is the comment's, such as `plan`: a pull request has one comment of each name.

    A comment of an earlier version of this program has no run and counts as one of run 0.
    """

    name: str
    run_id: int = 0
    attempt: int = 0
    state: MarkState = MarkState.DONE

    def __str__(self) -> str:
        return f"{make_name_line(self.name)}\n<!-- reconciler:run {self.run_id}/{self.attempt} {self.state} -->"


_RUN = re.compile(r"<!-- reconciler:run ([0-9]{1,20})/([0-9]{1,6}) (open|done) -->", re.ASCII)


def make_name_line(name: str) -> str:
    return f"<!-- reconciler:{name} -->"


def parse_marker(text: str, name: str) -> Marker | None:
    """Return the marker at the start of a comment; None if the comment has another name, or none."""
    first, *others = text.split("\n", 2)
    if first.rstrip() != make_name_line(name):
        return None
    run = _RUN.fullmatch(others[0].rstrip()) if others else None
    if run is None:
        return Marker(name)
    return Marker(name, int(run[1]), int(run[2]), MarkState(run[3]))


def may_replace(old: Marker, new: Marker) -> bool:
    """Return whether a run may replace the comment of another: not of a run or attempt that began later.

    GitHub gives each run a higher id than the one before. A run that is started again keeps its id. A marker with
    numbers that GitHub can't have given by now is forged, and would otherwise stay for good.
    """
    if old.run_id > new.run_id + MAX_AHEAD or old.attempt > MAX_ATTEMPTS:
        return True
    return (new.run_id, new.attempt) >= (old.run_id, old.attempt)
