"""The step of the schedule, in a repository with a state, against GitHub."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import EVENTS
from reconciler.text.instants import instant
from tests.acceptance.conftest import canary
from tests.fuzz.hostile import Drove, drive
from tests.workflows.fake_github import BOT, REPOSITORY, FakeGitHub, make_run_variables, serve_github

HOUR = timedelta(hours=1)
PERMISSIONS = {"actions": "write", "contents": "read", "issues": "write"}


@dataclass
class Schedule:
    """A repository with one environment, as the workflow checks it out."""

    folder: Path
    github: FakeGitHub
    token: str
    head: str = ""

    def commit(self) -> None:
        """Commit everything; the commit becomes the head."""
        identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.com"]
        for arguments in (["add", "."], [*identity, "commit", "-qm", "x", "--allow-empty"]):
            subprocess.run(["git", *arguments], cwd=self.folder, check=True)
        reported = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.folder, check=True, capture_output=True, text=True
        )
        self.head = reported.stdout.strip()

    def adopt(self) -> None:
        """Record what the manifest wants as applied."""
        drove = drive(self.folder, os.environ, "state", "adopt", "loja", "--yes", "--unverified", hidden=[self.token])
        assert drove.code == 0, drove

    def want(self, version: str) -> None:
        lines = [f"  {event}: https://hooks.acme.com.br/{{environment}}/{version}/{event}" for event in EVENTS]
        (self.folder / "manifests/loja.yaml").write_text("\n".join(["webhooks:", *lines]) + "\n")

    def add_run(self, status: str, conclusion: str | None = None, ago: timedelta = HOUR, **values: Any) -> None:
        number = len(self.github.runs) + 1
        shown = {
            "id": number,
            "head_sha": self.head,
            "head_branch": "main",
            "status": status,
            "event": "push",
            "conclusion": conclusion,
            "created_at": instant(datetime.now(UTC) - ago),
            "actor": {"login": "ana"},
            "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{number}",
            **values,
        }
        self.github.runs.append(shown)

    def run(self, *, code: int) -> Drove:
        drove = drive(self.folder, os.environ, "github", "run", "drift", hidden=[self.token])
        assert drove.code == code, drove
        return drove

    @property
    def summary(self) -> str:
        return (self.folder.parent / "summary").read_text()

    @property
    def issues(self) -> dict[str, str]:
        """Return the open issues: label -> text."""
        return {one["labels"][0]: one["body"] for one in self.github.open_issues()}

    @property
    def begun(self) -> list[dict[str, Any]]:
        return self.github.dispatched


@pytest.fixture
def schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedule]:
    """A repository whose environment is applied, without any run so far."""
    folder = tmp_path / "work"
    (folder / "manifests").mkdir(parents=True)
    (tmp_path / "event.json").write_text("{}")
    with serve_github() as held:
        token = canary()
        held.tokens[token] = dict(PERMISSIONS)
        variables = make_run_variables(held, token, tmp_path) | {"GITHUB_REF_NAME": "main"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        made = Schedule(folder, held, token)
        subprocess.run(["git", "init", "-q", "-b", "main", "."], cwd=folder, check=True)
        made.want("1")
        (folder / ".gitignore").write_text(".reconciler\n")
        made.commit()
        made.adopt()
        yield made


def test_if_everything_is_applied_no_issue_is_open_and_nothing_begins(schedule: Schedule) -> None:
    """The summary says what was compared."""
    schedule.add_run("completed", "success")
    assert "No drift in the manifests and the state; Plug was not read" in schedule.run(code=0).out
    assert (schedule.issues, schedule.begun) == ({}, [])
    assert schedule.summary.startswith("## No drift in the manifests and the state")


def test_a_merge_that_started_no_run_is_applied_by_one_that_the_schedule_begins(schedule: Schedule) -> None:
    """What that run will apply is not drift, unless it fails; and no other run is begun for the same head."""
    schedule.want("2")
    schedule.commit()
    schedule.add_run("completed", "success", head_sha="b" * 40)
    schedule.run(code=0)
    assert schedule.begun == [{"workflow": "apply.yml", "ref": "main", "inputs": {}}]
    assert schedule.issues == {}
    assert "An apply was begun" in schedule.summary
    assert "Drift that this new apply will repair is left out: 1 environment not applied yet." in schedule.summary
    schedule.add_run("completed", "failure", timedelta(), event="workflow_dispatch", actor={"login": BOT})
    schedule.run(code=0)
    assert len(schedule.begun) == 1
    assert set(schedule.issues) == {"reconciler-drift", "reconciler-failed"}
    assert "7 unapplied" in schedule.issues["reconciler-drift"]
    assert "unapplied: run the workflow Apply." in schedule.issues["reconciler-drift"]
    assert "[run 2](https://github.com/acme/plug-webhooks/actions/runs/2)" in schedule.issues["reconciler-failed"]


@pytest.mark.parametrize("status", ["queued", "waiting", "in_progress", "pending", "requested"])
def test_what_a_run_in_progress_will_apply_is_left_to_it(schedule: Schedule, status: str) -> None:
    """Every other kind is reported, the run is named, and no further one is begun."""
    schedule.want("2")
    (schedule.folder / "manifests/nova.yaml").write_text((schedule.folder / "manifests/loja.yaml").read_text())
    schedule.commit()
    drive(schedule.folder, os.environ, "state", "adopt", "nova", "--yes", "--unverified", hidden=[schedule.token])
    (schedule.folder / "manifests/nova.yaml").unlink()
    schedule.commit()
    schedule.add_run(status)
    schedule.run(code=0)
    assert schedule.begun == []
    text = schedule.issues["reconciler-drift"]
    assert "1 orphan" in text and "unapplied" not in text
    assert "Drift that run 1 will repair is left out: 1 environment not applied yet." in text


def test_the_issue_is_not_closed_while_something_is_left_out(schedule: Schedule) -> None:
    """It is closed once the run has succeeded, as only then there is known to be no drift."""
    schedule.want("2")
    schedule.commit()
    schedule.add_run("completed", "failure")
    schedule.run(code=0)
    assert "reconciler-drift" in schedule.issues
    schedule.add_run("queued", ago=timedelta())
    schedule.run(code=0)
    assert set(schedule.issues) == {"reconciler-drift", "reconciler-failed"}
    schedule.github.runs[1] |= {"status": "completed", "conclusion": "success"}
    schedule.adopt()
    schedule.run(code=0)
    assert schedule.issues == {}


def test_a_run_that_waits_for_more_than_a_day_keeps_an_issue_and_hides_nothing(schedule: Schedule) -> None:
    """The issue names the run that blocks later ones, and says what to do."""
    schedule.want("2")
    schedule.commit()
    schedule.add_run("waiting", ago=25 * HOUR)
    schedule.add_run("pending")
    schedule.run(code=0)
    assert schedule.begun == []
    assert set(schedule.issues) == {"reconciler-drift", "reconciler-waiting"}
    text = schedule.issues["reconciler-waiting"]
    assert "[run 1](https://github.com/acme/plug-webhooks/actions/runs/1)" in text
    assert "it blocks all later runs" in text and "reject or cancel it" in text
    writes = len([one for one in schedule.github.requests if one.startswith(("POST", "PATCH"))])
    schedule.run(code=0)
    assert len([one for one in schedule.github.requests if one.startswith(("POST", "PATCH"))]) == writes
    schedule.github.runs[0] |= {"status": "completed", "conclusion": "cancelled"}
    schedule.run(code=0)
    assert "reconciler-waiting" not in schedule.issues


def test_drift_that_an_apply_repairs_is_healed_if_that_is_switched_on(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that sends everything again is begun, unless another one is in progress."""
    monkeypatch.setenv("RECONCILER_MAX_AGE", "1s")
    schedule.adopt()
    state = schedule.folder.parent / "state/loja.json"
    document = json.loads(state.read_text())
    document["applied"]["at"] = "2026-01-01T00:00:00Z"
    state.write_text(json.dumps(document))
    schedule.add_run("completed", "success")
    schedule.run(code=0)
    assert schedule.begun == []
    monkeypatch.setenv("PLUG_SELF_HEAL", "true")
    schedule.run(code=0)
    assert schedule.begun == [{"workflow": "apply.yml", "ref": "main", "inputs": {"reassert": "true"}}]
    assert "1 expired" in schedule.issues["reconciler-drift"]
    assert "An apply was begun that sends everything again" in schedule.issues["reconciler-drift"]
    schedule.add_run("in_progress")
    schedule.run(code=0)
    assert len(schedule.begun) == 1


def test_if_the_runs_can_not_be_read_everything_is_reported_and_nothing_begins(schedule: Schedule) -> None:
    """A run may be in progress; the issues about runs are not changed."""
    schedule.want("2")
    schedule.commit()
    schedule.add_run("queued")
    del schedule.github.tokens[schedule.token]["actions"]
    drove = schedule.run(code=0)
    assert "it is not known which apply runs are in progress" in drove.err
    assert schedule.begun == []
    assert set(schedule.issues) == {"reconciler-drift"}
    assert "7 unapplied" in schedule.issues["reconciler-drift"]


def test_a_run_that_begins_meanwhile_is_the_only_one(schedule: Schedule) -> None:
    """The runs are read again before another one is begun."""
    schedule.want("2")
    schedule.commit()

    def push(request: str) -> None:
        if "issues?" in request and not schedule.github.runs:
            schedule.add_run("queued", ago=timedelta())

    schedule.github.after = push
    schedule.run(code=0)
    assert len(schedule.github.runs) == 1
    assert (schedule.begun, schedule.issues) == ([], {})


def test_a_call_that_github_refuses_fails_the_step_at_its_end(schedule: Schedule) -> None:
    """The error names the permission, and the drift is still shown."""
    schedule.want("2")
    schedule.commit()
    schedule.github.tokens[schedule.token] = {"actions": "read", "issues": "write"}
    drove = schedule.run(code=1)
    assert "no apply was begun: GitHub answered 403" in drove.err and "actions: write?" in drove.err
    assert "reconciler-drift" in schedule.issues
    schedule.github.tokens[schedule.token] = {"actions": "write"}
    schedule.add_run("completed", "failure")
    drove = schedule.run(code=1)
    assert "the issue reconciler-drift was not updated: GitHub answered 403" in drove.err
    assert "7 unapplied" in schedule.summary
