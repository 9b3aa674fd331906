"""The steps of the workflows, where an earlier step left nothing, too much, or something else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import canary
from tests.fuzz.hostile import Drove, drive
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

SHA = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """GitHub, and the variables of a run of the pull request 4."""
    event = {
        "pull_request": {"number": 4, "head": {"sha": SHA, "repo": {"full_name": REPOSITORY}}},
        "repository": {"default_branch": "main"},
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    with serve_github() as held:
        token = canary()
        held.tokens[token] = dict.fromkeys(("pull-requests", "issues"), "write")
        variables = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": SHA,
            "GITHUB_RUN_ID": "1",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_API_URL": held.url,
            "GITHUB_TOKEN": token,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield held


def github(*arguments: str) -> Drove:
    return drive(Path.cwd(), os.environ, "github", *arguments, hidden=[os.environ.get("GITHUB_TOKEN", "canary")])


def test_the_issue_is_left_as_it_is_where_drift_itself_failed(hub: FakeGitHub) -> None:
    """No finding is no proof that there is none: nothing is closed."""
    Path("drift.json").write_text('{"format": "reconciler.drift/1", "findings": []}')
    drove = github("issue", "--result", "drift.json", "--file", "drift.md", "--exit-code", "4")
    assert drove.code == 0
    assert drove.err == "nothing is known of drift, as drift itself failed: the issue is left as it is\n"
    assert hub.requests == []


def test_what_a_failed_command_wrote_is_bounded(hub: FakeGitHub) -> None:
    """A summary has its limit; the beginning says most."""
    Path("stderr.txt").write_text("\n".join(f"error: {number} {'x' * 2_000}" for number in range(300)))
    drove = github("failure", "--title", "plan: exit 3", "--log", "stderr.txt")
    assert (drove.code, len(drove.out) < 31_000) == (0, True)
    assert drove.out.startswith("## `plan: exit 3`\n\n```text\nerror: 0 xxx")
    assert drove.out.endswith("… and more: see the log\n```\n")
