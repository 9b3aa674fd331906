"""The last job of an apply run: which merged pull requests get a comment, and its content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from reconciler.core.workflow.endings import ABSENT, UNKNOWN, EndedRun, Ending, RunJob, StateView, Wish, WishFate
from reconciler.core.workflow.markers import Marker, MarkState
from reconciler.core.workflow.strict import LastChange
from reconciler.errors import Corrupt, PostFailed
from reconciler.model import Applied, By, Document
from reconciler.ports import MergedPull, Posted, PostEffect, Write
from reconciler.run.result import (
    MAX_COMMENTS,
    REPORTED_FOR,
    Comment,
    find_names,
    find_pulls_to_report,
    make_comments,
    post_comments,
    read_state,
)
from tests.fakes import START, make_desired
from tests.memory_store import MemoryStore


@dataclass
class FakeHub:
    """Merged pull requests, and the comments on them."""

    merged: list[tuple[timedelta, MergedPull]] = field(default_factory=list)  # each with how long ago
    markers: dict[int, Marker] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    superseded: set[int] = field(default_factory=set)
    posted: dict[int, tuple[Marker, str]] = field(default_factory=dict)

    def list_jobs(self, attempt: int) -> Sequence[RunJob]:
        return ()

    def list_merged(self, since: datetime) -> Sequence[MergedPull]:
        return [one for ago, one in self.merged if START - ago >= since]

    def find_markers(self, name: str, since: datetime) -> Mapping[int, Marker]:
        assert name == "apply"
        return self.markers

    def count_commits(self, pull: MergedPull) -> int:
        return self.commits.get(pull.number, 1)

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        if number in self.refused:
            raise PostFailed("GitHub answered 403", 403)
        if number in self.superseded:
            return Posted(PostEffect.SUPERSEDED, "https://github.com/c")
        self.posted[number] = (marker, text)
        return Posted(PostEffect.CREATED, "https://github.com/c")


@dataclass
class FakeHistory:
    """What each commit wants, the newest first. The parent of a commit is the one after it."""

    wants: dict[str, dict[str, str]]

    @property
    def commits(self) -> Sequence[str]:
        return list(self.wants)

    def changed_by(self, commit: str) -> Collection[str]:
        line = self.commits
        place = line.index(commit)
        before = self.wants[line[place + 1]] if place + 1 < len(line) else {}
        after = self.wants[commit]
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def find_wants(self, commit: str, names: Collection[str]) -> Mapping[str, str]:
        return {name: self.wants[commit].get(name, ABSENT) for name in names}

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        return {name: self._find_last(name) for name in names}

    def _find_last(self, name: str) -> LastChange:
        changing = [place for place, commit in enumerate(self.commits) if name in self.changed_by(commit)]
        return LastChange(changing[0], self.commits[changing[0]]) if changing else LastChange(None, self.commits[-1])


def merged(number: int, commit: str, *, ago: timedelta = timedelta(hours=1)) -> tuple[timedelta, MergedPull]:
    return ago, MergedPull(number, "f" * 40, commit)


HISTORY = FakeHistory(
    {
        "e": {"loja": "2", "matriz": "1"},
        "d": {"loja": "2", "matriz": "1", "velha": "1"},
        "c": {"loja": "1", "matriz": "1", "velha": "1"},
        "b": {"loja": "1", "velha": "1"},
        "a": {"velha": "1"},
    }
)


def test_each_merged_pull_request_gets_the_results_of_its_own_environments() -> None:
    """It says if a later commit changed or removed one. A pull request that changed nothing gets no comment."""
    hub = FakeHub([merged(5, "e"), merged(4, "d"), merged(3, "c"), merged(2, "b"), merged(9, "x")])
    to_report = find_pulls_to_report(hub, HISTORY, START)
    assert {one.pull.number: one.wishes for one in to_report} == {
        5: (Wish("velha", WishFate.REMOVED),),
        4: (Wish("loja"),),
        3: (Wish("matriz"),),
        2: (Wish("loja", WishFate.CHANGED, "d"),),
    }
    assert find_names(to_report) == {"loja", "matriz", "velha"}


def test_a_pull_request_gets_its_comment_once() -> None:
    """An open comment is written again, after pull requests without any; two weeks later there are no comments."""
    hub = FakeHub(
        [merged(4, "d"), merged(3, "c"), merged(2, "b"), merged(1, "a", ago=REPORTED_FOR + timedelta(seconds=1))],
        {4: Marker("apply", 6, 1, MarkState.OPEN), 2: Marker("apply", 6, 1, MarkState.DONE)},
    )
    assert [one.pull.number for one in find_pulls_to_report(hub, HISTORY, START)] == [3, 4]


def test_without_merges_nothing_else_is_read() -> None:
    """Neither git nor GitHub's comments are read."""
    assert find_pulls_to_report(FakeHub(), FakeHistory({}), START) == []


def test_a_rebase_merge_is_reported_with_all_its_commits() -> None:
    """A direct push before a squash does not belong to the pull request."""
    rebased = FakeHub([merged(4, "d")], commits={4: 2})
    assert find_pulls_to_report(rebased, HISTORY, START)[0].wishes == (Wish("loja"), Wish("matriz"))
    followed = FakeHub([merged(4, "d"), merged(3, "c")], commits={4: 2})
    assert [one.wishes for one in find_pulls_to_report(followed, HISTORY, START)] == [
        (Wish("loja"),),
        (Wish("matriz"),),
    ]


def test_an_environment_that_can_not_be_resolved_is_reported_as_it_is_now() -> None:
    """This version refuses the manifest of that commit."""
    history = FakeHistory({"b": {"loja": "2"}, "a": {"loja": UNKNOWN}})
    hub = FakeHub([merged(2, "b"), merged(1, "a")])
    assert [one.wishes for one in find_pulls_to_report(hub, history, START)] == [(Wish("loja"),), (Wish("loja"),)]


def test_a_comment_stays_open_until_all_is_applied() -> None:
    """So the next run looks at it again."""
    hub = FakeHub([merged(4, "d"), merged(3, "c")])
    to_report = find_pulls_to_report(hub, HISTORY, START)
    desired = {name: make_desired(name) for name in ("loja", "matriz")}
    loja = desired["loja"]
    applied = Applied(loja.endpoint, None, loja.webhooks, {}, START, By(run="7/1"))
    state = StateView(START, {"loja": Document("loja", "l", 1, applied)})
    comments = list(make_comments(to_report, EndedRun("7", refused="max_changed"), desired, state))
    assert [(one.number, one.state) for one in comments] == [(4, MarkState.DONE), (3, MarkState.OPEN)]
    assert [one.reports[0].ending for one in comments] == [Ending.APPLIED, Ending.NOT_TRIED]


def comment(number: int) -> Comment:
    return Comment(number, MarkState.OPEN, ())


def test_a_comment_that_can_not_be_written_is_a_warning() -> None:
    """The other comments are written."""
    hub = FakeHub(refused={1})
    posted = post_comments(hub, map(comment, (1, 2)), lambda one: f"of {one.number}", 7, 2)
    assert hub.posted == {2: (Marker("apply", 7, 2, MarkState.OPEN), "of 2")}
    assert posted.numbers == (2,)
    assert posted.warnings == ("pull request 1 got no comment (GitHub answered 403); the next run tries again",)


def test_a_comment_of_a_later_run_is_not_counted_as_written() -> None:
    """It is not changed, so this run has reported nothing there."""
    hub = FakeHub(superseded={1})
    posted = post_comments(hub, map(comment, (1, 2)), lambda one: "", 7, 2)
    assert (posted.numbers, posted.warnings) == ((2,), ())


def test_one_run_writes_a_limited_number_of_comments() -> None:
    """GitHub limits how many are written in a minute."""
    hub = FakeHub()
    posted = post_comments(hub, map(comment, range(MAX_COMMENTS + 2)), lambda one: "", 7, 1)
    assert len(posted.numbers) == len(hub.posted) == MAX_COMMENTS
    assert posted.warnings == (f"the next run comments on 2 more pull requests: one run writes {MAX_COMMENTS}",)


def test_a_document_that_can_not_be_read_is_named_and_the_others_are_reported() -> None:
    """Only the requested documents are named."""
    store = MemoryStore()
    store.write([Write(name, Document(name, "l", 1), None) for name in ("loja", "other")])
    store.documents |= {"bad": b"{", "worse": b"{"}
    state = read_state(store, ["loja", "bad", "new"], START)
    assert (list(state.documents), list(state.faults)) == (["loja"], ["bad"])
    with pytest.raises(Corrupt):
        store.read(["bad"])
