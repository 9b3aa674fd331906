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
        held.tokens[token] = dict.fromkeys(("pull-requests", "issues", "statuses"), "write")
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["comment", "plan"], "error: give either --file or --results\ntry `reconciler github comment --help`\n"),
        (["comment", "x", "--file", "a", "--results", "b"], "error: give either --file or --results\n"),
        (
            ["comment", "apply", "--results", ".", "--planned", '[{"wave": 1}]'],
            "error: --planned: is not a matrix (give the output `matrix` of the action)\n",
        ),
        (["comment", "apply", "--results", ".", "--planned", "7"], "error: --planned: is not a matrix ("),
        (["comment", "apply", "--results", ".", "--planned", "{"], "error: --planned: is not a matrix ("),
    ],
)
def test_a_comment_of_what_can_not_be_understood_is_not_posted(
    hub: FakeGitHub, arguments: list[str], told: str
) -> None:
    """Exit 3, and GitHub is asked nothing."""
    drove = github(*arguments)
    assert (drove.code, drove.out) == (3, "")
    assert drove.err.startswith(told)
    assert hub.requests == []


def leave(job: str, **files: str) -> None:
    """What a job of the matrix left, as the workflow downloads it."""
    folder = Path("results") / job
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"result.{name}").write_text(text)


def test_a_job_that_left_an_empty_folder_is_named_as_not_applied(hub: FakeGitHub) -> None:
    """It ended before its apply: a comment without it would look done."""
    leave("result-loja", md="## Apply: exit 4\n")
    leave("result-matriz")
    planned = json.dumps([{"environment": name} for name in ("loja", "matriz")])
    assert github("comment", "apply", "--results", "results", "--planned", planned).code == 0
    (text,) = hub.comment_texts(4)
    assert text.startswith("<!-- reconciler:apply -->\n<!-- reconciler:run 1/1 done -->\n## Not applied: matriz\n")
    assert "## Apply: exit 4" in text


def test_a_folder_that_was_never_downloaded_is_no_result(hub: FakeGitHub) -> None:
    """Not even under a name that no folder can have."""
    for name in ("results", "x" * 300):
        assert github("comment", "apply", "--results", name).code == 0
    (text,) = hub.comment_texts(4)
    assert "## Apply: no job left a result" in text


@pytest.mark.parametrize(("count", "left_out"), [(1, "… and 1 more job failed"), (3, "… and 3 more jobs failed")])
def test_what_many_jobs_said_fits_a_comment(hub: FakeGitHub, count: int, left_out: str) -> None:
    """What doesn't is counted; GitHub would take none of it otherwise."""
    leave("result-a", md="short\n")
    for number in range(count):
        leave(f"result-b{number}", md="x" * 66_000)
    assert github("comment", "apply", "--results", "results").code == 0
    (text,) = hub.comment_texts(4)
    assert "short" in text and f"{left_out}: see the run\n" in text


def test_the_issue_is_left_as_it_is_where_drift_itself_failed(hub: FakeGitHub) -> None:
    """No finding is no proof that there is none: nothing is closed."""
    Path("drift.json").write_text('{"format": "reconciler.drift/1", "findings": []}')
    drove = github("issue", "--result", "drift.json", "--file", "drift.md", "--exit-code", "4")
    assert drove.code == 0
    assert drove.err == "nothing is known of drift, as drift itself failed: the issue is left as it is\n"
    assert hub.requests == []


def test_a_status_without_a_plan_is_a_failure(hub: FakeGitHub) -> None:
    """Under whatever name it was looked for."""
    assert github("status", "--plan", "x" * 300).code == 0
    assert hub.plan_status(SHA)["state"] == "failure"


def test_what_a_failed_command_wrote_is_bounded(hub: FakeGitHub) -> None:
    """A summary has its limit; the beginning says most."""
    Path("stderr.txt").write_text("\n".join(f"error: {number} {'x' * 2_000}" for number in range(300)))
    drove = github("failure", "--title", "plan: exit 3", "--log", "stderr.txt")
    assert (drove.code, len(drove.out) < 31_000) == (0, True)
    assert drove.out.startswith("## `plan: exit 3`\n\n```text\nerror: 0 xxx")
    assert drove.out.endswith("… and more: see the log\n```\n")
