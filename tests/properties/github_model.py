"""A model of GitHub around the steps of an apply run: commits, pull requests, a queue of runs, jobs and comments.

The decisions are made by the program (`run/begin.py`, `run/part.py`, `run/strict.py`, `run/result.py`,
`core/workflow/`), and each job applies with the program's apply, against a model of Plug and a store in memory.
Only git and GitHub's API are replaced: the model answers the same questions about its commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from reconciler.core.digest import manifests_digest
from reconciler.core.guards import FirstApply, MaxChanged
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.workflow.endings import EndedRun, RunJob
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import Marker, may_replace
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.core.workflow.rerun import RunAttempt, find_superseded
from reconciler.core.workflow.schedule import ApplyRun, Begin, Runs, Wanted, choose_begin
from reconciler.core.workflow.steps import Job, JobLayout
from reconciler.core.workflow.strict import LastChange
from reconciler.errors import InputError, PostFailed, StalePlan, StateError
from reconciler.model import By, Desired, Document, Problem
from reconciler.ports import MergedPull, Posted, PostEffect
from reconciler.run.apply import apply_plan
from reconciler.run.begin import Beginning, BeginRequest, Lift
from reconciler.run.context import Stop
from reconciler.run.fleet_drift import find_all_drift
from reconciler.run.guards import GuardInput, check_part_before_sending
from reconciler.run.part import PartPlanner
from reconciler.run.planning import EVERYTHING, PlanScope, plan_environments
from reconciler.run.result import (
    COMMENT,
    Comment,
    find_names,
    find_pulls_to_report,
    make_comments,
    post_comments,
    read_state,
)
from reconciler.run.schedule import is_unapplied
from reconciler.run.strict import find_unreviewed
from tests.fakes import OPTIONS, Behaviour, FakeClock, FakeCredentials, FakePlug, make_desired, make_world
from tests.memory_store import MemoryStore

WAVES = {"a": 0, "b": 0, "c": 1, "d": 2}
LIMIT = MaxChanged(2, percent=False)
DEFAULTS = "defaults"
ABSENT = "absent"

Tree = Mapping[str, int]
"""The manifests: `defaults`, and of each environment its own version, 0 where it takes the defaults'."""


def make_fleet(tree: Tree) -> dict[str, Desired]:
    """Return what a tree defines. Its hosts aren't documentation hosts, which no run sends to Plug."""
    return {
        name: _make_environment(name, f"own-{own}" if own else f"defaults-{tree[DEFAULTS]}")
        for name, own in tree.items()
        if name != DEFAULTS
    }


def _show_nowhere(planned: Planned) -> None:
    """Take an unexpected plan."""


def _make_environment(name: str, version: str) -> Desired:
    made = make_desired(name, version, wave=WAVES[name])
    webhooks = {event: url.replace("example.com", "acme.com.br") for event, url in made.webhooks.items()}
    return replace(made, webhooks=webhooks)


def find_wants(tree: Tree) -> dict[str, str]:
    return {name: manifests_digest([desired]) for name, desired in make_fleet(tree).items()}


def merge(base: Tree, theirs: Tree, ours: Tree) -> Tree | None:
    """Merge as git does with one file for each environment; None for a conflict."""
    merged = dict(ours)
    for name in theirs.keys() | base.keys():
        before, after = base.get(name), theirs.get(name)
        if before == after or ours.get(name) == after:
            continue
        if ours.get(name) != before:
            return None
        if after is None:
            del merged[name]
        else:
            merged[name] = after
    return merged


@dataclass(frozen=True)
class Commit:
    """A commit of the default branch. `pull` is the pull request whose merge it is."""

    sha: str
    tree: Tree
    pull: int | None = None


@dataclass
class Pull:
    """A merged pull request."""

    number: int
    head: Tree
    merge_sha: str
    merged_at: datetime
    changed: frozenset[str]  # The environments that its merge changes.
    commits: int
    labels: dict[Label, LabelSetting] = field(default_factory=dict)


@dataclass(repr=False)
class Run:
    """A run of apply.yml. `problems` are the reasons why the first job of the last attempt refused it."""

    number: int
    event_sha: str
    inputs: RunInputs
    whole: bool
    requested_at: datetime
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    commit: str | None = None
    problems: tuple[str, ...] = ()
    steps: list[list[Job]] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)  # The conclusion of each job, by its name.
    planned: tuple[str, ...] = ()
    again: bool = False  # Only what failed runs again, so the first job's outputs are those of an earlier attempt.

    def __repr__(self) -> str:
        return f"<run {self.number}/{self.attempt} {self.status}>"

    @property
    def id(self) -> RunAttempt:
        return RunAttempt(str(self.number), self.attempt)

    @property
    def pending(self) -> list[Job]:
        """Return the jobs that can run now: those of the first unfinished step, if the steps before it succeeded."""
        for jobs in self.steps:
            left = [job for job in jobs if job.name not in self.done]
            if left:
                return left
            if any(self.done[job.name] != "success" for job in jobs):
                return []
        return []


@dataclass
class GitHub:
    """The repository. `put` is what each run sent to Plug (None: a laptop)."""

    strict: bool
    layout: JobLayout = field(default_factory=JobLayout)
    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    plug: FakePlug = field(default_factory=FakePlug)
    credentials: FakeCredentials = field(default_factory=FakeCredentials)
    line: list[Commit] = field(default_factory=list)  # The commits of the default branch, the oldest first.
    pulls: dict[int, Pull] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    comments: dict[int, tuple[Marker, Comment]] = field(default_factory=dict)
    comments_fail: bool = False
    put: list[tuple[Run | None, Desired]] = field(default_factory=list)
    moved: list[tuple[Run | None, str]] = field(default_factory=list)  # The PUTs that went to another company.
    sender: Run | None = None

    def __post_init__(self) -> None:
        self.plug.before = self._note

    def _note(self, desired: Desired) -> None:
        """Record what is sent to Plug, and whether it goes to another company than last time."""
        document = self.documents().get(desired.environment)
        before = document.applied.account if document is not None and document.applied is not None else None
        if before is not None and before != self.credentials.account(desired):
            self.moved.append((self.sender, desired.environment))
        self.put.append((self.sender, desired))

    # --- commits -----------------------------------------------------------------------------------

    @property
    def head(self) -> Commit:
        return self.line[-1]

    def find(self, sha: str) -> Commit:
        return next(commit for commit in self.line if commit.sha == sha)

    def push(self, tree: Tree, *, starts: bool = True) -> None:
        """Push a commit without a pull request."""
        self.line.append(Commit(f"{len(self.line):040x}", dict(tree)))
        self._start(starts=starts)

    def merge(self, base: Commit, theirs: Tree, *, rebased: bool = False, starts: bool = True) -> Pull | None:
        """Merge a pull request that was branched off `base`; None for a conflict. A rebase merge is two commits."""
        before = self.head.tree
        tree = merge(base.tree, theirs, before)
        if tree is None or tree == before:
            return None
        number = len(self.pulls) + 1
        first = next((name for name in sorted(tree) if tree[name] != before.get(name)), None)
        if rebased and first is not None:
            self.line.append(Commit(f"{len(self.line):040x}", {**before, first: tree[first]}))
        self.line.append(Commit(f"{len(self.line):040x}", tree, number))
        then, now = find_wants(before), find_wants(tree)
        changed = frozenset(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        two = rebased and first is not None
        pull = Pull(number, dict(theirs), self.head.sha, self.clock.now(), changed, 2 if two else 1)
        self.pulls[number] = pull
        self._start(starts=starts)
        return pull

    # --- runs --------------------------------------------------------------------------------------

    def _start(self, *, starts: bool) -> None:
        if starts:
            self.request(RunInputs(), whole=True)

    def request(self, inputs: RunInputs, *, whole: bool) -> Run:
        run = Run(len(self.runs) + 1, self.head.sha, inputs, whole, self.clock.now())
        self.runs.append(run)
        return run

    @property
    def running(self) -> Run | None:
        return next((run for run in self.runs if run.status == "in_progress"), None)

    @property
    def queued(self) -> list[Run]:
        waiting = [run for run in self.runs if run.status == "queued"]
        return sorted(waiting, key=lambda run: (run.requested_at, run.number))

    def request_again(self, run: Run, *, only_failed: bool) -> None:
        """Re-run a run that has ended: all jobs, or those that failed."""
        run.attempt += 1
        run.status, run.conclusion, run.requested_at = "queued", None, self.clock.now()
        run.again = only_failed and not run.problems and bool(run.steps)
        if not run.again:
            run.steps, run.done, run.planned = [], {}, ()
        run.done = {name: ended for name, ended in run.done.items() if ended == "success"}

    def begin(self, run: Run) -> None:
        """Run the first job; a re-run of failed jobs skips it if it succeeded."""
        run.status = "in_progress"
        if run.again:
            return
        run.problems = ()
        run.commit = self.head.sha
        fleet = make_fleet(self.head.tree)
        request = BeginRequest(self.layout, run.inputs, run.id, run.commit, run.event_sha, strict=self.strict)
        ports = _Ports(self, run.commit)
        begun = None
        try:
            planner, guards = self._planner(fleet), self._guards(fleet)
            begun = Beginning(request, planner, guards, lambda: self.store, ports, _show_nowhere).decide()
        except (InputError, StateError) as error:
            run.problems = (str(error),)
        if begun is not None and begun.problems:
            run.problems = tuple(str(problem) for problem in begun.problems)
        if begun is not None and not run.problems:
            run.steps = [list(jobs) for jobs in begun.steps if jobs]
            run.planned = tuple(begun.names)

    def do(self, run: Run, job: Job, behaviour: Behaviour | None = None) -> None:
        """Run one job of a wave, which Plug answers with this behaviour."""
        assert run.commit is not None
        commit = self.find(run.commit)
        fleet = make_fleet(commit.tree)
        planner = PartPlanner(
            job,
            run.inputs,
            run.id,
            tuple(fleet.values()),
            self.store,
            self._planner(fleet),
            OPTIONS.max_failures,
            _show_nowhere,
        )
        run.done[job.name] = "failure"
        if run.id.is_later:
            ours, newer = find_wants(commit.tree), find_wants(self.head.tree)
            if find_superseded({name: newer.get(name) == ours.get(name) for name in planner.find_names()}):
                return
        try:
            part = planner.plan()
        except (StalePlan, InputError):
            return
        if part.stop_reason:
            return
        try:
            given = self._guards(fleet)(run.inputs.accepted, FirstApply())
            check_part_before_sending(part.planned, given, self.clock.now(), lambda warning: None)
        except InputError:
            return
        self.plug.script.extend([behaviour] * OPTIONS.attempts if behaviour else [])
        with self._sending(run):
            outcomes = self._apply(part.planned, By("ana", run.commit, str(run.id)), run.inputs.accepted)
        self.plug.script.clear()
        if all(outcomes):
            run.done[job.name] = "success"

    def end(self, run: Run) -> None:
        """Run the last job, which runs however the others ended."""
        self._conclude(run)
        assert run.commit is not None
        fleet = make_fleet(self.find(run.commit).tree)
        jobs = [RunJob("Begin", "failure" if run.problems else "success")]
        jobs += [
            RunJob(f"Step {number} / {job.name}", run.done.get(job.name, "skipped"))
            for number, step in enumerate(run.steps, 1)
            for job in step
        ]
        ended = EndedRun(str(run.number), tuple(jobs), run.planned or None, "; ".join(run.problems))
        hub, history = _ResultHub(self), History(self, run.commit)
        to_report = find_pulls_to_report(hub, history, self.clock.now())
        state = read_state(self.store, find_names(to_report), self.clock.now())
        made = list(make_comments(to_report, ended, fleet, state))
        by_number = {comment.number: comment for comment in made}
        hub.comments = by_number
        post_comments(hub, made, lambda comment: "text", run.number, run.attempt)

    def _conclude(self, run: Run) -> None:
        run.status = "completed"
        ended = {run.done.get(job.name, "skipped") for jobs in run.steps for job in jobs}
        if run.problems or "failure" in ended:
            run.conclusion = "failure"
        elif "cancelled" in ended:
            run.conclusion = "cancelled"
        else:
            run.conclusion = "success"

    # --- everything else ---------------------------------------------------------------------------

    def plan(self) -> Planned:
        """Plan the head."""
        return self._planner(make_fleet(self.head.tree))(EVERYTHING, requested=False)

    def apply_from_laptop(self) -> None:
        """A user applies the head by hand, with no guard."""
        with self._sending(None):
            self._apply(self.plan(), By("bia", self.head.sha, None))

    def watch(self) -> Begin:
        """Run the scheduled job, which may begin a run."""
        planned = self.plan()
        runs = tuple(
            ApplyRun(one.number, one.event_sha, one.status, one.conclusion, one.requested_at, one.whole, "")
            for one in self.runs
        )
        wanted = Wanted(self.head.sha, is_unapplied(planned.plan), self_heal=True)
        found = find_all_drift(planned, self.credentials, token_warning_s=0)
        choice = choose_begin(Runs(self.clock.now(), runs), wanted, found.findings)
        if choice is not Begin.NOTHING:
            self.request(RunInputs(reassert=choice is Begin.REASSERT), whole=True)
        return choice

    def documents(self) -> Mapping[str, Document]:
        return {name: stored.document for name, stored in self.store.read(self.store.names()).items()}

    def _apply(self, planned: Planned, by: By, accepted: Sequence[str] = ()) -> list[bool]:
        world = replace(make_world(self.store, self.plug, self.clock, self.credentials), by=by)
        result = asyncio.run(apply_plan(planned, world, replace(OPTIONS, accepted=accepted), Stop()))
        return [one.outcome.value in ("applied", "unchanged") for one in result.environments]

    @contextmanager
    def _sending(self, run: Run | None) -> Iterator[None]:
        self.sender = run
        yield
        self.sender = None

    def _planner(self, fleet: Mapping[str, Desired]) -> _Planner:
        return _Planner(self, tuple(fleet.values()))

    def _guards(self, fleet: Mapping[str, Desired]) -> _Guards:
        return _Guards(self, tuple(fleet.values()))


@dataclass
class _Planner:
    github: GitHub
    fleet: Sequence[Desired]

    def __call__(self, scope: PlanScope, *, requested: bool, now: datetime | None = None) -> Planned:
        given = PlanInput(now or self.github.clock.now(), requested=requested)
        return plan_environments(self.fleet, self.github.store, self.github.credentials, given, scope)


@dataclass
class _Guards:
    github: GitHub
    fleet: Sequence[Desired]

    def __call__(self, accepted: Sequence[str], first: FirstApply) -> GuardInput:
        return GuardInput(self.fleet, self.github.credentials, LIMIT, accepted, first)


@dataclass
class _Ports:
    """Answers what the first job asks GitHub and git."""

    github: GitHub
    commit: str

    def list_environments(self) -> Collection[str]:
        return [*WAVES, FLEET_ENVIRONMENT]

    def find_lift(self, label: Label, commit: str) -> Lift | None:
        number = self.github.find(commit).pull
        setting = self.github.pulls[number].labels.get(label) if number is not None else None
        return None if number is None or setting is None else Lift(number, setting)

    def find_unreviewed(self, names: Sequence[str], fleet_digest: str) -> Sequence[Problem]:
        found = find_unreviewed(names, History(self.github, self.commit), _Pulls(self.github))
        return [Problem.of(one.environment, f"{one.cause} at {one.commit}") for one in found]


@dataclass
class _Pulls:
    github: GitHub

    def list_pulls(self, sha: str) -> Sequence[MergedPull]:
        """Return the pull requests, like GitHub also for an inner commit of a rebase merge."""
        found = []
        for pull in self.github.pulls.values():
            place = self.github.line.index(self.github.find(pull.merge_sha))
            if sha in [commit.sha for commit in self.github.line[place + 1 - pull.commits : place + 1]]:
                found.append(MergedPull(pull.number, f"head-{pull.number}", pull.merge_sha))
        return found


class History:
    """The webhooks that the commits of the default branch define, from a run's commit backwards."""

    def __init__(self, github: GitHub, commit: str) -> None:
        self._github = github
        place = github.line.index(github.find(commit))
        self._line = github.line[place::-1]
        self._wants = [find_wants(one.tree) for one in self._line]

    @property
    def commits(self) -> Sequence[str]:
        return [one.sha for one in self._line]

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        return {name: self._find_last_change(name) for name in names}

    def _find_last_change(self, name: str) -> LastChange:
        last = len(self._line) - 1
        changed = (place for place in range(last) if self._wants[place].get(name) != self._wants[place + 1].get(name))
        place = next(changed, last)
        return LastChange(place, self._line[place].sha)

    def fetch_heads(self, pulls: Collection[MergedPull]) -> None:
        """Do nothing: the model has all of them."""

    def compare(self, commit: str, names: Collection[str]) -> Mapping[str, bool | None]:
        number = int(commit.removeprefix("head-"))
        wants = find_wants(self._github.pulls[number].head)
        return {name: wants.get(name) == self._wants[0].get(name) for name in names}

    def changed_by(self, commit: str) -> Collection[str]:
        place = self.commits.index(commit)
        after = self._wants[place]
        before = self._wants[place + 1] if place + 1 < len(self._wants) else {}
        return frozenset(name for name in after.keys() | before.keys() if after.get(name) != before.get(name))

    def find_wants(self, commit: str, names: Collection[str]) -> Mapping[str, str]:
        wants = self._wants[self.commits.index(commit)]
        return {name: wants.get(name, ABSENT) for name in names}


@dataclass
class _ResultHub:
    """Stores the comments of merged pull requests."""

    github: GitHub
    comments: Mapping[int, Comment] = field(default_factory=dict)

    def list_jobs(self, attempt: int) -> Sequence[RunJob]:
        raise AssertionError("the model gives the jobs itself")

    def list_merged(self, since: datetime) -> Sequence[MergedPull]:
        recent = [one for one in self.github.pulls.values() if one.merged_at >= since]
        return [MergedPull(one.number, f"head-{one.number}", one.merge_sha) for one in recent[::-1]]

    def find_markers(self, name: str, since: datetime) -> Mapping[int, Marker]:
        assert name == COMMENT
        return {number: marker for number, (marker, _) in self.github.comments.items()}

    def count_commits(self, pull: MergedPull) -> int:
        return self.github.pulls[pull.number].commits

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        if self.github.comments_fail:
            raise PostFailed("GitHub is down")
        old = self.github.comments.get(number)
        if old is not None and not may_replace(old[0], marker):
            return Posted(PostEffect.SUPERSEDED, "")
        self.github.comments[number] = (marker, self.comments[number])
        return Posted(PostEffect.UPDATED, "")
