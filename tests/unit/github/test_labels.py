"""The user who set a label that lifts a guard, read from a strict GitHub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.errors import PostFailed
from reconciler.github import labels
from reconciler.github.api import GitHub
from reconciler.github.labels import find_lifting_label
from reconciler.github.run import WorkflowRun
from tests.acceptance.conftest import canary
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

LARGE = Label.LARGE_CHANGE


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with serve_github() as held:
        held.permissions = {"ana": "write", "max": "maintain", "eva": "admin", "bob": "read", "tri": "none"}
        yield held


@pytest.fixture
def github(hub: FakeGitHub) -> Iterator[GitHub]:
    """Return a client that has only `pull-requests: read`."""
    token = canary()
    hub.tokens[token] = {"pull-requests": "read"}
    run = WorkflowRun(hub.url, "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
    with GitHub(run, token, sleep=lambda _: None) as client:
        yield client


@pytest.mark.parametrize(
    ("login", "counts"),
    [
        *(("ana", True), ("max", True), ("eva", True), ("bob", False), ("tri", False)),
        *(("left-the-team", False), ("github-actions[bot]", False), ("a/../b", False)),
    ],
)
def test_only_a_user_who_is_known_to_write_counts(hub: FakeGitHub, github: GitHub, login: str, counts: bool) -> None:
    """A bot never counts, because any workflow may set a label with its token."""
    hub.set_label(4, LARGE, login)
    assert find_lifting_label(github, 4, LARGE) == LabelSetting(LARGE, login, counts)


def test_a_label_that_is_not_set_costs_one_request(hub: FakeGitHub, github: GitHub) -> None:
    """No permission is looked up."""
    hub.set_label(4, "other", "ana")
    assert find_lifting_label(github, 4, LARGE) is None
    hub.set_label(4, LARGE, "ana")
    hub.set_label(4, LARGE, "ana", event="unlabeled")
    assert find_lifting_label(github, 4, LARGE) is None
    assert len(hub.requests) == 2


def test_events_that_are_incomplete_or_disagree_name_no_setter(
    hub: FakeGitHub, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later event may differ."""
    hub.set_label(4, LARGE, "ana")
    monkeypatch.setattr(labels, "MAX_PAGES", 0)
    assert find_lifting_label(github, 4, LARGE) == LabelSetting(LARGE, None, counts=False)
    monkeypatch.undo()
    hub.set_label(5, LARGE, None)
    assert find_lifting_label(github, 5, LARGE) == LabelSetting(LARGE, None, counts=False)


def test_a_fault_of_github_is_raised(hub: FakeGitHub, github: GitHub) -> None:
    """It may be transient, so the caller gets the error."""
    hub.failing = [(503, "")] * 9
    with pytest.raises(PostFailed, match="GitHub answered 503"):
        find_lifting_label(github, 4, LARGE)
