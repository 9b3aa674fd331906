"""A small GitHub runner: executes the shipped workflows' `run:` steps as bash, with the files and contexts they meet.

What it knows of GitHub: events, job order by `needs`, `if:`, matrices, outputs, permissions, GitHub Environments with
their secrets, composite actions, masking, and the four actions that the workflows use (checkout, setup-python, upload-
and download-artifact), which it plays itself. Jobs run one after the other, each in a folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.conftest import ROOT
from tests.contract.remotes import basic
from tests.forked import FORKS
from tests.measured import measured
from tests.workflows.expressions import evaluate, fill, is_true, to_text, uses_status
from tests.workflows.fake_github import REPOSITORY, FakeGitHub

DEFAULT_BRANCH = "main"
STEP_TIMEOUT_S = 300


@dataclass
class Step:
    outcome: str
    outputs: dict[str, str]


@dataclass
class Job:
    name: str
    conclusion: str  # success, failure or skipped
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""  # as the runner shows it
    summary: str = ""
    steps: dict[str, Step] = field(default_factory=dict)


@dataclass
class Run:
    """How a workflow's run ended; the jobs of a matrix are `name (first value)`."""

    jobs: dict[str, Job]

    @property
    def conclusions(self) -> dict[str, str]:
        return {name: job.conclusion for name, job in self.jobs.items()}

    @property
    def summary(self) -> str:
        return "".join(job.summary for job in self.jobs.values())

    @property
    def log(self) -> str:
        return "".join(job.log for job in self.jobs.values())


@dataclass(frozen=True)
class Event:
    """What began a run. `ref` is what a checkout without `ref:` takes."""

    name: str
    sha: str
    ref: str
    payload: Mapping[str, Any]
    actor: str = "ana"
    is_fork: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Runner:
    """`secrets`: of the repository; `environments`: of each GitHub Environment. `environ`: of the machine."""

    folder: Path
    remote_url: str
    server_url: str
    github: FakeGitHub
    action: str  # the pinned action, which is played by this checkout
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    write_program: Callable[[Path], None] = FORKS.write_program

    def run(self, workflow: str, event: Event) -> Run:
        """The workflow's text as YAML, on an event."""
        self.runs += 1
        given = yaml.load(workflow, Loader=yaml.BaseLoader)
        jobs: dict[str, Job] = {}
        for name, job in _in_order(given["jobs"]):
            jobs |= _RunningWorkflow(self, given, event, self.folder / f"run-{self.runs}").run_job(name, job, jobs)
        return Run(jobs)


def _in_order(jobs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    done: set[str] = set()
    while len(done) < len(jobs):
        ready = [name for name in jobs if name not in done and done >= set(_needs(jobs[name]))]
        assert ready, "jobs need each other"
        for name in ready:
            yield name, jobs[name]
        done |= set(ready)


def _needs(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


class _RunningWorkflow:
    def __init__(self, runner: Runner, workflow: Mapping[str, Any], event: Event, folder: Path) -> None:
        self.runner = runner
        self.workflow = workflow
        self.event = event
        self.folder = folder
        self.artifacts = folder / "artifacts"

    def run_job(self, name: str, job: Mapping[str, Any], done: Mapping[str, Job]) -> dict[str, Job]:
        needed = [one for one in done.values() if one.name in _needs(job)]
        contexts = {
            "github": self.github_context(""),
            "vars": self.runner.variables,
            "inputs": self.event.inputs,
            "needs": {
                need: {"result": _worst([one for one in needed if one.name == need]), "outputs": _joined(needed, need)}
                for need in _needs(job)
            },
        }
        succeeded = all(one.conclusion == "success" for one in needed)
        if not _holds(job.get("if"), contexts, succeeded=succeeded):
            return {name: Job(name, "skipped")}
        include = fill(job.get("strategy", {}).get("matrix", {}).get("include", ""), contexts, _FUNCTIONS)
        entries = include if isinstance(include, list) else [{}]
        assert 0 < len(entries) <= 256, "GitHub refuses this matrix"
        made = {}
        for entry in entries:
            shown = f"{name} ({next(iter(entry.values()))})" if entry else name
            made[shown] = _RunningJob(self, name, job, {**contexts, "matrix": entry}).run()
        return made

    def github_context(self, token: str) -> dict[str, Any]:
        event = self.event
        return {
            "token": token,
            "event": event.payload,
            "actor": event.actor,
            "event_name": event.name,
            "sha": event.sha,
            "ref": event.ref,
            "ref_name": event.ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
            "workflow": self.workflow["name"],
            "repository": REPOSITORY,
        }


def _worst(jobs: list[Job]) -> str:
    found = {job.conclusion for job in jobs}
    return next((one for one in ("failure", "skipped") if one in found), "success")


def _joined(jobs: list[Job], need: str) -> dict[str, str]:
    return {key: value for job in jobs if job.name == need for key, value in job.outputs.items()}


def _holds(condition: str | None, contexts: Mapping[str, Any], *, succeeded: bool) -> bool:
    if condition is None:
        return succeeded
    inner = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", condition, re.DOTALL)
    expression = inner[1] if inner else condition
    functions = {
        **_FUNCTIONS,
        "always": lambda: True,
        "success": lambda: succeeded,
        "failure": lambda: not succeeded,
        "cancelled": lambda: False,
    }
    return is_true(evaluate(expression, contexts, functions)) and (succeeded or uses_status(expression))


_FUNCTIONS: Mapping[str, Any] = {
    "fromJSON": json.loads,
    "toJSON": json.dumps,
    "format": lambda text, *values: re.sub(r"\{(\d)\}", lambda found: to_text(values[int(found[1])]), text),
}


class _RunningJob:
    def __init__(
        self, workflow: _RunningWorkflow, name: str, job: Mapping[str, Any], contexts: Mapping[str, Any]
    ) -> None:
        self.workflow = workflow
        self.runner = workflow.runner
        self.given = job
        self.job = Job(name, "success")
        self.folder = workflow.folder / f"{name}-{uuid.uuid4().hex[:6]}"
        self.workspace = self.folder / "workspace"
        self.temp = self.folder / "temp"
        for folder in (self.workspace, self.temp):
            folder.mkdir(parents=True)
        self.token = f"ghs_{uuid.uuid4().hex}"
        self.runner.github.tokens[self.token] = self._permissions()
        self.masks: set[str] = {self.token}
        self.paths: list[str] = []
        secrets = {"GITHUB_TOKEN": self.token}
        if not workflow.event.is_fork:
            secrets |= self.runner.secrets
            environment = to_text(fill(job.get("environment", ""), contexts, _FUNCTIONS))
            secrets |= self.runner.environments.get(environment, {})
        self.masks |= {value for key, value in secrets.items() if value}
        self.contexts = {**contexts, "github": workflow.github_context(self.token), "secrets": secrets}
        self.environ: dict[str, str] = dict(workflow.workflow.get("env", {}))

    def _permissions(self) -> dict[str, str]:
        """What the job asks for; a fork gets no more than to read, whatever it asks."""
        asked = dict(self.given.get("permissions", self.workflow.workflow.get("permissions", {})) or {})
        return dict.fromkeys(asked, "read") if self.workflow.event.is_fork else asked

    def run(self) -> Job:
        self._run_steps(self.given["steps"], self.contexts, self.job.steps, {})
        outputs = {**self.contexts, "steps": _steps_context(self.job.steps)}
        self.job.outputs = {
            key: to_text(fill(value, outputs, _FUNCTIONS)) for key, value in self.given.get("outputs", {}).items()
        }
        del self.runner.github.tokens[self.token]
        return self.job

    def _run_steps(
        self, steps: list[Any], contexts: Mapping[str, Any], done: dict[str, Step], environ: Mapping[str, str]
    ) -> bool:
        succeeded = True
        for number, step in enumerate(steps):
            here = {**contexts, "steps": _steps_context(done), "env": self.environ}
            if not _holds(step.get("if"), here, succeeded=succeeded):
                continue
            own = {key: to_text(fill(value, here, _FUNCTIONS)) for key, value in step.get("env", {}).items()}
            if "uses" in step:
                outcome = self._use(step, here, {**environ, **own})
            else:
                outcome = self._run_script(step, here, {**environ, **own})
            done[step.get("id", f"__{number}")] = outcome
            if outcome.outcome == "failure":
                succeeded = False
                if contexts is self.contexts:
                    self.job.conclusion = "failure"
        return succeeded

    # --- run: ------------------------------------------------------------------------------------------

    def _run_script(self, step: Mapping[str, Any], contexts: Mapping[str, Any], environ: Mapping[str, str]) -> Step:
        assert "${{" not in step["run"], "an expression in a script"
        files = {name: self.temp / f"{name}-{uuid.uuid4().hex}" for name in ("OUTPUT", "PATH", "STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        script = self.temp / f"script-{uuid.uuid4().hex}.sh"
        script.write_text(step["run"])
        working = self.workspace / to_text(fill(step.get("working-directory", "."), contexts, _FUNCTIONS))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=working,
            env={
                **self._machine(),
                **self.environ,
                **environ,
                **{f"GITHUB_{key}": str(at) for key, at in files.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
        self._log(done.stdout)
        self.paths += files["PATH"].read_text().split()
        self.job.summary += files["STEP_SUMMARY"].read_text()
        assert files["STEP_SUMMARY"].stat().st_size <= 1024 * 1024, "GitHub drops this summary"
        outputs = dict(line.split("=", 1) for line in files["OUTPUT"].read_text().splitlines())
        return Step("success" if done.returncode == 0 else "failure", outputs)

    def _machine(self) -> dict[str, str]:
        event = self.folder / "event.json"
        event.write_text(json.dumps(self.workflow.event.payload))
        given = self.contexts["github"]
        return {
            **measured(),
            **self.runner.environ,
            "PATH": os.pathsep.join([*reversed(self.paths), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": self.workflow.event.actor,
            "GITHUB_API_URL": self.runner.github.url,
            "GITHUB_EVENT_NAME": given["event_name"],
            "GITHUB_JOB": self.job.name.partition(" (")[0],
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REF": given["ref"],
            "GITHUB_REF_NAME": given["ref_name"],
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": str(7000 + self.runner.runs),
            "GITHUB_SERVER_URL": self.runner.server_url,
            "GITHUB_SHA": given["sha"],
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
        }

    def _log(self, text: str) -> None:
        """Masks are taken as they come. Stricter than the runner: it hides what is masked, here it must not come."""
        for line in text.splitlines(keepends=True):
            mask = re.fullmatch(r"::add-mask::(.*)\n", line)
            if mask:
                self.masks.add(mask[1].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%"))
                continue
            for value in self.masks:
                assert value not in line, "a secret reaches the log, and only the mask hides it"
            self.job.log += line

    # --- uses: -----------------------------------------------------------------------------------------

    def _use(self, step: Mapping[str, Any], contexts: Mapping[str, Any], environ: Mapping[str, str]) -> Step:
        given = {key: to_text(fill(value, contexts, _FUNCTIONS)) for key, value in step.get("with", {}).items()}
        action = step["uses"].partition("@")[0]
        if action.startswith("./") or step["uses"] == self.runner.action:
            folder = self.workspace / action if action.startswith("./") else ROOT / ".github/actions/reconciler"
            return self._use_composite(folder, given, contexts, environ)
        match action:
            case "actions/checkout":
                self._check_out(given)
            case "actions/setup-python":
                pass
            case "actions/upload-artifact":
                shutil.copytree(given["path"], self.workflow.artifacts / given["name"])
            case "actions/download-artifact":
                self._download(given)
            case _:
                raise AssertionError(f"the runner knows no {action}")
        return Step("success", {})

    def _use_composite(
        self, folder: Path, given: Mapping[str, str], contexts: Mapping[str, Any], environ: Mapping[str, str]
    ) -> Step:
        action = yaml.load((folder / "action.yml").read_text(), Loader=yaml.BaseLoader)
        assert not given.keys() - action["inputs"].keys(), "unknown inputs"
        inputs = {
            key: given.get(key, to_text(fill(value.get("default", ""), contexts, _FUNCTIONS)))
            for key, value in action["inputs"].items()
        }
        self._pretend_installed(folder)
        inside: dict[str, Any] = {
            "github": {**contexts["github"], "action_path": str(folder)},
            "inputs": inputs,
            "runner": {"temp": str(self.temp)},
        }
        done: dict[str, Step] = {}
        succeeded = self._run_steps(action["runs"]["steps"], inside, done, environ)
        inside["steps"] = _steps_context(done)
        outputs = {key: to_text(fill(one["value"], inside, _FUNCTIONS)) for key, one in action["outputs"].items()}
        return Step("success" if succeeded else "failure", outputs)

    def _pretend_installed(self, folder: Path) -> None:
        """There is no index to install from: the tool under test stands where the action would put it."""
        home = self.temp / "reconciler"
        (home / "bin").mkdir(parents=True, exist_ok=True)
        program = home / "bin/reconciler"
        self.runner.write_program(program)
        (home / "installed").write_text(f"{(folder / '../../..').resolve()} ")

    def _check_out(self, given: Mapping[str, str]) -> None:
        assert given["persist-credentials"] == "false"
        target = self.workspace / given.get("path", ".")
        target.mkdir(parents=True, exist_ok=True)
        for left in target.iterdir():  # the action empties the folder, through a link too
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        ref = given.get("ref") or self.workflow.event.ref
        header = f"http.extraheader=Authorization: {basic('x-access-token', self.token)}"
        for command in (
            ["init", "-q"],
            ["remote", "add", "origin", self.runner.remote_url],
            ["-c", header, "fetch", "-q", "--depth=1", "origin", ref],
            ["checkout", "-q", "--detach", "FETCH_HEAD"],
        ):
            subprocess.run(["git", *command], cwd=target, check=True, capture_output=True)

    def _download(self, given: Mapping[str, str]) -> None:
        """Several go each into a folder of its name, unless they are merged; a single one never does (since v5)."""
        found = sorted(self.workflow.artifacts.glob(given["pattern"]))
        merged = len(found) == 1 or given.get("merge-multiple") == "true"
        for artifact in found:
            to = self.workspace / given["path"]
            shutil.copytree(artifact, to if merged else to / artifact.name, dirs_exist_ok=True)


def _steps_context(steps: Mapping[str, Step]) -> dict[str, Any]:
    return {name: {"outputs": step.outputs, "outcome": step.outcome} for name, step in steps.items()}
