"""The search of strict over a line of commits: the kinds of merges, and which questions GitHub is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from reconciler.core.workflow.strict import LastChange, Unreviewed, UnreviewedCause
from reconciler.errors import PostFailed
from reconciler.ports import MergedPull
from reconciler.run.strict import COMMITS_A_STEP, find_combinations, find_unreviewed

MINE, BASE = "loja", "matriz"


def sha(name: str) -> str:
    return name.encode().hex().ljust(40, "0")[:40]


@dataclass
class FakeHistory:
    """A line of commits, the newest first, each with what it wants of each environment; and heads alike."""

    line: list[tuple[str, dict[str, str]]]
    heads: dict[str, dict[str, str]] = field(default_factory=dict)
    fetched: list[set[str]] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)

    @property
    def commits(self) -> Sequence[str]:
        return [sha(name) for name, _ in self.line]

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        return {name: self._find_change(name) for name in names}

    def _find_change(self, name: str) -> LastChange:
        for position, (here, then) in enumerate(zip(self.line, self.line[1:], strict=False)):
            if here[1].get(name) != then[1].get(name):
                return LastChange(position, sha(here[0]))
        return LastChange(None, sha(self.line[-1][0]), len(self.line) - 1)

    def fetch_heads(self, pulls: Collection[MergedPull]) -> None:
        if pulls:
            self.fetched.append({pull.head_sha for pull in pulls})

    def compare(self, commit: str, names: Collection[str]) -> Mapping[str, bool | None]:
        assert commit in self.heads and any(commit in heads for heads in self.fetched)
        wanted = self.line[0][1]
        return {
            name: None if commit in self.unreadable else self.heads[commit].get(name) == wanted.get(name)
            for name in names
        }


@dataclass
class FakePulls:
    """Pull requests by commit. `named` is what GitHub names for a commit."""

    named: dict[str, list[MergedPull]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: bool = False

    def list_pulls(self, sha: str) -> Sequence[MergedPull]:
        self.asked.append(sha)
        if self.failing:
            raise PostFailed("GitHub answered 502", 502)
        return self.named.get(sha, [])


@dataclass
class World:
    """A default branch as people merge into it."""

    history: FakeHistory = field(default_factory=lambda: FakeHistory([("begin", {MINE: "0", BASE: "0"})]))
    pulls: FakePulls = field(default_factory=FakePulls)

    def push(self, name: str, **wants: str) -> None:
        self.history.line.insert(0, (name, {**self.history.line[0][1], **wants}))

    def merge(self, number: int, *, head: dict[str, str], at: str, named: Sequence[str] = ()) -> MergedPull:
        """Say that a pull request was merged as the commit `at`, and which commits GitHub names it for."""
        pull = MergedPull(number, sha(f"head{number}"), sha(at))
        self.history.heads[pull.head_sha] = {MINE: "0", BASE: "0", **head}
        for commit in dict.fromkeys([at, *named]):
            self.pulls.named.setdefault(sha(commit), []).append(pull)
        return pull

    def find(self, *names: str) -> list[tuple[str, str, UnreviewedCause]]:
        found = find_unreviewed(names or (MINE,), self.history, self.pulls)
        return [(one.environment, one.commit, one.cause) for one in found]


@pytest.fixture
def world() -> World:
    return World()


def test_a_merged_pull_request_whose_head_wants_the_same(world: World) -> None:
    """Squashed, or by a merge commit, it is one commit on the line. GitHub is asked once."""
    world.push("merge", loja="1")
    world.merge(1, head={MINE: "1"}, at="merge")
    world.push("later")
    assert world.find() == []
    assert world.pulls.asked == [sha("merge")]


def test_a_direct_push_is_refused_whatever_is_merged_after_it(world: World) -> None:
    world.push("push", loja="1")
    world.push("merge", matriz="1")
    world.merge(1, head={BASE: "1"}, at="merge")
    assert world.find(MINE, BASE) == [(MINE, sha("push"), UnreviewedCause.NO_PULL_REQUEST)]


def test_a_direct_push_over_a_pull_request_is_refused(world: World) -> None:
    """The pull request's merge was the change before."""
    world.push("merge", loja="1")
    world.merge(1, head={MINE: "1"}, at="merge")
    world.push("push", loja="2")
    assert world.find() == [(MINE, sha("push"), UnreviewedCause.NO_PULL_REQUEST)]


def test_a_direct_push_that_goes_back_to_what_was_reviewed_is_refused(world: World) -> None:
    world.push("first", loja="1")
    world.merge(1, head={MINE: "1"}, at="first")
    world.push("second", loja="2")
    world.merge(2, head={MINE: "2"}, at="second")
    world.push("push", loja="1")
    assert world.find() == [(MINE, sha("push"), UnreviewedCause.NO_PULL_REQUEST)]


def test_a_revert_by_a_pull_request_is_reviewed(world: World) -> None:
    world.push("first", loja="1")
    world.merge(1, head={MINE: "1"}, at="first")
    world.push("revert", loja="0")
    world.merge(2, head={MINE: "0"}, at="revert")
    assert world.find() == []


@pytest.mark.parametrize("named", [["one", "two"], []], ids=["named for all its commits", "named for the last"])
def test_a_rebase_merge_is_one_change(world: World, named: list[str]) -> None:
    """GitHub does not document for which of its commits it names the pull request."""
    world.push("one", loja="1")
    world.push("two", loja="2")
    world.push("three", matriz="1")
    world.merge(1, head={MINE: "2", BASE: "1"}, at="three", named=named)
    assert world.find(MINE, BASE) == []


def test_a_rebase_merge_onto_a_base_that_moved_is_a_combination(world: World) -> None:
    world.push("base", loja="base")
    world.merge(1, head={MINE: "base"}, at="base")
    world.push("one", loja="base+1")
    world.push("two", matriz="1")
    world.merge(2, head={MINE: "1", BASE: "1"}, at="two", named=["one"])
    assert world.find(MINE, BASE) == [(MINE, sha("one"), UnreviewedCause.COMBINATION)]


def test_a_combination_is_cured_by_a_later_pull_request_that_shows_it(world: World) -> None:
    world.push("base", loja="base")
    world.merge(1, head={MINE: "base"}, at="base")
    world.push("merge", loja="base+1")
    world.merge(2, head={MINE: "1"}, at="merge")
    assert world.find() == [(MINE, sha("merge"), UnreviewedCause.COMBINATION)]
    world.push("cure")
    world.merge(3, head={MINE: "base+1"}, at="cure")
    assert world.find() == []


def test_two_environments_of_one_queue(world: World) -> None:
    """One pull request has `_defaults`, the next a new environment: neither branch had both."""
    world.push("defaults", loja="1")
    world.merge(1, head={MINE: "1"}, at="defaults")
    world.push("new", matriz="new+1")
    world.merge(2, head={BASE: "new"}, at="new")
    assert world.find(MINE, BASE) == [(BASE, sha("new"), UnreviewedCause.COMBINATION)]


def test_what_is_too_far_back_is_cured_by_any_pull_request_that_shows_it(world: World) -> None:
    world.push("later", matriz="1")
    world.merge(1, head={MINE: "old", BASE: "1"}, at="later")
    assert world.find(MINE, BASE) == [(MINE, sha("begin"), UnreviewedCause.TOO_FAR_BACK)]
    world.push("cure")
    world.merge(2, head={}, at="cure")
    assert world.find(MINE) == []


def test_a_head_that_this_version_refuses_is_too_far_back(world: World) -> None:
    world.push("merge", loja="1")
    pull = world.merge(1, head={MINE: "1"}, at="merge")
    world.history.unreadable.add(pull.head_sha)
    assert world.find() == [(MINE, sha("merge"), UnreviewedCause.TOO_FAR_BACK)]


def test_a_pull_request_whose_merge_is_not_on_the_line_does_not_count(world: World) -> None:
    """GitHub names every pull request that contains the commit."""
    world.push("push", loja="1")
    world.merge(1, head={MINE: "1"}, at="elsewhere", named=["push"])
    assert world.find() == [(MINE, sha("push"), UnreviewedCause.NO_PULL_REQUEST)]


def test_a_failed_lookup_is_not_an_answer(world: World) -> None:
    world.push("push", loja="1")
    world.pulls.failing = True
    with pytest.raises(PostFailed):
        world.find()


def test_each_commit_is_asked_about_once_and_no_more_than_needed(world: World) -> None:
    """Later pull requests are searched in steps, the newest commits first, and heads are fetched together."""
    world.push("push", loja="1")
    for number in range(2 * COMMITS_A_STEP):
        world.push(f"other{number}")
    world.push("cure")
    world.merge(1, head={MINE: "1"}, at="cure")
    world.merge(2, head={BASE: "7"}, at="other39")
    assert world.find() == []
    assert world.pulls.asked == [sha("push"), *world.history.commits[:COMMITS_A_STEP]]
    assert world.history.fetched == [{sha("head1"), sha("head2")}]


def test_a_review_names_what_head_and_test_merge_want_differently(world: World) -> None:
    world.push("merge", loja="1", matriz="2")
    world.history.heads[sha("head")] = {MINE: "1", BASE: "1"}
    world.history.fetched.append({sha("head")})
    assert find_combinations([MINE, BASE], sha("head"), world.history) == [BASE]


def test_the_answer_is_sorted_and_holds_each_environment_once(world: World) -> None:
    world.push("push", zeta="1", alfa="1", loja="1")
    assert find_unreviewed(["zeta", "alfa", MINE], world.history, world.pulls) == [
        Unreviewed(name, sha("push"), UnreviewedCause.NO_PULL_REQUEST) for name in ("alfa", MINE, "zeta")
    ]
