"""`act`, which runs the shipped workflows, and what is added to it; the package's docstring says why."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import ROOT
from tests.contract.remotes import basic
from tests.forked import FORKS
from tests.measured import measured
from tests.workflows.fake_github import REPOSITORY, FakeGitHub

DEFAULT_BRANCH = "main"
TIMEOUT_S = 600
STAND_INS = Path(__file__).with_name("stand_ins")
ACT = Path(sys.executable).with_name("act")
# The platforms of the wheel, as pyproject.toml marks them.
HAS_WHEEL = sys.platform in ("linux", "darwin") and platform.machine() in ("x86_64", "aarch64", "arm64")

# Keys of our workflows that act doesn't know and therefore refuses, each as a path with * for any name, such as
# "concurrency.queue". test_engine.py fails where one is in no workflow any more, or act knows it.
UNKNOWN_KEYS: tuple[str, ...] = ("concurrency.queue", "jobs.*.environment.deployment")

MAX_MATRIX = 256  # jobs
_MAX_SUMMARY_BYTES = 1024 * 1024  # of a step; GitHub drops a longer one
_FROM_JSON = re.compile(r"\bfromJSON\(([\w.-]+)\)")
_USES = re.compile(r"^ *(?:- )?uses: ([\w.-]+/[^\s@]+@\S+)", re.MULTILINE)
TOOL_FILES = (".github/actions/reconciler/action.yml", "requirements.lock", "pyproject.toml")


def require_act() -> None:
    """Skip the test where act can't be installed. Where it can, a missing one fails the test."""
    if not HAS_WHEEL:
        pytest.skip("act has no wheel for this platform")


def accepts(workflow: str, folder: Path) -> bool:
    """Tell whether every key and value of the workflow is in act's schema."""
    path = folder / "validated.yml"
    path.write_text(workflow)
    command = [str(ACT), "--validate", "--strict", f"--workflows={path}"]
    done = subprocess.run(command, cwd=folder, env={"HOME": str(folder)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "workflow is not valid" in done.stderr, done.stderr
    return done.returncode == 0


@dataclass
class Job:
    name: str
    conclusion: str  # success, failure or skipped
    log: str = ""  # as the steps wrote it, without the lines that add masks
    summary: str = ""


@dataclass
class Run:
    """The end of a workflow's run; the jobs of a matrix are `name (environment)`."""

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
    """The beginning of a run. `ref` is what a checkout without `ref:` takes."""

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

    folder: Path  # everything that the jobs leave stays below it
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

    def run(self, text: str, event: Event) -> Run:
        """Run the workflow, given as YAML, on an event."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        folder.mkdir(parents=True)
        (folder / ".gitconfig").write_text("[maintenance]\n\tauto = false\n")  # the clones don't live long enough
        workflow = parse_workflow(text)
        token = f"ghs_{uuid.uuid4().hex}"
        of_jobs = {f"{token}-{name}": _permissions(workflow, name, event) for name in workflow["jobs"]}
        self.github.tokens |= of_jobs
        log = folder / "log"
        with log.open("wb") as written:
            done = subprocess.run(
                [ACT, event.name, *self._arguments(folder, text, event, token)],
                cwd=folder,
                env={
                    "PATH": f"{STAND_INS / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    "HOME": str(folder),  # where act and git look for settings of the user
                    "GOMAXPROCS": "1",  # a run ends before act could gain by threads or by collecting garbage
                    "GOGC": "off",
                    **measured(),
                },
                stdout=written,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        for one in of_jobs:
            del self.github.tokens[one]
        secrets = {token, *self.secrets.values(), *(v for one in self.environments.values() for v in one.values())}
        secrets |= {basic("x-access-token", one).removeprefix("Basic ") for one in of_jobs}
        jobs = _read_jobs(workflow, log.read_text(), secrets)
        failed = any(job.conclusion == "failure" for job in jobs.values())
        assert done.returncode == int(failed), f"{log.read_text()}\n{done.stderr!r}"
        return Run(jobs)

    def _arguments(self, folder: Path, text: str, event: Event, token: str) -> list[str]:
        copy = folder / "workflow.yml"
        copy.write_text(render_copy(text))
        payload = {**event.payload, "inputs": {key: _to_input(value) for key, value in event.inputs.items()}}
        secrets = {"GITHUB_TOKEN": token, "ENVIRONMENTS": "{}"}
        if not event.is_fork:
            secrets |= {**self.secrets, "ENVIRONMENTS": json.dumps(self.environments)}
        # JSON is YAML too, which is what the ending asks act to read
        for name, content in (
            ("event.json", payload),
            ("secrets.yml", secrets),
            ("variables.yml", self.variables),
            ("environ.yml", self._environ(folder, event)),
        ):
            (folder / name).write_text(json.dumps(content))
        local = [f"--local-repository={pin}={at}" for pin, at in self._find_actions(text).items()]
        return [
            f"--workflows={copy}",
            f"--eventpath={folder / 'event.json'}",
            f"--secret-file={folder / 'secrets.yml'}",
            f"--var-file={folder / 'variables.yml'}",
            f"--env-file={folder / 'environ.yml'}",
            f"--actor={event.actor}",
            f"--action-cache-path={folder / 'jobs'}",
            *local,
            "--platform=ubuntu-24.04=-self-hosted",
            "--container-daemon-socket=-",
            "--no-skip-checkout",  # so that the stand-in is used
            "--action-offline-mode",
            "--pull=false",
            "--no-cache-server",
            "--concurrent-jobs=1",  # one after the other, so that a log is the same each time
            "--reuse",  # keep the folders of the jobs, for the tests to look into
            "--json",
            "--insecure-secrets",  # show what is masked: the tests want nothing to need a mask
        ]

    def _environ(self, folder: Path, event: Event) -> dict[str, str]:
        program = folder / "reconciler"
        self.write_program(program)
        return {
            "LANG": "C.UTF-8",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REF": event.ref,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(7000 + self.runs),
            "GITHUB_SERVER_URL": self.server_url,
            "SHA_REF": event.sha,  # act's name for what becomes GITHUB_SHA
            "STAND_IN_ARTIFACTS": str(folder / "artifacts"),
            "STAND_IN_LOG": str(folder / "log"),
            "STAND_IN_PROGRAM": str(program),
            "STAND_IN_REMOTE": self.remote_url,
            **self.environ,
        }

    def _find_actions(self, text: str) -> dict[str, Path]:
        """`owner/repository@ref` -> the folder that act takes for it. An action without a stand-in is an error."""
        found = {}
        for used in _USES.findall(f"{text}\n{(ROOT / TOOL_FILES[0]).read_text()}"):
            name, _, ref = used.partition("@")
            owner, repository = name.split("/")[:2]
            at = self._tool_folder() if used == self.action else STAND_INS / repository
            assert at.is_dir(), f"no stand-in for {used}"
            found[f"{owner}/{repository}@{ref}"] = at
        return found

    def _tool_folder(self) -> Path:
        """The repository of the action, as far as the action looks at it: act copies it for each use."""
        at = self.folder / "tool"
        if not at.exists():
            for name in TOOL_FILES:
                (at / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, at / name)
        return at


def _to_input(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _permissions(workflow: Mapping[str, Any], job: str, event: Event) -> dict[str, str]:
    """Return what the job asks for; a fork gets no more than to read, whatever it asks."""
    asked = dict(workflow["jobs"][job].get("permissions", workflow.get("permissions", {})) or {})
    return dict.fromkeys(asked, "read") if event.is_fork else asked


# --- the copy that act runs --------------------------------------------------------------------------


class _Loader(yaml.CSafeLoader):
    """YAML 1.2, so that `on:` is no boolean."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@functools.cache
def parse_workflow(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


@functools.cache
def render_copy(text: str, unknown_keys: tuple[str, ...] = UNKNOWN_KEYS) -> str:
    """Return the workflow without the keys that act doesn't know, and with the secrets of its environments."""
    workflow = yaml.load(text, Loader=_Loader)
    for key in unknown_keys:
        for holder, last in find_key(workflow, key.split(".")):
            del holder[last]
    for name, job in workflow["jobs"].items():
        if "strategy" in job:  # act reads the matrix before it looks whether the job runs at all
            job["strategy"] = _map_texts(
                job["strategy"], lambda text: re.sub(_FROM_JSON, r"fromJSON(\1 || '[]')", text)
            )
        workflow["jobs"][name] = _with_environment_secrets(job)
    return yaml.dump(workflow, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=10_000)


def find_key(tree: Any, path: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each mapping that has the key at the path's end, and the key."""
    for name in list(tree) if isinstance(tree, dict) else []:
        if path[0] in ("*", name):
            if len(path) == 1:
                yield tree, name
            else:
                yield from find_key(tree[name], path[1:])


def _with_environment_secrets(job: dict[str, Any]) -> dict[str, Any]:
    """Return the job with each of its secrets read from those of its GitHub Environment first."""
    given = job.get("environment", "")
    name = given["name"] if isinstance(given, dict) else given
    if not name:
        return job
    expression = re.fullmatch(r"\$\{\{(.*)\}\}", name)
    chosen = expression[1].strip() if expression else f"'{name}'"
    replaced = rf"(fromJSON(secrets.ENVIRONMENTS)[{chosen}].\1 || secrets.\1)"
    filled: dict[str, Any] = _map_texts(job, lambda text: re.sub(r"\bsecrets\.(\w+)", replaced, text))
    return filled


def _map_texts(tree: Any, change: Callable[[str], str]) -> Any:
    if isinstance(tree, dict):
        return {key: _map_texts(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_texts(value, change) for value in tree]
    return change(tree) if isinstance(tree, str) else tree


# --- what act reports --------------------------------------------------------------------------------


def _read_jobs(workflow: Mapping[str, Any], output: str, secrets: set[str]) -> dict[str, Job]:
    entries: dict[str, list[dict[str, Any]]] = {name: [] for name in workflow["jobs"]}
    for line in output.splitlines():
        entry = json.loads(line)
        if "jobID" not in entry:
            assert entry["level"] != "error", entry["msg"]
            continue
        shown = f"{entry['jobID']} ({entry['matrix']['environment']})" if entry["matrix"] else entry["jobID"]
        entries.setdefault(shown, []).append(entry)
    jobs = {}
    for name, of_job in entries.items():
        if of_job:
            jobs[name] = _read_job(name, of_job, secrets)
            continue
        of_matrix = sum(other.startswith(f"{name} (") for other in entries)
        assert of_matrix <= MAX_MATRIX, "GitHub refuses this matrix"
        if not of_matrix:
            jobs[name] = Job(name, "skipped")
    return jobs


def _read_job(name: str, entries: Sequence[dict[str, Any]], secrets: set[str]) -> Job:
    (ended,) = (entry["jobResult"] for entry in entries if "jobResult" in entry)
    failed = any(entry.get("stepResult") == "failure" and len(entry.get("stepID", [""])) == 1 for entry in entries)
    # in a matrix, act repeats the failure of an earlier job
    assert failed <= (ended == "failure") and (failed or ended == "success" or " (" in name), f"{name}: {ended}"
    job = Job(name, "failure" if failed else "success")
    summaries: list[list[str]] = []
    masks = set(secrets)
    for entry in entries:
        if entry.get("command") == "add-mask":
            masks.add(entry["arg"])
        elif str(entry.get("command")).startswith("end-of-step"):
            continue  # of stand_ins/bin/bash
        elif "raw" in entry or entry.get("raw_output"):
            line = entry.get("raw", entry["msg"])
            # stricter than GitHub's runner, which hides what is masked: here it must not be written
            assert not any(value in line for value in masks if value), "a secret reaches the log, where a mask hides it"
            job.log += line
        elif entry.get("command") == "summary":
            step = entry["stepID"]
            # act repeats the summary of a composite action's last step as that of the action
            if not any(inner[: len(step)] == step and inner != step for inner in summaries):
                assert len(entry["content"].encode()) <= _MAX_SUMMARY_BYTES, "GitHub drops this summary"
                job.summary += entry["content"]
            summaries.append(step)
    return job
