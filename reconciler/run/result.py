"""The last job of an apply run: it reports the result of each environment, also on the merged pull requests.

The comments themselves record what was reported. A merged pull request without a comment, or whose comment is still
`open`, gets one from this run, whichever run applied it. So every pull request is answered, also if a run was
superseded or if GitHub did not take a comment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from reconciler.core.workflow.endings import (
    EndedRun,
    EndReport,
    StateView,
    Wish,
    WishFate,
    find_fate,
    is_open,
    report_pull_request,
)
from reconciler.core.workflow.markers import Marker, MarkState
from reconciler.errors import PostFailed
from reconciler.model import Desired
from reconciler.ports import MergedPull, PostEffect, ResultHub, StateStore
from reconciler.text.counts import counted

if TYPE_CHECKING:
    from reconciler.core.workflow.strict import LastChange

logger = logging.getLogger(__name__)

COMMENT = "apply"
REPORTED_FOR = timedelta(days=14)  # after a pull request's merge; later the state answers
MAX_COMMENTS = 50  # of one run, as GitHub takes about 80 in a minute; the next run writes the others


class ChangeHistory(Protocol):
    """The wants of the default branch's commits. Every method raises InputError if git can't say."""

    @property
    def commits(self) -> Sequence[str]:
        """Return the first-parent line of the run's commit, itself first, as far as it is searched."""
        ...

    def changed_by(self, commit: str) -> Collection[str]:
        """Return the environments for which the commit wants something else than its first parent.

        Must: include an environment that can't be resolved on either side, unless its text is the same.
        """
        ...

    def find_wants(self, commit: str, names: Collection[str]) -> Mapping[str, str]:
        """Return the digest of what the commit wants for each environment, or `ABSENT` or `UNKNOWN`."""
        ...

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        """Return the newest commit of the line that changed each environment."""
        ...


class PullToReport(Struct, frozen=True):
    """A merged pull request that needs a comment, with the environments that it changed."""

    pull: MergedPull
    wishes: tuple[Wish, ...]


class Comment(Struct, frozen=True):
    """The comment on one pull request."""

    number: int
    state: MarkState
    reports: tuple[EndReport, ...]


def find_pulls_to_report(hub: ResultHub, history: ChangeHistory, now: datetime) -> list[PullToReport]:
    """Return the merged pull requests that this run has to comment on, those without any comment first.

    Raises PostFailed, InputError.
    """
    since = now - REPORTED_FOR
    merged = hub.list_merged(since)
    if not merged:
        return []
    markers = hub.find_markers(COMMENT, since)
    positions = {commit: position for position, commit in enumerate(history.commits)}
    unanswered = [
        pull
        for pull in merged
        if pull.merge_sha in positions
        and ((marker := markers.get(pull.number)) is None or marker.state is MarkState.OPEN)
    ]
    changed = {pull: _find_changed(hub, history, pull, positions, merged) for pull in unanswered}
    found = _find_wishes(history, {pull: names for pull, names in changed.items() if names})
    logger.info("%d of %d merged pull requests need a comment", len(found), len(merged))
    return sorted(found, key=lambda one: one.pull.number in markers)


def _find_changed(
    hub: ResultHub,
    history: ChangeHistory,
    pull: MergedPull,
    positions: Mapping[str, int],
    merged: Iterable[MergedPull],
) -> frozenset[str]:
    """Return the environments that a pull request changed. A rebase merge is several commits of the line."""
    position = positions[pull.merge_sha]
    others = {one.merge_sha for one in merged}
    before = history.commits[position + 1 : position + 2]
    count = hub.count_commits(pull) if before and before[0] not in others else 1
    own = history.commits[position : position + count]
    return frozenset(name for commit in own for name in history.changed_by(commit))


def _find_wishes(history: ChangeHistory, changed: Mapping[MergedPull, frozenset[str]]) -> list[PullToReport]:
    """Return what became of the environments that each pull request changed, at the run's commit."""
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
        PullToReport(pull, tuple(wish(pull, name, fate) for name, fate in sorted(of.items())))
        for pull, of in fates.items()
    ]


def find_names(to_report: Iterable[PullToReport]) -> frozenset[str]:
    """Return the environments whose state is needed for these comments."""
    return frozenset(wish.environment for one in to_report for wish in one.wishes)


def read_state(store: StateStore, names: Collection[str], now: datetime) -> StateView:
    """Return what the state shows about these environments. Raises Unreachable.

    A document that can't be read is reported with its fault, and does not keep the others from being reported.
    """
    changes = store.read_changes()
    readable = [name for name in names if name in changes.heads]
    documents = {name: stored.document for name, stored in store.read(readable).items()}
    faults = {name: str(fault) for name, fault in changes.faults.items() if name in names}
    return StateView(now, documents, faults)


def make_comments(
    to_report: Iterable[PullToReport], run: EndedRun, desired: Mapping[str, Desired], state: StateView
) -> Iterator[Comment]:
    """Yield the comment on each pull request."""
    for one in to_report:
        results = report_pull_request(one.wishes, run, desired, state)
        yield Comment(one.pull.number, MarkState.OPEN if is_open(results) else MarkState.DONE, tuple(results))


class PostedComments(Struct, frozen=True):
    """The numbers of the pull requests that got a comment, and warnings about the others."""

    numbers: tuple[int, ...]
    warnings: tuple[str, ...]


def post_comments(
    hub: ResultHub, comments: Iterable[Comment], render: Callable[[Comment], str], run_id: int, attempt: int
) -> PostedComments:
    """Write the comments. One that can't be written becomes a warning, and the next run tries again."""
    numbers: list[int] = []
    warnings: list[str] = []
    waiting = 0
    for comment in comments:
        if len(numbers) + len(warnings) >= MAX_COMMENTS:
            waiting += 1
            continue
        try:
            posted = hub.put_comment(comment.number, Marker(COMMENT, run_id, attempt, comment.state), render(comment))
        except PostFailed as error:
            warnings.append(f"pull request {comment.number} got no comment ({error}); the next run tries again")
        else:
            numbers += [] if posted.done is PostEffect.SUPERSEDED else [comment.number]
    if waiting:
        more = counted(waiting, "more pull request")
        warnings.append(f"the next run comments on {more}: one run writes {MAX_COMMENTS}")
    return PostedComments(tuple(numbers), tuple(warnings))
