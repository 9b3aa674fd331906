"""Run the shipped workflows with `act` and what is added to it; the package's docstring says why."""

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
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import Struct, field
from msgspec.structs import replace

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
# "concurrency.queue". test_engine.py fails if one is no longer in a workflow, or act has learned it.
UNKNOWN_KEYS: tuple[str, ...] = ("concurrency.queue", "jobs.*.environment.deployment")

MAX_MATRIX = 256  # Jobs.
_MAX_SUMMARY_BYTES = 1024 * 1024  # This is for one step; GitHub drops a longer summary.
FIRST_RUN = 7001
_FROM_JSON = re.compile(r"\bfromJSON\(([\w.-]+)\)")
_MATRIX_VALUE = re.compile(r"\$\{\{ *matrix\.(\w+) *\}\}")
_USES = re.compile(r"^ *(?:- )?uses: ([\w.-]+/[^\s@]+@\S+)", re.MULTILINE)
TOOL_FILES = (".github/actions/reconciler/action.yml", "requirements.lock", "pyproject.toml")


def require_act() -> None:
    """Skip the test if act can't be installed. If it can be, a missing act fails the test."""
    if not HAS_WHEEL:
        pytest.skip("act has no wheel for this platform")


def accepts(workflow: str, folder: Path) -> bool:
    """Return whether every key and value of the workflow is in act's schema."""
    path = folder / "validated.yml"
    path.write_text(workflow)
    command = [str(ACT), "--validate", "--strict", f"--workflows={path}"]
    done = subprocess.run(command, cwd=folder, env={"HOME": str(folder)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "workflow is not valid" in done.stderr, done.stderr
    return done.returncode == 0


class Job(Struct):
    """A job as GitHub shows it: `caller / job` in a called workflow, followed by its values in a matrix."""

    name: str
    conclusion: str  # success, failure or skipped
    top: str  # The job of the run's own workflow: this job, or its caller.
    log: str = ""  # What the steps wrote, without the lines that add masks.
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)  # The outputs of its steps.
    matrix: dict[str, Any] = field(default_factory=dict)


class Event(Struct, frozen=True):
    """The event that starts a run. A checkout without `ref:` uses `ref`."""

    name: str
    sha: str
    ref: str
    payload: Mapping[str, Any]
    actor: str = "ana"
    is_fork: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)


class Begun(Struct, frozen=True, dict=True):
    """The definition of a run. `called`: the workflows that its jobs call, by their `uses:`."""

    text: str
    event: Event
    called: Mapping[str, str] = field(default_factory=dict)
    run_id: int = FIRST_RUN
    attempt: int = 1
    kept: tuple[Job, ...] = ()  # Jobs of the previous attempt, if only failed ones run again.
    left: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)  # Matrix entries that run again.

    @functools.cached_property
    def workflow(self) -> Any:
        return parse_workflow(self.text)

    @property
    def key(self) -> str:
        """Return the run's key as a state document has it."""
        return f"{self.run_id}/{self.attempt}"


class Run(Struct):
    """The end of one attempt of a workflow's run."""

    begun: Begun
    jobs: dict[str, Job]

    @property
    def conclusions(self) -> dict[str, str]:
        return {name: job.conclusion for name, job in self.jobs.items()}

    @property
    def conclusion(self) -> str:
        return "failure" if "failure" in self.conclusions.values() else "success"

    @property
    def summary(self) -> str:
        return "".join(job.summary for job in self.jobs.values())

    @property
    def log(self) -> str:
        return "".join(job.log for job in self.jobs.values())

    def find_failed(self) -> Begun:
        """Return what "Re-run failed jobs" runs: those that failed, in a matrix only these, and all that need them."""
        needs = {name: _needs(job) for name, job in self.begun.workflow["jobs"].items()}
        again = {job.top for job in self.jobs.values() if job.conclusion == "failure"}
        while more := {name for name, needed in needs.items() if again & {*needed}} - again:
            again |= more
        kept: list[Job] = []
        left: dict[str, tuple[Mapping[str, Any], ...]] = {}
        for job in self.jobs.values():
            if job.top not in again or (job.matrix and job.conclusion == "success"):
                kept.append(job)
            elif job.matrix:
                left[job.top] = (*left.get(job.top, ()), job.matrix)
        return replace(self.begun, attempt=self.begun.attempt + 1, kept=tuple(kept), left=left)


class Runner(Struct):
    """`secrets` are the repository's, `environments` those of each GitHub Environment, `environ` the machine's."""

    folder: Path  # Everything that the jobs write is below it.
    remote_url: str
    server_url: str
    github: FakeGitHub
    action: str  # The pinned action, which this checkout replaces.
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    parallel: int = 1  # The jobs of a matrix at a time; with one, logs are the same each time.
    runs: int = 0
    parts: int = 0  # How often act was started.
    write_program: Callable[[Path], None] = FORKS.write_program

    def run(self, text: str, event: Event, called: Mapping[str, str] | None = None) -> Run:
        """Run the workflow, given as YAML, on an event."""
        self.runs += 1
        return self.begin(Begun(text, event, called or {}, FIRST_RUN - 1 + self.runs))

    def run_again(self, run: Run) -> Run:
        """Run all jobs again: "Re-run all jobs"."""
        return self.begin(replace(run.begun, attempt=run.begun.attempt + 1, kept=()))

    def run_failed_again(self, run: Run) -> Run:
        """Run what failed and what needs it again: "Re-run failed jobs"."""
        return self.begin(run.find_failed())

    def begin(self, begun: Begun) -> Run:
        """Run one attempt to its end.

        A called workflow that fails ends act, though `always()` lets GitHub's runner continue. Then act is started
        again, and stand-in jobs with the same conclusion replace the jobs that have ended.
        """
        token = f"ghs_{uuid.uuid4().hex}"
        of_jobs = {f"{token}-{name}": allowed for name, allowed in _find_permissions(begun).items()}
        self.github.tokens |= of_jobs
        secrets = {token, *self.secrets.values(), *(v for one in self.environments.values() for v in one.values())}
        secrets |= {basic("x-access-token", one).removeprefix("Basic ") for one in of_jobs}
        reader = _Reader(begun, secrets)
        self.github.jobs[begun.key] = reader.list_shown
        ended: set[str] = set()
        while True:
            code = self._start_act(begun, reader, token)
            jobs = reader.read()
            new = {job.top for job in jobs.values() if job.conclusion != "skipped"} - ended
            failed = any(job.conclusion == "failure" for job in jobs.values())
            assert code == int(failed), reader.describe()
            ended |= new
            calls = {name for name in new if "uses" in begun.workflow["jobs"][name]}
            if not any(job.conclusion == "failure" and job.top in calls for job in jobs.values()):
                break
        for one in of_jobs:
            del self.github.tokens[one]
        run = Run(begun, jobs)
        self.github.jobs[begun.key] = reader.list_shown()
        return run

    def _start_act(self, begun: Begun, reader: _Reader, token: str) -> int:
        self.parts += 1
        folder = self.folder / f"run-{begun.run_id}-{begun.attempt}-{self.parts}"
        folder.mkdir(parents=True)
        (folder / ".gitconfig").write_text("[maintenance]\n\tauto = false\n")  # The clones don't live long enough.
        ended = reader.find_ended()
        arguments = self._arguments(folder, begun, ended, token)
        with reader.open_log(folder / "log", ended).open("wb") as written:
            done = subprocess.run(
                [ACT, begun.event.name, *arguments],
                cwd=folder,
                env={
                    "PATH": f"{STAND_INS / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    "HOME": str(folder),  # Act and git look for the user's settings here.
                    "GOMAXPROCS": "1",  # A run ends before act could gain from threads or garbage collection.
                    "GOGC": "off",
                    **measured(),
                },
                stdout=written,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        reader.printed.append(done.stderr.decode())
        return done.returncode

    def _arguments(self, folder: Path, begun: Begun, ended: Mapping[str, Ended], token: str) -> list[str]:
        event = begun.event
        copy = folder / "workflow.yml"
        copy.write_text(render_copy(begun.text, parallel=self.parallel, ended=ended))
        for uses, text in begun.called.items():  # Act looks for them in the folder where it was started.
            (folder / uses).parent.mkdir(parents=True, exist_ok=True)
            (folder / uses).write_text(render_copy(text, parallel=self.parallel))
        payload = {**event.payload, "inputs": {key: _to_input(value) for key, value in event.inputs.items()}}
        secrets = {"GITHUB_TOKEN": token, "ENVIRONMENTS": "{}"}
        if not event.is_fork:
            secrets |= {**self.secrets, "ENVIRONMENTS": json.dumps(self.environments)}
        # JSON is YAML too, and the name tells act to read YAML.
        for name, content in (
            ("event.json", payload),
            ("secrets.yml", secrets),
            ("variables.yml", {} if event.is_fork else self.variables),
            ("environ.yml", self._environ(folder, begun)),
        ):
            (folder / name).write_text(json.dumps(content))
        texts = "\n".join([begun.text, *begun.called.values()])
        local = [f"--local-repository={pin}={at}" for pin, at in self._find_actions(texts).items()]
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
            "--no-skip-checkout",  # With this option the stand-in is used.
            "--action-offline-mode",
            "--pull=false",
            "--no-cache-server",
            "--concurrent-jobs=1",  # Jobs run one after the other, so that a log is the same each time.
            "--reuse",  # The folders of the jobs are kept, so that tests can read them.
            "--json",
            "--insecure-secrets",  # Masked text is shown: the tests require that nothing needs a mask.
        ]

    def _environ(self, folder: Path, begun: Begun) -> dict[str, str]:
        program = folder / "reconciler"
        self.write_program(program)
        return {
            "LANG": "C.UTF-8",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REF": begun.event.ref,  # Act's own value is wrong for merge_group and schedule.
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ATTEMPT": str(begun.attempt),
            "GITHUB_RUN_ID": str(begun.run_id),
            "GITHUB_SERVER_URL": self.server_url,
            "SHA_REF": begun.event.sha,  # Act turns this variable into GITHUB_SHA.
            "STAND_IN_ARTIFACTS": str(self.folder / f"artifacts-{begun.run_id}"),
            "STAND_IN_LOG": str(folder / "log"),
            "STAND_IN_PROGRAM": str(program),
            "STAND_IN_REMOTE": self.remote_url,
            **self.environ,
        }

    def _find_actions(self, text: str) -> dict[str, Path]:
        """Return act's folder for each `owner/repository@ref`. An action without a stand-in is an error."""
        found = {}
        for used in _USES.findall(f"{text}\n{(ROOT / TOOL_FILES[0]).read_text()}"):
            name, _, ref = used.partition("@")
            owner, repository = name.split("/")[:2]
            at = self._tool_folder() if used == self.action else STAND_INS / repository
            assert at.is_dir(), f"no stand-in for {used}"
            found[f"{owner}/{repository}@{ref}"] = at
        return found

    def _tool_folder(self) -> Path:
        """Return a folder with what the action uses of its repository: act copies it for each use."""
        at = self.folder / "tool"
        if not at.exists():
            for name in TOOL_FILES:
                (at / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, at / name)
        return at


def _to_input(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _find_permissions(begun: Begun) -> dict[str, dict[str, str]]:
    """Return each job's permissions, by its GITHUB_JOB. A called job never has more than its caller."""
    found: dict[str, dict[str, str]] = {}
    for name, job in begun.workflow["jobs"].items():
        given = _permissions(begun.workflow, job, begun.event)
        if "uses" not in job:
            found[name] = given
            continue
        called = parse_workflow(begun.called[job["uses"]])
        for inner, one in called["jobs"].items():
            asked = _permissions(called, one, begun.event)
            assert asked.items() <= given.items(), "GitHub refuses a called job that asks for more than its caller has"
            assert found.setdefault(inner, asked) == asked
    return found


def _permissions(workflow: Mapping[str, Any], job: Mapping[str, Any], event: Event) -> dict[str, str]:
    """Return the permissions that the job asks for; a fork can at most read."""
    asked = dict(job.get("permissions", workflow.get("permissions", {})) or {})
    return dict.fromkeys(asked, "read") if event.is_fork else asked


def _needs(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


# --- the copy that act runs --------------------------------------------------------------------------


class _Loader(yaml.CSafeLoader):
    """YAML 1.2, so that `on:` isn't a boolean."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@functools.cache
def parse_workflow(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


class Ended(Struct, frozen=True):
    """The end of a job of the run's own workflow that does not run again, or only in part.

    `left`: the matrix entries that run again, for each job that it calls.
    """

    conclusion: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Mapping[str, Any], ...] = ()


def render_copy(
    text: str,
    unknown_keys: tuple[str, ...] = UNKNOWN_KEYS,
    *,
    parallel: int = 1,
    ended: Mapping[str, Ended] | None = None,
) -> str:
    """Return the workflow without the keys that act doesn't know, and with the secrets of its environments."""
    workflow = yaml.load(text, Loader=_Loader)
    for key in unknown_keys:
        for holder, last in find_key(workflow, key.split(".")):
            del holder[last]
    for name, job in workflow["jobs"].items():
        if "strategy" in job:  # Act reads the matrix before it checks whether the job runs at all.
            job["strategy"] = _map_texts(
                job["strategy"], lambda text: re.sub(_FROM_JSON, r"fromJSON(\1 || '[]')", text)
            )
            job["strategy"]["max-parallel"] = parallel  # Act evaluates no expression here.
        workflow["jobs"][name] = _with_environment_secrets(job)
    for name, one in (ended or {}).items():
        workflow["jobs"][name] = _stand_in(workflow["jobs"][name], one)
    return yaml.dump(workflow, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=10_000)


def _stand_in(job: Mapping[str, Any], ended: Ended) -> dict[str, Any]:
    """Return a job that ends as the one that it replaces."""
    if ended.left:
        assert "jobs" in job["with"], "the matrix of the called workflow is its input `jobs`"
        return {**job, "with": {**job["with"], "jobs": json.dumps(ended.left)}}
    step = {"run": "exit 1" if ended.conclusion == "failure" else ":"}
    return {
        "name": job.get("name", "ended"),
        "needs": _needs(job),
        "if": "false" if ended.conclusion == "skipped" else "always()",
        "runs-on": "ubuntu-24.04",
        "outputs": dict(ended.outputs),
        "steps": [step],
    }


def find_key(tree: Any, path: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each mapping that has the key at the path's end, and the key."""
    for name in list(tree) if isinstance(tree, dict) else []:
        if path[0] in ("*", name):
            if len(path) == 1:
                yield tree, name
            else:
                yield from find_key(tree[name], path[1:])


def _with_environment_secrets(job: dict[str, Any]) -> dict[str, Any]:
    """Return the job with each secret read from its GitHub Environment first."""
    given = job.get("environment", "")
    name = given["name"] if isinstance(given, dict) else given
    if not name:
        return job
    expression = re.fullmatch(r"\$\{\{(.*)\}\}", name)
    chosen = expression[1].strip() if expression else f"'{name}'"
    own = f"fromJSON(secrets.ENVIRONMENTS)[{chosen}]"

    def fill(text: str) -> str:
        text = re.sub(r"\bsecrets\[([\w.]+)\]", rf"({own}[\1] || secrets[\1])", text)
        return re.sub(r"\bsecrets\.(?!ENVIRONMENTS\b)(\w+)", rf"({own}.\1 || secrets.\1)", text)

    filled: dict[str, Any] = _map_texts(job, fill)
    return filled


def _map_texts(tree: Any, change: Callable[[str], str]) -> Any:
    if isinstance(tree, dict):
        return {key: _map_texts(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_texts(value, change) for value in tree]
    return change(tree) if isinstance(tree, str) else tree


# --- what act reports --------------------------------------------------------------------------------


class _Reader(Struct):
    """Reads what act has reported of one attempt, in all its parts."""

    begun: Begun
    secrets: set[str]
    printed: list[str] = field(default_factory=list)  # Output of act itself, outside the report.
    _logs: dict[Path, set[str]] = field(default_factory=dict)  # By part, the jobs that are stand-ins.

    def open_log(self, path: Path, ended: Mapping[str, Ended]) -> Path:
        """Begin the next part, and return the path of its log."""
        self._logs[path] = {top for top, one in ended.items() if not one.left}
        return path

    def describe(self) -> str:
        return "\n".join([*(log.read_text() for log in self._logs), *self.printed])

    def find_ended(self) -> dict[str, Ended]:
        """Return the jobs that are stand-ins in the next part: they ended in this attempt or an earlier one."""
        found: dict[str, list[Job]] = {}
        for job in self.read().values():
            found.setdefault(job.top, []).append(job)
        seen = {top for top, _ in self._collect()}
        kept = {job.top for job in self.begun.kept} - self.begun.left.keys()
        ended = {top: self._end(top, jobs) for top, jobs in found.items() if top in seen | kept}
        return {top: Ended("", left=left) for top, left in self.begun.left.items()} | ended

    def _end(self, top: str, jobs: Sequence[Job]) -> Ended:
        conclusions = {job.conclusion for job in jobs}
        outputs = self.begun.workflow["jobs"][top].get("outputs", {})
        steps = {name: value for job in jobs for name, value in job.outputs.items()}
        given = {name: steps.get(text.strip("${} ").split(".")[-1], "") for name, text in outputs.items()}
        return Ended("failure" if "failure" in conclusions else min(conclusions), given)

    def read(self) -> dict[str, Job]:
        """Return the jobs by name; a job without an entry was skipped."""
        return {name: job for name, job in self._read().items() if job is not None}

    def list_shown(self) -> list[dict[str, Any]]:
        """Return the jobs as GitHub's API shows them, also during the run."""
        return [
            {
                "name": name,
                "conclusion": None if job is None else job.conclusion,
                "html_url": f"https://github.com/{at}",
            }
            for at, (name, job) in enumerate(self._read().items(), 1)
        ]

    def _read(self) -> dict[str, Job | None]:
        """Return the jobs by name; None for one that has not ended."""
        top_jobs = self.begun.workflow["jobs"]
        found: dict[str, list[tuple[str, Job | None]]] = {name: [] for name in top_jobs}
        for job in self.begun.kept:
            found[job.top].append((job.name, job))
        for (top, name), entries in self._collect().items():
            found[top].append((name, self._read_job(name, top, entries)))
        jobs: dict[str, Job | None] = {}
        for top, of_top in found.items():
            assert len(of_top) <= MAX_MATRIX, "GitHub refuses this matrix"
            shown = top_jobs[top].get("name", top)
            jobs |= dict(of_top) or {shown: Job(shown, "skipped", top)}
        return jobs

    def _collect(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the entries of each job, by the job of the run's own workflow and the full name."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for log, played in self._logs.items():
            for line in log.read_text().splitlines(keepends=True) if log.exists() else []:
                if not line.endswith("\n"):
                    break  # Act is writing this line.
                entry = json.loads(line)
                if "jobID" not in entry:
                    assert entry["level"] != "error", entry["msg"]
                    continue
                top, name = self._name(entry)
                if top not in played:
                    found.setdefault((top, name), []).append(entry)
        return found

    def _name(self, entry: Mapping[str, Any]) -> tuple[str, str]:
        workflow, callers = self.begun.workflow, {}
        for top, job in workflow["jobs"].items():
            if "uses" in job:
                callers[job.get("name", top)] = top
        first = entry["job"].partition("/")[0]
        if first in callers and first != workflow.get("name"):
            top = callers[first]
            called = parse_workflow(self.begun.called[workflow["jobs"][top]["uses"]])
            inner = called["jobs"][entry["jobID"]]
            return top, f"{first} / {_show_name(entry['jobID'], inner, entry['matrix'])}"
        top = entry["jobID"]
        return top, _show_name(top, workflow["jobs"][top], entry["matrix"])

    def _read_job(self, name: str, top: str, entries: Sequence[dict[str, Any]]) -> Job | None:
        ended = [entry["jobResult"] for entry in entries if "jobResult" in entry]
        if not ended:
            return None
        failed = _has_failed(entries)
        matrix = entries[0]["matrix"] or {}
        # In a matrix, act repeats the failure of an earlier job.
        assert failed <= (ended == ["failure"]) and (failed or ended == ["success"] or matrix), f"{name}: {ended}"
        job = Job(name, "failure" if failed else "success", top, matrix=matrix)
        summaries: list[list[str]] = []
        masks = set(self.secrets)
        for entry in entries:
            if entry.get("command") == "add-mask":
                masks.add(entry["arg"])
            elif str(entry.get("command")).startswith("end-of-step"):
                continue  # This line is from stand_ins/bin/bash.
            elif "raw" in entry or entry.get("raw_output"):
                line = entry.get("raw", entry["msg"])
                # This is stricter than GitHub's runner, which hides masked text: here it must not be written.
                assert not any(value in line for value in masks if value), (
                    "a secret reaches the log, where a mask hides it"
                )
                job.log += line
            elif entry.get("command") == "set-output" and len(entry["stepID"]) == 1:
                job.outputs[entry["name"]] = entry["arg"]
            elif entry.get("command") == "summary":
                step = entry["stepID"]
                # Act repeats the summary of a composite action's last step as that of the action.
                if not any(inner[: len(step)] == step and inner != step for inner in summaries):
                    assert len(entry["content"].encode()) <= _MAX_SUMMARY_BYTES, "GitHub drops this summary"
                    job.summary += entry["content"]
                summaries.append(step)
        return job


def _has_failed(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a step that had to succeed failed."""
    forgiven = [entry["stepID"] for entry in entries if entry["msg"] == "Failed but continue next step"]
    failed = (entry.get("stepID", [""]) for entry in entries if entry.get("stepResult") == "failure")
    return any(len(step) == 1 and step not in forgiven for step in failed)


def _show_name(job_id: str, job: Mapping[str, Any], matrix: Mapping[str, Any] | None) -> str:
    """Return the name of a job as GitHub shows it."""
    name = job.get("name", job_id)
    if not matrix:
        return str(name)
    if _MATRIX_VALUE.search(name):
        return _MATRIX_VALUE.sub(lambda found: str(matrix[found[1]]), name)
    return f"{name} ({', '.join(str(value) for value in matrix.values())})"
