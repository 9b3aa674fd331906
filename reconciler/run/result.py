"""The last job of an apply run: what it says of each environment, and to which merged pull requests.

What was said is remembered by the comments themselves. A merged pull request without one, or whose comment is still
`open`, is told by this run, whichever run applied it; so a run that was superseded, or a comment that GitHub did not
take, leaves nobody without an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from reconciler.core.protocol.markers import Marker, MarkState
from reconciler.core.protocol.telling import (
    EndedRun,
    StateView,
    Told,
    Wish,
    WishFate,
    find_fate,
    is_open,
    tell_pull_request,
)
from reconciler.errors import PostFailed
from reconciler.model import Desired
from reconciler.ports import MergedPull, ResultHub, StateStore

if TYPE_CHECKING:
    from reconciler.core.protocol.strict import LastChange

logger = logging.getLogger(__name__)

COMMENT = "apply"
TELLING_TIME = timedelta(days=14)  # after its merge; who asks later finds it in the state
MOST_COMMENTS = 50  # of one run, as GitHub takes about 80 in a minute; the next run writes the others


class ChangeHistory(Protocol):
    """What the commits of the default branch want. Every method raises InputError where git can't say."""

    @property
    def commits(self) -> Sequence[str]:
        """The first-parent line of the run's commit, itself first, as far as it is looked at."""
        ...

    def changed_by(self, commit: str) -> Collection[str]:
        """The environments of which the commit wants something else than its first parent.

        Must: count one in that can't be resolved on either side, unless its text is the same.
        """
        ...

    def find_wants(self, commit: str, names: Collection[str]) -> Mapping[str, str]:
        """The digest of what the commit wants of each environment, else `ABSENT` or `UNKNOWN`."""
        ...

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        """The newest commit of the line that changed each environment."""
        ...


@dataclass(frozen=True, slots=True)
class Untold:
    """A merged pull request to be told, with the environments that it changed."""

    pull: MergedPull
    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """What is said of one pull request."""

    number: int
    state: MarkState
    told: tuple[Told, ...]


def find_untold(hub: ResultHub, history: ChangeHistory, now: datetime) -> list[Untold]:
    """Return the merged pull requests that this run has to tell, those without any comment first.

    Raises PostFailed, InputError.
    """
    since = now - TELLING_TIME
    merged = hub.list_merged(since)
    if not merged:
        return []
    markers = hub.find_markers(COMMENT, since)
    places = {commit: place for place, commit in enumerate(history.commits)}
    asking = [
        pull
        for pull in merged
        if pull.merge_sha in places and ((marker := markers.get(pull.number)) is None or marker.state is MarkState.OPEN)
    ]
    changed = {pull: _find_changed(hub, history, pull, places, merged) for pull in asking}
    found = _find_wishes(history, {pull: names for pull, names in changed.items() if names})
    logger.info("%d of %d merged pull requests need a comment", len(found), len(merged))
    return sorted(found, key=lambda one: one.pull.number in markers)


def _find_changed(
    hub: ResultHub,
    history: ChangeHistory,
    pull: MergedPull,
    places: Mapping[str, int],
    merged: Iterable[MergedPull],
) -> frozenset[str]:
    """Return the environments that a pull request changed. A rebase merge is several commits of the line."""
    place = places[pull.merge_sha]
    others = {one.merge_sha for one in merged}
    before = history.commits[place + 1 : place + 2]
    count = hub.count_commits(pull) if before and before[0] not in others else 1
    own = history.commits[place : place + count]
    return frozenset(name for commit in own for name in history.changed_by(commit))


def _find_wishes(history: ChangeHistory, changed: Mapping[MergedPull, frozenset[str]]) -> list[Untold]:
    head = history.commits[0]
    now = history.find_wants(head, frozenset(name for names in changed.values() for name in names))
    fates = {
        pull: {name: find_fate(then, now[name]) for name, then in history.find_wants(pull.merge_sha, names).items()}
        for pull, names in changed.items()
    }
    moved = {name for of in fates.values() for name, fate in of.items() if fate is not WishFate.WANTED}
    last = history.find_last_changes(moved) if moved else {}

    def wish(pull: MergedPull, name: str, fate: WishFate) -> Wish:
        change = last.get(name)
        known = change is not None and change.position is not None and change.commit != pull.merge_sha
        return Wish(name, fate, change.commit if change is not None and known else None)

    return [
        Untold(pull, tuple(wish(pull, name, fate) for name, fate in sorted(of.items()))) for pull, of in fates.items()
    ]


def find_names(untold: Iterable[Untold]) -> frozenset[str]:
    """Return the environments whose state is needed to tell these pull requests."""
    return frozenset(wish.environment for one in untold for wish in one.wishes)


def read_state(store: StateStore, names: Collection[str], now: datetime) -> StateView:
    """Return what the state shows of these environments. Raises Unreachable.

    A document that can't be read is named with its fault, and keeps no other from being told.
    """
    changes = store.read_changes()
    readable = [name for name in names if name in changes.heads]
    documents = {name: stored.document for name, stored in store.read(readable).items()}
    faults = {name: str(fault) for name, fault in changes.faults.items() if name in names}
    return StateView(now, documents, faults)


def make_comments(
    untold: Iterable[Untold], run: EndedRun, desired: Mapping[str, Desired], state: StateView
) -> Iterator[Comment]:
    """Make what is said of each pull request."""
    for one in untold:
        told = tell_pull_request(one.wishes, run, desired, state)
        yield Comment(one.pull.number, MarkState.OPEN if is_open(told) else MarkState.DONE, tuple(told))


@dataclass(frozen=True, slots=True)
class PostedComments:
    """The numbers of the pull requests that were told, and what went wrong with the others, as warnings."""

    told: tuple[int, ...]
    warnings: tuple[str, ...]


def post_comments(
    hub: ResultHub, comments: Iterable[Comment], render: Callable[[Comment], str], run_id: int, attempt: int
) -> PostedComments:
    """Write the comments. One that can't be written is a warning: the next run tries again."""
    told: list[int] = []
    warnings: list[str] = []
    waiting = 0
    for comment in comments:
        if len(told) + len(warnings) >= MOST_COMMENTS:
            waiting += 1
            continue
        try:
            posted = hub.put_comment(comment.number, Marker(COMMENT, run_id, attempt, comment.state), render(comment))
        except PostFailed as error:
            warnings.append(f"pull request {comment.number} got no comment ({error}); the next run tries again")
        else:
            told += [] if posted.done == "superseded" else [comment.number]
    if waiting:
        warnings.append(f"{waiting} more pull requests get a comment from the next run: one writes {MOST_COMMENTS}")
    return PostedComments(tuple(told), tuple(warnings))
