"""Runs, jobs and merged pull requests, from GitHub's lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.workflow.endings import RunJob
from reconciler.core.workflow.markers import Marker, MarkState
from reconciler.core.workflow.schedule import ApplyRun
from reconciler.errors import PostFailed
from reconciler.github.api import GitHub
from reconciler.github.merged import count_commits, find_markers, list_merged
from reconciler.github.posts import AUTHOR
from reconciler.github.run import WorkflowRun
from reconciler.github.runs import ENDED_RUNS, list_apply_runs, list_jobs
from reconciler.ports import MergedPull
from reconciler.text.instants import instant
from tests.acceptance.conftest import canary
from tests.fakes import START
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

HEAD, OTHER = "a" * 40, "b" * 40
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def _server() -> Iterator[FakeGitHub]:
    with serve_github() as held:
        yield held


@pytest.fixture
def hub(_server: FakeGitHub) -> FakeGitHub:
    """Return GitHub, with nothing on it."""
    for held in (_server.runs, _server.jobs, _server.pulls, _server.comments, _server.failing, _server.line):
        held.clear()
    return _server


@pytest.fixture
def github(hub: FakeGitHub) -> Iterator[GitHub]:
    token = canary()
    hub.tokens[token] = {"actions": "read", "pull-requests": "read", "contents": "read"}
    run = WorkflowRun(hub.url, "https://github.com", REPOSITORY, HEAD, "ana", "7", {})
    with GitHub(run, token) as client:
        yield client


def shown(run_id: int, status: str = "completed", **values: Any) -> dict[str, Any]:
    """Return a run as GitHub shows it."""
    return {
        "id": run_id,
        "head_sha": OTHER,
        "head_branch": "main",
        "status": status,
        "event": "push",
        "conclusion": "success" if status == "completed" else None,
        "created_at": instant(START - HOUR),
        "run_started_at": instant(START),
        "actor": {"login": "ana"},
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{run_id}",
        **values,
    }


def test_runs_under_way_those_of_the_head_and_the_last_ended_ones_are_listed(hub: FakeGitHub, github: GitHub) -> None:
    """Only runs of the default branch are listed, each once; an old run of the head is among them."""
    old = [shown(number) for number in range(2, ENDED_RUNS + 9)]
    waiting = [shown(200 + place, status) for place, status in enumerate(("waiting", "queued", "in_progress"))]
    hub.runs += [shown(1, head_sha=HEAD), *old, *waiting, shown(300, "queued", head_branch="other")]
    found = list_apply_runs(github, "main", HEAD)
    assert [run.run_id for run in found] == [1, *range(9, ENDED_RUNS + 9), 200, 201, 202]
    url = f"https://github.com/{REPOSITORY}/actions/runs/1"
    assert found[0] == ApplyRun(1, HEAD, "completed", "success", START, whole=True, url=url)


def test_a_run_that_a_user_begins_may_be_narrowed(hub: FakeGitHub, github: GitHub) -> None:
    """A run that the workflows begin is not."""
    by_hand = {"event": "workflow_dispatch", "head_sha": HEAD}
    hub.runs += [shown(1, **by_hand), shown(2, **by_hand, actor={"login": AUTHOR})]
    assert [run.whole for run in list_apply_runs(github, "main", HEAD)] == [False, True]


def test_a_run_that_moves_on_meanwhile_is_found_in_its_later_state(hub: FakeGitHub, github: GitHub) -> None:
    """The states are read in the order in which a run has them, so it is never missed."""
    hub.runs.append(shown(1, "queued"))

    def move(request: str) -> None:
        if "status=queued" in request:
            hub.runs[0] = shown(1, "in_progress")
        elif "status=in_progress" in request:
            hub.runs[0] = shown(1, conclusion="failure")

    hub.after = move
    try:
        (found,) = list_apply_runs(github, "main", HEAD)
    finally:
        hub.after = lambda request: None
    assert (found.status, found.conclusion) == ("completed", "failure")


@pytest.mark.parametrize(
    "wrong",
    [{"id": None}, {"id": True}, {"status": 3}, {"run_started_at": "soon"}, {"head_sha": None}, {"event": None}],
    ids=str,
)
def test_a_run_that_is_not_understood_fails_the_call(hub: FakeGitHub, github: GitHub, wrong: dict[str, object]) -> None:
    """It is not left out, because it may be in progress."""
    hub.runs.append(shown(1, "queued") | wrong | ({"status": "queued"} if "status" not in wrong else {}))
    if "status" in wrong:
        hub.runs[0]["head_sha"] = HEAD
    with pytest.raises(PostFailed, match="GitHub's answer does not say"):
        list_apply_runs(github, "main", HEAD)


def test_the_jobs_are_those_of_one_attempt(hub: FakeGitHub, github: GitHub) -> None:
    """They are read over all pages. An address that could end a link is not shown as one."""
    hub.jobs["7/2"] = [{"name": f"Step 1 / {number}", "conclusion": None} for number in range(101)]
    hub.jobs["7/1"] = [{"name": "Begin", "conclusion": "success", "html_url": "https://github.com/x)[y](z"}]
    assert len(list_jobs(github, "7", 2)) == 101
    assert list_jobs(github, "7", 1) == [RunJob("Begin", "success", "https://github.com/xyz")]


def pull(number: int, ago: timedelta = HOUR, *, updated: timedelta | None = None, **values: Any) -> dict[str, Any]:
    merged_at = instant(START - ago)
    return {
        "number": number,
        "merged_at": merged_at,
        "merge_commit_sha": OTHER,
        "base": {"ref": "main"},
        "head": {"sha": HEAD},
        "updated_at": merged_at if updated is None else instant(START - updated),
        **values,
    }


def test_the_pull_requests_that_were_merged_lately_are_listed(hub: FakeGitHub, github: GitHub) -> None:
    """They were merged into the default branch; a later comment on an old one does not count."""
    closed = pull(4, merged_at=None)
    old = pull(5, 9 * HOUR, updated=HOUR)
    for one in (pull(1), pull(2, 2 * HOUR), pull(3, base={"ref": "other"}), closed, old, pull(6, 9 * HOUR)):
        hub.pulls[one["number"]] = one
    found = list_merged(github, "main", START - 3 * HOUR)
    assert found == [MergedPull(1, HEAD, OTHER), MergedPull(2, HEAD, OTHER)]


def test_our_comments_are_found_by_their_markers(hub: FakeGitHub, github: GitHub) -> None:
    """Only comments of the workflows' own author count; of two, the first one, which is kept."""
    marker = Marker("apply", 7, 1, MarkState.OPEN)
    hub.write_comment(4, AUTHOR, f"{marker}\ntext")
    hub.write_comment(4, AUTHOR, f"{Marker('apply', 9, 1)}\ntext")
    hub.write_comment(5, "mallory", f"{marker}\ntext")
    hub.write_comment(6, AUTHOR, f"{Marker('plan', 7, 1)}\ntext")
    assert find_markers(github, "apply", START) == {4: marker}


def commit(sha: str, message: str, parents: int = 1) -> dict[str, Any]:
    return {"sha": sha, "commit": {"message": message}, "parents": [{}] * parents}


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ([commit(OTHER, "two"), commit("1", "one"), commit("0", "before")], 2),
        ([commit(OTHER, "title (#4)"), commit("1", "before"), commit("0", "before")], 1),
        ([commit(OTHER, "Merge pull request #4", parents=2), commit("1", "two"), commit("0", "one")], 1),
    ],
    ids=["rebase", "squash", "merge"],
)
def test_only_a_rebase_merge_is_several_commits(
    hub: FakeGitHub, github: GitHub, line: list[dict[str, Any]], count: int
) -> None:
    """GitHub copies each commit with its message."""
    hub.line[:] = line
    hub.pull_commits[4] = [commit("x", "one"), commit("y", "two")]
    assert count_commits(github, MergedPull(4, HEAD, OTHER)) == count
    merged = commit("z", "Merge branch 'main' into topic", parents=2)  # the button "Update branch"
    hub.pull_commits[4] = [commit("x", "one"), merged, commit("y", "two")]
    assert count_commits(github, MergedPull(4, HEAD, OTHER)) == count
    hub.pull_commits[4] = [commit("x", "one")]
    assert count_commits(github, MergedPull(4, HEAD, OTHER)) == 1
