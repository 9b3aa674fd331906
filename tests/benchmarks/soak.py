"""Run everything at once for ten minutes, then judge: `python -m tests.benchmarks.soak [--size N] [--minutes M]`.

Rounds of edits to the manifests, each with several applies at a time on one store, of a shard, a glob or all,
some of them ended by SIGTERM or kill -9, against a sandbox that is slow, answers 429, 500 and 503, and loses answers.
All chance comes from `--seed`, but not how processes interleave. The promises of docs/state.md are checked:

rule 1  after each round, if a plan says noop, the sandbox holds the manifest's webhooks
rule 2  every applied record was answered by the sandbox with a 2xx
rule 3  at each PUT the state holds one live intent, which belongs to the PUT (folder store)
rule 4  at the end one healthy apply converges with at most one PUT an environment, and another one sends nothing
rule 5  every document is whole, at every moment (folder store) and after each round

and at the end that there is no leak: file handles, memory, remaining files. Exit 1 on any violation.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from reconciler.model import EVENTS, Event
from reconciler.sandbox.plug import Options, PutFate, ReceivedPut
from reconciler.sandbox.server import Sandbox, serve_in_thread
from reconciler.state.objects import TOMBSTONE
from tests.benchmarks.bench import aws_environ, run_bucket
from tests.benchmarks.fleet import PER_FOLDER, make_jwt
from tests.benchmarks.measure import clean_environ, reconciler
from tests.contract.remotes import git, make_clone, make_remote

SECRET_NAME, SECRET = "PLUG_SECRET_RECEIVE", "made-up-for-the-soak"
PLACE_HOLDER = f"{{secret:{SECRET_NAME}}}"
# The lease ends within a minute and a half: at least deadline + timeout + 60 s.
LIMITS = {"timeout": 8, "deadline": 16, "lease": 90, "attempts": 3}
JOBS = 3  # Applies at a time.
LATEST_S = 0.3  # The sandbox processes what a killed run sent within this time.
REQUEST_S = 0.002  # The object store answers after this time.
ROUND_S = (1.0, 20.0)  # A signal comes in this range, sometimes before any process runs.
FD_SLACK = 8
OBJECTS_SLACK = 20_000
GROWTH_MIB = 32.0  # The sandbox's process may grow by this: it keeps a fleet, not each PUT.


@dataclass(frozen=True, slots=True)
class Soak:
    """The options of a soak, and its folder."""

    folder: Path
    size: int
    seconds: float
    seed: int
    store: str
    bucket: str = ""  # the URL of the object store

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def setting(self) -> str:
        return {"folder": str(self.state), "git": "git:origin/state", "objects": "s3://soak/state"}[self.store]


@dataclass
class Findings:
    """Violations, each kind with its first few cases, and figures."""

    cases: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)

    def add(self, rule: str, case: str) -> None:
        self.counts[rule] += 1
        kept = self.cases.setdefault(rule, [])
        if len(kept) < 10:
            kept.append(case)

    def expect(self, rule: str, holds: object, case: str) -> None:
        self.figures[f"checks of {rule}"] += 1
        if not holds:
            self.add(rule, case)


# --- the fleet, as a user would keep it ----------------------------------------------------------------


@dataclass
class Manifests:
    """The content of the files, which Plug should hold: it is made here, not read by the program under test."""

    soak: Soak
    base: str = "plug"
    versions: list[int] = field(default_factory=list)

    def name(self, number: int) -> str:
        return f"company-{number:05d}"

    def wave(self, number: int) -> int:
        """Return the wave, mostly the first: an environment that a dead run locks stops all later waves."""
        return 0 if number % 20 else 1 + number // 20 % 2

    def write_all(self) -> None:
        self.versions = [1] * self.soak.size
        tokens = "".join(f"{self.name(number)}: {make_jwt(number)}\n" for number in range(self.soak.size))
        file = self.soak.work / "tokens.yaml"
        file.touch(mode=0o600)
        file.write_text(tokens, encoding="utf-8")
        self.write_defaults()
        for number in range(self.soak.size):
            self.write(number)

    def write_defaults(self) -> None:
        lines = ["vars:", f"  base: {self.base}", "webhooks:"]
        lines += [f"  {event}: {self._url('{base}', '{environment}', '{version}', event)}" for event in EVENTS]
        self._replace(self.soak.work / "manifests/_defaults.yaml", "\n".join(lines) + "\n")

    def write(self, number: int) -> None:
        version = self.versions[number]
        text = f'environment: {self.name(number)}\nwave: {self.wave(number)}\nvars: {{version: "{version}"}}\n'
        folder = self.soak.work / "manifests" / f"region-{number // PER_FOLDER:03d}"
        self._replace(folder / f"{self.name(number)}.yaml", text)

    @staticmethod
    def _url(base: str, environment: str, version: str, event: Event) -> str:
        query = f"?key={PLACE_HOLDER}" if event is Event.RECEIVE_MESSAGE else ""
        return f"https://hooks.example.com.br/{base}/{environment}/{version}/{event}{query}"

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        """Replace a file at once: runs read while it is written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)

    def desired(self, number: int) -> dict[str, str]:
        """Return the webhooks that Plug should hold, with values filled in."""
        return {
            event.value: self._url(self.base, self.name(number), str(self.versions[number]), event).replace(
                PLACE_HOLDER, SECRET
            )
            for event in EVENTS
        }

    def edit(self, chance: random.Random) -> int:
        """Edit as a user does, sometimes all, sometimes back to the past; return how many environments change."""
        if chance.random() < 0.2:
            self.base = chance.choice(("plug", "plug2", "plug3"))
            self.write_defaults()
            return self.soak.size
        count = max(1, int(self.soak.size * chance.choice((0.01, 0.1, 0.5))))
        start = chance.randrange(self.soak.size)
        for offset in range(count):
            number = (start + offset) % self.soak.size
            self.versions[number] = chance.randint(1, 4)
            self.write(number)
        return count


# --- what the sandbox received -------------------------------------------------------------------------


class Ledger:
    """Replaces the sandbox's list of PUTs. Only the sandbox's thread calls it.

    It keeps a fingerprint of each confirmed PUT, and reads the state during the PUT.
    """

    def __init__(self, soak: Soak, manifests: Manifests, findings: Findings) -> None:
        self._soak = soak
        self._findings = findings
        self._names = {make_jwt(number): manifests.name(number) for number in range(soak.size)}
        self.confirmed: dict[str, set[int]] = {name: set() for name in self._names.values()}
        self.fates: Counter[PutFate] = Counter()
        self.watching = soak.store == "folder"

    def append(self, put: ReceivedPut) -> None:
        name = self._names[put.token]
        self.fates[put.fate] += 1
        if put.fate is PutFate.DONE:
            self.confirmed[name].add(fingerprint(put.webhooks))
        if self.watching:
            self._look(name, put)

    def _look(self, name: str, put: ReceivedPut) -> None:
        try:
            document = json.loads((self._soak.state / f"{name}.json").read_bytes())
        except (OSError, ValueError) as error:
            self._findings.add("rule 5", f"{name}: at its PUT the document can't be read: {type(error).__name__}")
            return
        intent = document["intent"]
        live = intent is not None and intent["lease_until"] and instant(intent["lease_until"]) > datetime.now(UTC)
        self._findings.expect(
            "rule 3 and 6", live and filled(intent["webhooks"]) == put.webhooks, f"{name}: PUT without its live intent"
        )

    def forget_all_but(self, applied: Mapping[str, int]) -> None:
        """Forget all fingerprints except those of these versions: the others were checked."""
        for name, seen in self.confirmed.items():
            seen.intersection_update({applied[name]} if name in applied else ())


def fingerprint(webhooks: Mapping[Any, str]) -> int:
    return hash(tuple(webhooks[event] for event in EVENTS))


def filled(webhooks: Mapping[str, str]) -> dict[Event, str]:
    return {event: webhooks[event].replace(PLACE_HOLDER, SECRET) for event in EVENTS}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- the applies ---------------------------------------------------------------------------------------


@dataclass
class Job:
    """One apply, and how it should end."""

    process: subprocess.Popen[bytes]
    arguments: list[str]
    end: str  # One of: itself, term, kill, twice.
    at: float  # When, by the monotonic clock.
    files: tuple[Path, Path]


class Runner:
    """Starts the program as a user would, each time as a separate process."""

    def __init__(self, soak: Soak, base_url: str) -> None:
        self._soak = soak
        flags = [f"--{name}={value}" for name, value in LIMITS.items()]
        self._flags = ["--state", soak.setting, "--api-base-url", base_url, "--tokens-file", "tokens.yaml", *flags]
        self._environ = {**clean_environ(), SECRET_NAME: SECRET, "TMPDIR": str(soak.temporary)}
        self._environ |= aws_environ(soak.bucket)
        self._number = 0
        self.peak_mib = 0.0

    def start(self, *arguments: str, end: str = "itself", at: float = 0.0) -> Job:
        self._number += 1
        files = (self._soak.folder / f"out-{self._number}", self._soak.folder / f"err-{self._number}")
        command = reconciler(*arguments, *self._flags)
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(command, cwd=self._soak.work, env=self._environ, stdout=out, stderr=err)
        return Job(process, list(arguments), end, at, files)

    def finish(self, job: Job) -> tuple[int, str, str]:
        """Return code, stdout and stderr, and remove its files."""
        if job.process.returncode is None:
            _, status, usage = os.wait4(job.process.pid, 0)
            job.process.returncode = os.waitstatus_to_exitcode(status)
            self.peak_mib = max(self.peak_mib, usage.ru_maxrss / 1024)
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in job.files]
        for file in job.files:
            file.unlink()
        return job.process.returncode, texts[0], texts[1]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        return self.finish(self.start(*arguments))


def choose_arguments(soak: Soak, chance: random.Random) -> list[str]:
    arguments = ["apply", "--yes", "--format", "json", "--max-changed", "100%"]
    arguments += ["--concurrency", str(chance.choice((2, 8, 16, 32)))]
    arguments += ["--max-failures", str(chance.choice((10, 100_000, 100_000)))]
    match chance.randrange(4):
        case 0:
            of = chance.choice((2, 3, 5))
            arguments += ["--shard", f"{chance.randint(1, of)}/{of}"]
        case 1:
            arguments += ["-e", f"company-*{chance.randrange(10)}"]
        case 2:
            of = chance.choice((2, 3))
            arguments += ["-e", f"company-*[{chance.randrange(5)}-9]", "--shard", f"{chance.randint(1, of)}/{of}"]
    if chance.random() < 0.2:
        arguments += ["--rate-limit", str(chance.choice((20, 100, 400)))]
    if chance.random() < 0.1:
        arguments.append("--reassert")
    return arguments


def disturb(sandbox: Sandbox, chance: random.Random) -> None:
    """Change the sandbox's latency and failures."""
    sandbox.plug.options = replace(
        sandbox.plug.options,
        latency_s=chance.choice((0.0, 0.0, 0.02, 0.1, LATEST_S)),
        failure_rate=chance.choice((0.0, 0.0, 0.02, 0.2)),
        lost_answers=chance.choice((0.0, 0.01, 0.1)),
        rate_limit=chance.choice((None, None, None, 50.0, 200.0, 500.0)),
        seed=chance.randrange(1_000_000),
    )


def calm(sandbox: Sandbox) -> None:
    sandbox.plug.options = Options()


def run_round(
    soak: Soak, runner: Runner, sandbox: Sandbox, manifests: Manifests, chance: random.Random, findings: Findings
) -> None:
    """Run edits, applies, failures and signals at once, until every process has ended."""
    begun = time.monotonic()
    findings.figures["environments edited"] += manifests.edit(chance)
    jobs = []
    for _ in range(JOBS):
        end = chance.choice(("itself", "itself", "term", "kill", "kill", "twice"))
        jobs.append(runner.start(*choose_arguments(soak, chance), end=end, at=begun + chance.uniform(*ROUND_S)))
    findings.figures["applies"] += len(jobs)
    late = begun + ROUND_S[1] + 4 * LIMITS["deadline"]
    edit_at = begun + chance.uniform(*ROUND_S)
    while any(job.process.poll() is None for job in jobs):
        disturb(sandbox, chance)
        pause = time.monotonic() + chance.uniform(0.5, 2.0)
        while time.monotonic() < pause:
            for job in jobs:
                _end(job, findings, late)
            time.sleep(0.05)
        if time.monotonic() > edit_at:
            edit_at = float("inf")
            findings.figures["environments edited"] += manifests.edit(chance)
    for job in jobs:
        _judge(job, *runner.finish(job), findings)
    calm(sandbox)
    time.sleep(2 * LATEST_S)  # The sandbox has processed what a killed run sent.


def _end(job: Job, findings: Findings, late: float) -> None:
    now = time.monotonic()
    if job.process.poll() is not None or now < job.at:
        return
    match job.end:
        case "term":
            job.process.terminate()
        case "kill":
            job.process.kill()
        case "twice":
            job.process.terminate()
            time.sleep(0.1)
            if job.process.poll() is None:
                job.process.terminate()
        case "itself":
            if now < late:
                return
            job.process.terminate()  # The machine is slow, and a round has to end.
    findings.figures[f"ended by {job.end}"] += 1
    job.at = float("inf")


def _judge(job: Job, code: int, out: str, err: str, findings: Findings) -> None:
    """Check how a process ended, and that its output has no secret and no internal error."""
    findings.figures[f"exit {code}"] += 1
    case = f"{' '.join(job.arguments[6:])}: exit {code}"
    findings.expect("exit codes", code in (0, 1, 4, 130, -signal.SIGKILL, -signal.SIGTERM), f"{case}: {err[-500:]}")
    findings.expect(
        "no internal error", "internal error" not in err and "Traceback" not in err, f"{case}: {err[-800:]}"
    )
    findings.expect("no secret is shown", SECRET not in out + err and "made-up-signature" not in out + err, case)
    if code in (0, 1, 4) and out:
        for outcome, count in json.loads(out)["summary"].items():
            findings.figures[f"outcome {outcome}"] += count


# --- rules -------------------------------------------------------------------------------------------


def check_round(
    soak: Soak, runner: Runner, sandbox: Sandbox, manifests: Manifests, ledger: Ledger, findings: Findings
) -> None:
    """Check rules 1, 2 and 5 while no process runs."""
    documents = read_documents(soak, findings)
    applied: dict[str, int] = {}
    for name, document in documents.items():
        if document["applied"] is not None:
            applied[name] = fingerprint(filled(document["applied"]["webhooks"]))
            findings.expect("rule 2", applied[name] in ledger.confirmed[name], f"{name}: applied, never confirmed")
    code, out, err = runner.run("plan", "--format", "json")
    findings.expect("exit codes", code == 0, f"plan: exit {code}: {err[-500:]}")
    if code != 0:
        return
    for one in json.loads(out)["environments"]:
        if one["action"] == "noop" and not one["unchecked"]:
            number = int(one["environment"].removeprefix("company-"))
            holds = held(sandbox, number) == manifests.desired(number)
            findings.expect("rule 1", holds, f"{one['environment']}: noop, but Plug holds something else")
    ledger.forget_all_but(applied)


def held(sandbox: Sandbox, number: int) -> dict[str, str | None]:
    return {event.value: url for event, url in sandbox.plug.company(make_jwt(number)).webhooks.items()}


def read_documents(soak: Soak, findings: Findings) -> dict[str, Any]:
    """Return all documents, and check that each is canonical."""
    documents = {}
    for name, text in stored_texts(soak):
        try:
            document = json.loads(text)
        except ValueError:
            findings.add("rule 5", f"{name}: not JSON")
            continue
        canonical = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
        findings.expect("rule 5", text == canonical and document["environment"] == name, f"{name}: not as written")
        del document["history"]  # Ten records for each of a whole fleet would look like a leak of the sandbox.
        documents[name] = document
    return documents


def stored_texts(soak: Soak) -> Iterator[tuple[str, str]]:
    if soak.store == "folder":
        for path in soak.state.glob("*.json"):
            yield path.stem, path.read_text(encoding="utf-8")
        return
    if soak.store == "objects":
        with urllib.request.urlopen(soak.bucket) as answer:
            for key, text in json.load(answer).items():
                if TOMBSTONE not in text:
                    yield Path(key).stem, text
        return
    remote = soak.folder / "remote.git"
    if not git(remote, "for-each-ref", "refs/heads/state"):
        return
    with tempfile.TemporaryDirectory(dir=soak.folder) as out:
        git(remote, f"--work-tree={out}", "checkout", "--force", "state", "--", ".")
        for path in Path(out).glob("*.json"):
            yield path.stem, path.read_text(encoding="utf-8")


@contextmanager
def watched_documents(soak: Soak, findings: Findings) -> Iterator[None]:
    """Read documents at random all the time: none may be incomplete (rule 5)."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            try:
                data = (soak.state / f"company-{random.randrange(soak.size):05d}.json").read_bytes()
            except FileNotFoundError:
                continue
            whole = data.startswith(b"{\n") and data.endswith(b"\n}\n")
            findings.expect("rule 5 while written", whole, f"{len(data)} bytes that are not a document")

    thread = threading.Thread(target=watch)
    if soak.store == "folder":
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.is_alive():
            thread.join()


def wait_for_leases(soak: Soak, findings: Findings) -> None:
    """Wait as a user would who knows that all runs are dead; then no unlock is needed."""
    intents = [one["intent"] for one in read_documents(soak, findings).values() if one["intent"] is not None]
    ends = [instant(one["lease_until"]) for one in intents if one["lease_until"]]
    wait_s = max(((end - datetime.now(UTC)).total_seconds() for end in ends), default=0.0)
    findings.figures["intents left by the dead"] = len(ends)
    findings.figures["intents in doubt"] = len(intents) - len(ends)
    if wait_s > 0:
        say(f"waiting {wait_s:.0f} s for the leases of {len(ends)} dead intents")
        time.sleep(wait_s + 1)


def check_end(
    soak: Soak, runner: Runner, sandbox: Sandbox, manifests: Manifests, ledger: Ledger, findings: Findings
) -> None:
    """Check rule 4."""
    puts = [sandbox.plug.company(make_jwt(number)).received for number in range(soak.size)]
    code, out, err = runner.run("apply", "--yes", "--format", "json", "--max-changed", "100%", "--concurrency", "16")
    findings.expect("rule 4", code == 0, f"the healthy apply: exit {code}: {err[-500:]}")
    if out:
        findings.figures["environments of the healthy apply"] = json.loads(out)["summary"]["applied"]
    for number, before in enumerate(puts):
        name = manifests.name(number)
        more = sandbox.plug.company(make_jwt(number)).received - before
        findings.expect("rule 4", more <= 1, f"{name}: {more} PUTs to converge")
        findings.expect("rule 4", held(sandbox, number) == manifests.desired(number), f"{name}: not converged")
    check_round(soak, runner, sandbox, manifests, ledger, findings)
    requests = sandbox.plug.requests
    code, _, err = runner.run("apply", "--yes", "--format", "json")
    findings.expect(
        "rule 4", code == 0 and sandbox.plug.requests == requests, f"a second apply: exit {code}: {err[-300:]}"
    )


def check_leftovers(soak: Soak, findings: Findings) -> None:
    """Check for remaining files in the state folder, the temporary folder and the checkout."""
    if soak.store == "folder":
        foreign = [path.name for path in soak.state.iterdir() if path.suffix != ".json" and path.name != ".lock"]
        findings.expect("nothing is left over", not foreign, f"in the state: {foreign[:5]}")
    left = [path.name for path in soak.temporary.iterdir()]
    killed = findings.figures["ended by kill"] + findings.figures["ended by twice"]
    # No run can remove the files of a killed process in /tmp; the git store keeps a repository there.
    allowed = killed if soak.store == "git" else 0
    findings.figures["left in the temporary folder"] = len(left)
    findings.expect("nothing is left over", len(left) <= allowed, f"in the temporary folder: {left[:5]}")
    beside = {path.name for path in soak.work.iterdir()} - {"manifests", "tokens.yaml", ".git", "README"}
    findings.expect("nothing is left over", not beside, f"in the checkout: {sorted(beside)[:5]}")


@dataclass(frozen=True, slots=True)
class Held:
    """The memory and handles that this process uses, including the sandbox."""

    handles: int
    mib: float  # Resident memory; the allocator keeps some of what the checks used.
    objects: int  # Living Python objects.

    @classmethod
    def now(cls) -> Held:
        """Return the present use, after freeing what the checks used: they read whole plans."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        return cls(len(os.listdir("/proc/self/fd")), int(resident.split()[1]) / 1024, len(gc.get_objects()))


# --- all of it -----------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_folders(soak: Soak) -> None:
    if soak.store == "git":
        make_clone(make_remote(soak.folder), soak.work)
    soak.work.mkdir(exist_ok=True)
    soak.temporary.mkdir()


def run(soak: Soak) -> int:
    """Run the soak and return the exit code."""
    make_folders(soak)
    chance = random.Random(soak.seed)
    findings = Findings()
    manifests = Manifests(soak)
    manifests.write_all()
    begun = time.monotonic()
    with serve_in_thread() as sandbox, watched_documents(soak, findings):
        ledger = Ledger(soak, manifests, findings)
        sandbox.plug.received = ledger  # type: ignore[assignment]
        runner = Runner(soak, sandbox.base_url)
        before: Held | None = None
        number = 0
        while time.monotonic() - begun < soak.seconds or number < 2:
            number += 1
            run_round(soak, runner, sandbox, manifests, chance, findings)
            check_round(soak, runner, sandbox, manifests, ledger, findings)
            # Once the whole fleet is known, memory should not grow any more.
            before = before or (Held.now() if all(ledger.fates.values()) and number >= 2 else None)
            held_now = Held.now()
            say(
                f"round {number}, {time.monotonic() - begun:.0f} s: {describe(findings)}; "
                f"{held_now.mib:.0f} MiB, {held_now.handles} handles"
            )
        wait_for_leases(soak, findings)
        check_end(soak, runner, sandbox, manifests, ledger, findings)
        after = Held.now()
        fates = ledger.fates
    before = before or after
    check_leftovers(soak, findings)
    findings.expect(
        "no leak", after.handles <= before.handles + FD_SLACK, f"handles: {before.handles} to {after.handles}"
    )
    objects = f"objects: {before.objects:,} to {after.objects:,}"
    findings.expect("no leak", after.objects <= before.objects + OBJECTS_SLACK, objects)
    findings.expect("no leak", after.mib <= before.mib + GROWTH_MIB, f"memory: {before.mib:.0f} to {after.mib:.0f} MiB")
    print(f"soak: {soak.size:,} environments, {soak.store} store, seed {soak.seed}, {number} rounds in "
          f"{time.monotonic() - begun:.0f} s")  # fmt: skip
    print("PUTs: " + ", ".join(f"{count:,} {fate}" for fate, count in sorted(fates.items())))
    for name, count in sorted(findings.figures.items()):
        print(f"  {count:>10,}  {name}")
    print(f"  {runner.peak_mib:>10.0f}  MiB at the most in an apply or plan")
    print(f"  {before.objects:,} to {after.objects:,} objects alive in the sandbox")
    print(f"  {before.mib:>5.0f} to {after.mib:.0f} MiB and {before.handles} to {after.handles} handles in the sandbox")
    for rule, cases in sorted(findings.cases.items()):
        print(f"VIOLATED {rule}: {findings.counts[rule]:,} times, as in")
        print("\n".join(f"    {case}" for case in cases))
    print("verdict: " + ("VIOLATED: " + ", ".join(sorted(findings.cases)) if findings.cases else "all rules hold"))
    return 1 if findings.cases else 0


def describe(findings: Findings) -> str:
    violated = ", ".join(f"{rule}: {count}" for rule, count in findings.counts.items())
    return violated or "nothing violated"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=10_000, help="environments; 10000")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long rounds begin; 10")
    parser.add_argument("--seed", type=int, default=None, help="of all chance; a new one each time")
    parser.add_argument("--store", choices=("folder", "git", "objects"), default="folder")
    parser.add_argument("--folder", type=Path, help="where the files are put")
    parser.add_argument("--keep", action="store_true", help="leave the files to be looked at")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="reconciler-soak-", dir=given.folder))
    say(f"soak in {folder}, seed {seed}")
    try:
        with run_bucket(REQUEST_S) if given.store == "objects" else nullcontext("") as bucket:
            return run(Soak(folder, given.size, given.minutes * 60, seed, given.store, bucket))
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
