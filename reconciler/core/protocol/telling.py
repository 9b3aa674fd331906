"""What is said of an apply run at its end: of each environment one thing, from the state and the run's jobs.

The state decides what was applied. A job's conclusion only explains why something was not: a job can fail after its
PUT was recorded, and one that succeeded may have been followed by somebody else's apply.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import assert_never

from reconciler.core.accounts import find_pin_contradiction
from reconciler.core.protocol.steps import FLEET, is_of_run
from reconciler.core.shard import find_shard, parse_shard
from reconciler.model import DONE_OUTCOMES, By, Desired, Document, Head, Intent, LastTry, Shard
from reconciler.text.instants import instant
from reconciler.text.lock import describe_lock

BEGIN_JOB = "Begin"  # the name of the run's first job
_STEP_JOB = re.compile(r"Step [1-9] / (?P<name>.+)", re.DOTALL)
_SHARD_JOB = re.compile(r"Wave-[0-9]+-shard-(?P<number>[0-9]+)-of-(?P<of>[0-9]+)")
SUCCESS = "success"


class Ending(StrEnum):
    """What is said of one environment, in the order in which it is said: what needs work comes first."""

    IN_DOUBT = "in-doubt"
    NOT_APPLIED = "not-applied"
    NOT_TRIED = "not-tried"
    UNKNOWN = "unknown"  # its manifest or its document can't be read
    APPLIED = "applied"  # by this run
    AS_WANTED = "as-wanted"  # the state had it before, or another run applied it meanwhile
    SUPERSEDED = "superseded"  # a later commit wants something else of it
    REMOVED = "removed"  # it is in no manifest any more


OPEN = frozenset({Ending.IN_DOUBT, Ending.NOT_APPLIED, Ending.NOT_TRIED, Ending.UNKNOWN})
"""What a later run has to report again."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """A job of the run as GitHub shows it. `name` is such as `Step 1 / loja`; `conclusion` None: it has not ended."""

    name: str
    conclusion: str | None
    url: str = ""


@dataclass(frozen=True)
class EndedRun:
    """The run that is reported. `jobs` None: they could not be read. `planned` None: it is not known.

    `refused` is the text with which the first job ended the whole run, if it did.
    """

    run_id: str
    jobs: tuple[RunJob, ...] | None = None
    planned: tuple[str, ...] | None = None
    refused: str = ""

    @cached_property
    def planned_names(self) -> frozenset[str]:
        return frozenset(self.planned or ())

    @cached_property
    def begun(self) -> bool:
        """Whether the first job let the others begin, as far as is known."""
        first = next((job for job in self.jobs or () if job.name == BEGIN_JOB), None)
        return not self.refused and (first is None or first.conclusion == SUCCESS)

    @cached_property
    def step_jobs(self) -> Mapping[str, tuple[RunJob, ...]]:
        """The jobs of the steps by their own names; one of a step that was skipped whole has none."""
        found: dict[str, tuple[RunJob, ...]] = {}
        for job in self.jobs or ():
            named = _STEP_JOB.fullmatch(job.name)
            if named is not None:
                found[named["name"]] = (*found.get(named["name"], ()), job)
        return found

    @cached_property
    def stopped(self) -> RunJob | None:
        """The first job of a step that ended without success."""
        jobs = (job for named in self.step_jobs.values() for job in named)
        return next((job for job in jobs if job.conclusion not in (SUCCESS, None)), None)

    @cached_property
    def shard_jobs(self) -> Mapping[int, Mapping[int, tuple[RunJob, ...]]]:
        """The jobs that hold a shard of a wave: by how many shards there are, then by the shard's number."""
        found: dict[int, dict[int, tuple[RunJob, ...]]] = {}
        for name, jobs in self.step_jobs.items():
            shard = _find_shard(name)
            if shard is not None:
                numbers = found.setdefault(shard.of, {})
                numbers[shard.number] = (*numbers.get(shard.number, ()), *jobs)
        return found


@dataclass(frozen=True, slots=True)
class StateView:
    """What the state shows at `now`. `faults` says of a document why it can't be read."""

    now: datetime
    documents: Mapping[str, Document] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one environment. `by` and `at` are those of its applied record, or of the intent in doubt."""

    environment: str
    ending: Ending
    why: str = ""
    by: By | None = None
    at: datetime | None = None
    job: RunJob | None = None  # where to read more
    adopted: bool = False
    commit: str | None = None  # of SUPERSEDED and REMOVED: the last one that changed it


def tell_run(run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> list[Told]:
    """Return what is said of each environment that the run planned, each once, by ending and name.

    Where it is not known what was planned, it is said of each environment that the run touched, or that is not as
    the manifests want it.
    """
    planned = _find_touched(run, desired, state) if run.planned is None else dict.fromkeys(run.planned)
    return in_order(tell_environment(name, run, desired.get(name), state) for name in planned)


def in_order(told: Iterable[Told]) -> list[Told]:
    """Sort by what matters, then by name."""
    order = {ending: place for place, ending in enumerate(Ending)}
    return sorted(told, key=lambda one: (order[one.ending], one.environment))


def _find_touched(run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> list[str]:
    return [
        name
        for name, one in desired.items()
        if not is_as_wanted(one, state.documents.get(name)) or _is_touched(run, state.documents.get(name))
    ]


def _is_touched(run: EndedRun, document: Document | None) -> bool:
    if document is None:
        return False
    bys = (one.by for one in (document.applied, document.last, document.intent) if one is not None)
    return any(is_of_run(by.run, run.run_id) for by in bys)


def is_as_wanted(desired: Desired, head: Head | None) -> bool:
    """Whether the applied record is what the manifest wants, and nothing is in doubt or under way."""
    applied = head.applied if head is not None else None
    if head is None or applied is None or head.intent is not None:
        return False
    if find_pin_contradiction(desired, head, None) is not None:
        return False
    return (applied.webhooks, applied.endpoint, applied.body) == (desired.webhooks, desired.endpoint, desired.body)


def tell_environment(name: str, run: EndedRun, desired: Desired | None, state: StateView) -> Told:
    """Return what is said of one environment that the manifests of the run's commit should hold."""
    if name in state.faults:
        return Told(name, Ending.UNKNOWN, f"its state can't be read: {state.faults[name]}")
    document = state.documents.get(name)
    if document is not None and document.intent is not None:
        return _tell_intent(name, document.intent, document.last, run, state.now)
    if desired is None:
        return Told(name, Ending.UNKNOWN, "no manifest of this commit that can be read defines it")
    tried = (
        document.last
        if document is not None and document.last and is_of_run(document.last.by.run, run.run_id)
        else None
    )
    failed = tried if tried is not None and tried.outcome not in DONE_OUTCOMES else None
    if document is not None and document.applied is not None and is_as_wanted(desired, document):
        applied = document.applied
        if failed is not None and failed.at >= applied.at:
            why = f"{_describe_try(failed)}. What was applied at {instant(applied.at)} is still what the manifest wants"
            return Told(name, Ending.NOT_APPLIED, why, failed.by, failed.at, find_job(name, run))
        ours = is_of_run(applied.by.run, run.run_id)
        ending = Ending.APPLIED if ours else Ending.AS_WANTED
        job = None if ours else _find_unsuccessful(name, run)
        why = f"it was not sent again: {explain(name, run)}" if job is not None else ""
        return Told(name, ending, why, applied.by, applied.at, job, adopted=applied.adopted)
    if failed is not None:
        earlier = "" if run.begun else f"{explain(name, run)}. In an earlier attempt: "
        why = f"{earlier}{_describe_try(failed)}"
        return Told(name, Ending.NOT_APPLIED, why, failed.by, failed.at, find_job(name, run))
    other = document.applied if document is not None else None
    # what the run itself applied last is what the commit of an earlier attempt wanted: nothing has replaced it
    if tried is not None and other is not None and not is_of_run(other.by.run, run.run_id):
        why = f"what this run applied was replaced at {instant(other.at)}"
        return Told(name, Ending.NOT_APPLIED, why, other.by, other.at)
    return Told(name, Ending.NOT_TRIED, explain(name, run), job=find_job(name, run))


def _tell_intent(name: str, intent: Intent, last: LastTry | None, run: EndedRun, now: datetime) -> Told:
    """A live intent of the run itself is in doubt too: its jobs have ended, so nothing will finish it."""
    job = find_job(name, run)
    if intent.is_live(now) and not intent.doubt and not is_of_run(intent.by.run, run.run_id):
        return Told(name, Ending.NOT_APPLIED, describe_lock(intent, now), intent.by, intent.at, job)
    tried = f": {_describe_try(last)}" if last is not None and is_of_run(last.by.run, run.run_id) else ""
    why = f"nobody knows whether the PUT begun at {instant(intent.at)} changed Plug{tried}"
    return Told(name, Ending.IN_DOUBT, why, intent.by, intent.at, job)


def _describe_try(last: LastTry) -> str:
    status = "" if last.status is None else f" (status {last.status})"
    return f"{last.outcome.value}{status}{': ' if last.message else ''}{last.message}"


# --- why nothing was tried ---------------------------------------------------------------------------


def find_job(name: str, run: EndedRun) -> RunJob | None:
    """Return the job that had this environment: its own, else the fleet's, else its shard's that went worst."""
    jobs = run.step_jobs.get(name) or run.step_jobs.get(FLEET)
    if not jobs:
        shards = ((numbers, find_shard(name, of).number) for of, numbers in run.shard_jobs.items())
        jobs = tuple(job for numbers, number in shards for job in numbers.get(number, ()))
    return next((job for job in jobs if job.conclusion != SUCCESS), jobs[0] if jobs else None)


def _find_shard(job_name: str) -> Shard | None:
    found = _SHARD_JOB.fullmatch(job_name)
    try:
        return parse_shard(f"{found['number']}/{found['of']}") if found is not None else None
    except ValueError:
        return None


def _find_unsuccessful(name: str, run: EndedRun) -> RunJob | None:
    job = find_job(name, run)
    return job if job is not None and job.conclusion != SUCCESS else None


_ENDED = {
    SUCCESS: "succeeded without sending it; its log says why",
    "failure": "failed before anything was sent for it, or a reviewer rejected it; its log says why",
    "cancelled": "was cancelled",
    "skipped": "was skipped, as an earlier step did not succeed",
    "timed_out": "took too long and was ended",
    "action_required": "waits for an approval",
    None: "has not ended",
}


def explain(name: str, run: EndedRun) -> str:
    """Return why the run sent nothing for an environment, as far as its jobs say it."""
    if run.refused:
        return "the first job ended the whole run, so no job of an environment began"
    if run.jobs is None:
        return "the run's jobs can't be read: see the run"
    if not run.begun:
        return "the first job did not succeed, so no job of an environment began"
    if run.planned is not None and name not in run.planned_names:
        return "this run did not plan it: see which environments it was asked for"
    job = find_job(name, run)
    if job is not None:
        return f"its job {_ENDED.get(job.conclusion, f'ended as {job.conclusion}')}"
    if run.stopped is not None:
        return f"its job did not begin, as {run.stopped.name} did not succeed"
    return "its job did not begin: see the run"


# --- one pull request --------------------------------------------------------------------------------

ABSENT, UNKNOWN = "absent", "unknown"  # in place of a digest of what a commit wants: nothing, or it can't be resolved


class WishFate(StrEnum):
    """What became of a pull request's wish for one environment, until the run's commit."""

    WANTED = "wanted"  # the run's commit wants the same, or it can't be compared
    CHANGED = "changed"  # the run's commit wants something else
    REMOVED = "removed"  # the run's commit has no such environment


@dataclass(frozen=True, slots=True)
class Wish:
    """An environment that a pull request changed. `later` is the last commit that changed it since, where known."""

    environment: str
    fate: WishFate = WishFate.WANTED
    later: str | None = None


def find_fate(then: str, now: str) -> WishFate:
    """Compare what the merge of a pull request wanted with what the run's commit wants."""
    if now == ABSENT:
        return WishFate.REMOVED
    return WishFate.WANTED if then == now or UNKNOWN in (then, now) else WishFate.CHANGED


def tell_pull_request(
    wishes: Iterable[Wish], run: EndedRun, desired: Mapping[str, Desired], state: StateView
) -> list[Told]:
    """Return what is said of each environment that a pull request changed, by ending and name."""
    return in_order(_tell_wish(wish, run, desired, state) for wish in wishes)


def _tell_wish(wish: Wish, run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> Told:
    match wish.fate:
        case WishFate.WANTED:
            return tell_environment(wish.environment, run, desired.get(wish.environment), state)
        case WishFate.CHANGED:
            return Told(wish.environment, Ending.SUPERSEDED, commit=wish.later)
        case WishFate.REMOVED:
            return Told(wish.environment, Ending.REMOVED, commit=wish.later)
        case _:
            assert_never(wish.fate)


def is_open(told: Collection[Told]) -> bool:
    """Whether a later run has something to add: not everything is applied."""
    return any(one.ending in OPEN for one in told)
