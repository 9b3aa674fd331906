"""The last step of an apply run, in a repository with a history and a state, against GitHub."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.core.workflow.steps import Job, encode_jobs
from reconciler.model import EVENTS
from reconciler.text.instants import instant
from tests.acceptance.conftest import canary
from tests.fuzz.hostile import Drove, drive
from tests.workflows.fake_github import BOT, FakeGitHub, make_run_variables, serve_github

PERMISSIONS = {"actions": "read", "contents": "read", "pull-requests": "write"}
JOBS = "https://github.com/jobs"


@dataclass
class Ended:
    """A repository whose default branch has merges, and an apply run that has reached its last job."""

    folder: Path
    github: FakeGitHub
    token: str
    monkeypatch: pytest.MonkeyPatch
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 100)))

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.com")
        done = subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def want(self, name: str, version: str) -> None:
        lines = [f"  {event}: https://hooks.acme.com.br/{{environment}}/{version}/{event}" for event in EVENTS]
        (self.folder / f"manifests/{name}.yaml").write_text("\n".join(["webhooks:", *lines]) + "\n")

    def commit(self, message: str = "x") -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def merge(self, **wants: str) -> int:
        """Merge a pull request (squashed) that wants these versions; return its number."""
        number = next(self.numbers)
        for name, version in wants.items():
            self.want(name, version)
        self.list_merged(number, self.commit(f"change {number} (#{number})"))
        return number

    def list_merged(self, number: int, commit: str) -> None:
        at = instant(datetime.now(UTC) - timedelta(minutes=100 - number))
        self.github.pulls[number] = {
            "number": number,
            "merged_at": at,
            "updated_at": at,
            "merge_commit_sha": commit,
            "base": {"ref": "main"},
            "head": {"sha": "f" * 40},
        }

    def apply(self, *names: str, run: str = "77/1") -> None:
        """Record what the manifests want as applied by a run."""
        run_id, _, attempt = run.partition("/")
        with self.monkeypatch.context() as patch:
            patch.setenv("GITHUB_RUN_ID", run_id)
            patch.setenv("GITHUB_RUN_ATTEMPT", attempt)
            for name in names:
                drove = drive(
                    self.folder, os.environ, "state", "adopt", name, "--yes", "--unverified", hidden=[self.token]
                )
                assert drove.code == 0, drove
                document = json.loads((self.folder.parent / f"state/{name}.json").read_text())
                document["applied"]["adopted"] = False
                (self.folder.parent / f"state/{name}.json").write_text(json.dumps(document))

    def end(self, jobs: Mapping[str, str], **outputs: str) -> Drove:
        """Run the last job, after jobs that ended like this. `outputs` are the first job's."""
        shown = [{"name": name, "conclusion": how, "html_url": f"{JOBS}/{name[-4:]}"} for name, how in jobs.items()]
        self.github.jobs["77/1"] = shown
        self.github.line[:] = [
            {"sha": sha, "commit": {"message": message}, "parents": [{}]}
            for sha, message in (line.split(" ", 1) for line in self.git("log", "--format=%H %s").splitlines())
        ]
        variables = {"PLANNED": "", "REFUSED": "", **outputs}
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)
        drove = drive(self.folder, os.environ, "github", "run", "result", hidden=[self.token])
        assert drove.code == 0, drove
        return drove

    @property
    def summary(self) -> str:
        return (self.folder.parent / "summary").read_text()

    def comment(self, number: int) -> str:
        (text,) = self.github.comment_texts(number)
        return text


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ended]:
    """A repository with one environment, applied by an earlier run."""
    folder = tmp_path / "work"
    (folder / "manifests").mkdir(parents=True)
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
    with serve_github() as held:
        token = canary()
        held.tokens[token] = dict(PERMISSIONS)
        variables = make_run_variables(held, token, tmp_path) | {"GITHUB_ACTOR": "ana", "GITHUB_RUN_ATTEMPT": "1"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        made = Ended(folder, held, token, monkeypatch)
        made.git("init", "-q", "-b", "main", ".")
        (folder / ".gitignore").write_text(".reconciler\n")
        made.want("loja", "1")
        made.commit()
        made.apply("loja", run="66/1")
        yield made


def test_a_merged_pull_request_gets_one_comment_with_the_results(ended: Ended) -> None:
    """It names the run that applied it; the next run does not change the comment."""
    number = ended.merge(loja="2")
    ended.apply("loja")
    jobs = {"Begin": "success", "Step 1 / loja": "success"}
    drove = ended.end(jobs, PLANNED='["loja"]', LIFTED="the label, set by ana on #1, lifts its guard")
    assert ended.comment(number).startswith(
        "<!-- reconciler:apply -->\n<!-- reconciler:run 77/1 done -->\n## Apply: 1 applied\n"
    )
    assert "| `loja` | applied | by this run at" in ended.comment(number)
    assert "set by ana on" in ended.comment(number)
    assert ended.summary.startswith("## Apply: 1 applied\n") and ended.summary.startswith(drove.out)
    ended.monkeypatch.setenv("GITHUB_RUN_ID", "78")
    before = ended.comment(number)
    ended.end({})
    assert ended.comment(number) == before


def test_five_merges_with_one_superseded_and_one_refused_are_all_reported(ended: Ended) -> None:
    """A superseded run reported nothing, so the next run does; the refused pull request stays open."""
    first = ended.merge(loja="2")
    second = ended.merge(loja="3", matriz="1")
    third = ended.merge(matriz="2")
    (ended.folder / "README.md").write_text("text")
    fourth = ended.merge()
    ended.apply("loja")
    jobs = {"Begin": "success", "Step 1 / loja": "success", "Step 2 / matriz": "failure"}
    ended.end(jobs, PLANNED='["loja", "matriz"]')
    assert "<!-- reconciler:run 77/1 done -->" in ended.comment(first)
    assert "| `loja` | wanted otherwise since | last changed by commit" in ended.comment(first)
    assert "| `loja` | applied | by this run" in ended.comment(second)
    assert "| `matriz` | wanted otherwise since |" in ended.comment(second)
    text = ended.comment(third)
    assert "<!-- reconciler:run 77/1 open -->" in text and "| `matriz` | not tried | its job failed before" in text
    assert f"([job]({JOBS}/triz))" in text
    assert ended.github.comment_texts(fourth) == []
    # the next run applies the rest, and says so where it was left open
    done = ended.comment(second)
    ended.monkeypatch.setenv("GITHUB_RUN_ID", "78")
    ended.apply("matriz", run="78/1")
    ended.end({})
    assert "<!-- reconciler:run 78/1 done -->" in ended.comment(third)
    assert "| `matriz` | applied | by this run" in ended.comment(third)
    assert ended.comment(second) == done


def test_a_refused_run_reports_the_reason_and_what_is_applied(ended: Ended) -> None:
    """It has no plan, so environments that are not as wanted are reported."""
    refused = ended.merge(loja="2", matriz="1")
    ended.end({"Begin": "failure"}, REFUSED="max_changed: 2 of 2 environments change")
    text = ended.comment(refused)
    assert "<!-- reconciler:run 77/1 open -->" in text
    assert "## Apply: refused, 2 not tried\n" in text and "max_changed: 2 of 2 environments change" in text
    assert ended.summary.startswith("## Apply: refused, 2 not tried\n")
    ended.apply("loja", "matriz", run="80/1")
    ended.end({"Begin": "failure"}, REFUSED="max_changed: 2 of 2 environments change")
    assert "2 environments: `loja`, `matriz` | already as wanted | applied by `ana` in run `80/1`" in ended.comment(
        refused
    )


def test_invalid_manifests_are_reported_too(ended: Ended) -> None:
    """The pull request that brought them gets a comment, and so does the fix."""
    broken = ended.merge(loja="2")
    (ended.folder / "manifests/loja.yaml").write_text("webhooks: {messageStatus: 3}\n")
    worse = next(ended.numbers)
    ended.list_merged(worse, ended.commit())
    drove = ended.end({"Begin": "failure"}, REFUSED="manifests/loja.yaml:1:27: not a URL")
    assert "manifests of this commit are not valid" in drove.err
    for number in (broken, worse):
        assert "| `loja` | unknown | no manifest of this commit that can be read defines it |" in ended.comment(number)
    fixed = ended.merge(loja="3")
    ended.apply("loja")
    ended.end({"Begin": "success"}, PLANNED='["loja"]')
    assert "wanted otherwise since" in ended.comment(broken)
    assert "| `loja` | applied | by this run" in ended.comment(worse)
    assert "| `loja` | applied | by this run" in ended.comment(fixed)


def test_a_comment_that_can_not_be_written_keeps_the_run_green(ended: Ended) -> None:
    """It is a warning, in the summary too; the next run writes it."""
    number = ended.merge(loja="2")
    ended.apply("loja")
    ended.github.tokens[ended.token]["pull-requests"] = "read"
    drove = ended.end({"Begin": "success"}, PLANNED='["loja"]')
    assert f"warning: pull request {number} got no comment (GitHub answered 403" in drove.err
    assert f"Warning: pull request {number} got no comment" in ended.summary
    ended.github.tokens[ended.token] = {}
    drove = ended.end({"Begin": "success"}, PLANNED='["loja"]')
    assert "why a job ended is not known" in drove.err and "no pull request got a comment" in drove.err
    ended.github.tokens[ended.token] = dict(PERMISSIONS)
    ended.end({"Begin": "success"}, PLANNED='["loja"]')
    assert "| `loja` | applied | by this run" in ended.comment(number)


def test_a_rebase_merge_is_reported_with_all_its_commits(ended: Ended) -> None:
    """The direct push before it does not belong to it."""
    ended.want("pushed", "1")
    ended.commit("a direct push")
    for name in ("loja", "matriz"):
        ended.want(name, "2")
        last = ended.commit(f"change {name}")
    ended.list_merged(1, last)
    ended.github.pull_commits[1] = [{"commit": {"message": f"change {name}"}} for name in ("loja", "matriz")]
    ended.apply("loja", "matriz", "pushed")
    ended.end({"Begin": "success"}, PLANNED='["loja", "matriz", "pushed"]')
    assert "2 environments: `loja`, `matriz` | applied" in ended.comment(1)
    assert "3 applied" in ended.summary


def test_a_comment_of_another_author_is_not_ours(ended: Ended) -> None:
    """Any user can write a marker."""
    number = ended.merge(loja="2")
    ended.github.write_comment(number, "mallory", "<!-- reconciler:apply -->\n<!-- reconciler:run 99/1 done -->\nx")
    ended.end({"Begin": "failure"}, REFUSED="no")
    _, ours = ended.github.comments[number]
    assert ours["user"]["login"] == BOT and "not tried" in ours["body"]


@pytest.mark.parametrize("step", ["begin", "apply", "result", "drift", "review", "command -- plan"])
@pytest.mark.parametrize("state", [".reconciler/state", ""])
def test_no_step_uses_a_folder_that_is_lost_with_the_runner(ended: Ended, step: str, state: str) -> None:
    """Otherwise each run would send everything again, and report nothing of it. Without settings, it is a folder."""
    ended.monkeypatch.setenv("RECONCILER_STATE", state)
    ended.monkeypatch.setenv("RUNNER_ENVIRONMENT", "github-hosted")
    if step == "apply":
        ended.monkeypatch.setenv("RECONCILER_JOB", json.dumps(next(iter(encode_jobs([Job("loja", "loja", 0, "x")])))))
    ended.monkeypatch.setenv("PLUG_TOKEN", ended.token)
    ended.want("loja", "2")
    ended.commit()
    drove = drive(ended.folder, os.environ, "github", "run", *step.split(), hidden=[ended.token])
    assert drove.code == 3 and "a folder of the runner is lost with it" in drove.err, drove
    assert 'state = "git:origin/reconciler-state"' in drove.err
    assert not (ended.folder / ".reconciler").exists()
