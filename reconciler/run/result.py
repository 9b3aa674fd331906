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
from typing import Protocol

from reconciler.core.protocol.markers import Marker, MarkState
from reconciler.core.protocol.telling import (
    EndedRun,
    StateView,
    Told,
    Wish,
    find_later,
    is_open,
    tell_pull_request,
    tell_run,
)
from reconciler.errors import PostFailed
from reconciler.model import Desired
from reconciler.ports import MergedPullRequest, ResultHub, StateStore

logger = logging.getLogger(__name__)

COMMENT = "apply"
TELLING_TIME = timedelta(days=14)  # after its merge; who asks later finds it in the state
MOST_COMMENTS = 50  # of one run, as GitHub takes about 80 in a minute; the next run writes the others


class ChangeHistory(Protocol):
    """What the commits of the default branch want. Every method raises ReconcilerError where git can't say."""

    def find_line(self) -> Sequence[str]:
        """The first-parent line of the run's commit, the newest first, as far as it is looked at."""
        ...

    def changed_by(self, commit: str) -> Collection[str] | None:
        """The environments of which the commit wants something else than its first parent.

        None: one of the two has manifests that are not valid.
        """
        ...

    def wants(self, commit: str, environment: str) -> str | None:
        """The digest of what the commit wants of an environment, None where it wants none, or is not valid."""
        ...


@dataclass(frozen=True, slots=True)
class Untold:
    """A merged pull request to be told. `wishes` None: what it changed can't be read."""

    pull: MergedPullRequest
    wishes: tuple[Wish, ...] | None
    marker: Marker | None = None  # of the comment that is there


@dataclass(frozen=True, slots=True)
class Comment:
    """What is said of one pull request. `all_known`: `told` is of the environments that it changed."""

    number: int
    state: MarkState
    told: tuple[Told, ...]
    all_known: bool = True


def find_untold(hub: ResultHub, history: ChangeHistory, now: datetime) -> list[Untold]:
    """Return the merged pull requests that this run has to tell, those without any comment first.

    Raises PostFailed, and what `history` raises.
    """
    since = now - TELLING_TIME
    merged = hub.list_merged(since)
    if not merged:
        return []
    markers = hub.find_markers(COMMENT, since)
    line = history.find_line()
    place = {commit: index for index, commit in enumerate(line)}
    found = []
    for pull in merged:
        marker = markers.get(pull.number)
        if pull.merge_commit not in place or (marker is not None and marker.state is MarkState.DONE):
            continue
        changed = history.changed_by(pull.merge_commit)
        if changed is None:
            found.append(Untold(pull, None, marker))
        elif changed:
            wishes = tuple(_find_wish(history, line, pull.merge_commit, name) for name in sorted(changed))
            found.append(Untold(pull, wishes, marker))
    logger.info("%d of %d merged pull requests are to be told", len(found), len(merged))
    return sorted(found, key=lambda one: one.marker is not None)


def _find_wish(history: ChangeHistory, line: Sequence[str], commit: str, name: str) -> Wish:
    later = find_later(line, commit, lambda one: history.wants(one, name))
    head = history.wants(line[0], name)
    return Wish(name, later, removed=head is None)


def find_names(untold: Iterable[Untold]) -> frozenset[str]:
    """Return the environments whose state is needed to tell these pull requests."""
    return frozenset(wish.environment for one in untold for wish in one.wishes or ())


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
    """Make what is said of each pull request.

    Where it is not known what one changed, it is told of the whole run; it needs no other comment once all is applied.
    """
    for one in untold:
        known = one.wishes is not None
        told = tell_pull_request(one.wishes, run, desired, state) if one.wishes is not None else []
        if not known:
            told = tell_run(run, desired, state)
        # a run that was refused, or whose manifests can't be read, may have nothing to say of any environment
        unsettled = is_open(told) or (not known and (not run.begun or not desired))
        yield Comment(one.pull.number, MarkState.OPEN if unsettled else MarkState.DONE, tuple(told), known)


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
            hub.put_comment(comment.number, Marker(COMMENT, run_id, attempt, comment.state), render(comment))
        except PostFailed as error:
            warnings.append(f"pull request {comment.number} was not told ({error}); the next run tries again")
        else:
            told.append(comment.number)
    if waiting:
        warnings.append(f"{waiting} more pull requests are told by the next run: one run writes {MOST_COMMENTS}")
    return PostedComments(tuple(told), tuple(warnings))
