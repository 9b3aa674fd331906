"""The pull requests of a commit that count as merged into the default branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.errors import PostFailed
from reconciler.github.api import GitHub
from reconciler.github.merged import list_pulls
from reconciler.github.run import WorkflowRun
from reconciler.ports import MergedPull
from tests.acceptance.conftest import canary
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

SHA, HEAD = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def _server() -> Iterator[FakeGitHub]:
    with serve_github() as held:
        yield held


@pytest.fixture
def hub(_server: FakeGitHub) -> FakeGitHub:
    for held in (_server.pulls, _server.failing, _server.requests):
        held.clear()
    return _server


@pytest.fixture
def github(hub: FakeGitHub) -> Iterator[GitHub]:
    token = canary()
    hub.tokens[token] = {"pull-requests": "read"}
    run = WorkflowRun(hub.url, "https://github.com", REPOSITORY, SHA, "ana", "1", {})
    with GitHub(run, token, sleep=lambda seconds: None) as client:
        yield client


def pull(number: Any = 1, **values: Any) -> dict[str, Any]:
    return {
        "number": number,
        "merged_at": "2026-11-23T12:00:00Z",
        "merge_commit_sha": SHA,
        "base": {"ref": "main", "repo": {"full_name": REPOSITORY}},
        "head": {"sha": HEAD, "ref": "topic", "repo": None},
        **values,
    }


def test_a_pull_request_that_was_merged_into_the_default_branch(hub: FakeGitHub, github: GitHub) -> None:
    """Its fork may be deleted."""
    hub.pulls[1] = pull()
    assert list_pulls(github, SHA, REPOSITORY, "main") == (MergedPull(1, HEAD, SHA),)
    assert list_pulls(github, HEAD, REPOSITORY, "main") == ()


FORK = {"ref": "main", "repo": {"full_name": "eve/plug-webhooks"}}  # its own pull requests are those of its owner


@pytest.mark.parametrize(
    "values",
    [{"merged_at": None}, {"base": {"ref": "release"}}, {"base": None}, {"base": {}}, {"base": FORK}],
)
def test_others_do_not_count(hub: FakeGitHub, github: GitHub, values: dict[str, Any]) -> None:
    hub.pulls[1] = pull(**values)
    assert list_pulls(github, SHA, REPOSITORY, "main") == ()


@pytest.mark.parametrize("values", [{"head": None}, {"head": {"sha": "--evil"}}, {"number": "1"}, {"number": True}])
def test_a_pull_request_without_its_facts_is_an_error(hub: FakeGitHub, github: GitHub, values: dict[str, Any]) -> None:
    hub.pulls[1] = pull(**values)
    with pytest.raises(PostFailed, match="without its number or without its commits"):
        list_pulls(github, SHA, REPOSITORY, "main")


def test_a_failed_request_is_raised(hub: FakeGitHub, github: GitHub) -> None:
    hub.pulls[1] = pull()
    hub.failing += [(502, "")] * 2
    assert len(list_pulls(github, SHA, REPOSITORY, "main")) == 1
    hub.failing += [(502, "")] * 3
    with pytest.raises(PostFailed):
        list_pulls(github, SHA, REPOSITORY, "main")
    hub.tokens.update({token: {"contents": "read"} for token in hub.tokens})
    with pytest.raises(PostFailed, match="Resource not accessible"):
        list_pulls(github, SHA, REPOSITORY, "main")


def test_an_event_without_the_default_branch_is_refused(hub: FakeGitHub, github: GitHub) -> None:
    with pytest.raises(PostFailed, match="does not name the default branch"):
        list_pulls(github, SHA, REPOSITORY, None)
    assert hub.requests == []
