"""The report of an apply run at its end: one ending for each environment, from the state and the run's jobs.

The state decides what was applied. A job's conclusion only explains why something was not applied: a job can fail after
its PUT was recorded, and another run may have applied something else after a job that succeeded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import assert_never

from msgspec import Struct, field

from reconciler.core.accounts import find_pin_contradiction
from reconciler.core.shard import find_shard, parse_shard
from reconciler.core.workflow.names import SUCCESS
from reconciler.core.workflow.steps import FLEET, is_of_run
from reconciler.model import DONE_OUTCOMES, By, Desired, Document, Head, Intent, LastTry, Outcome, Shard
from reconciler.text.instants import instant
from reconciler.text.lock import describe_lock

BEGIN_JOB = "Begin"  # the name of the run's first job
_STEP_JOB = re.compile(r"Step [1-9] / (?P<name>.+)", re.DOTALL)
_SHARD_JOB = re.compile(r"Wave-[0-9]+-shard-(?P<number>[0-9]+)-of-(?P<of>[0-9]+)")


class Ending(StrEnum):
    """The endings of one environment in a report. Those that need work come first."""

    IN_DOUBT = "in-doubt"
    NOT_APPLIED = "not-applied"
    NOT_TRIED = "not-tried"
    UNKNOWN = "unknown"  # its manifest or its document can't be read, or its job did what the state does not show
    APPLIED = "applied"  # by this run
    AS_WANTED = "as-wanted"  # the state had it before, or another run applied it meanwhile
    SUPERSEDED = "superseded"  # a later commit wants something else of it
    REMOVED = "removed"  # its manifest was removed


OPEN = frozenset({Ending.IN_DOUBT, Ending.NOT_APPLIED, Ending.NOT_TRIED, Ending.UNKNOWN})
"""The endings that a later run has to report again."""


class RunJob(Struct, frozen=True):
    """A job of the run as GitHub shows it, such as `Step 1 / loja`. `conclusion` is None if it has not ended."""

    name: str
    conclusion: str | None
    url: str = ""


class EndedRun(Struct, frozen=True, dict=True):
    """The run to report. `jobs` is None if they could not be read, `planned` if it is not known.

    `refused` is the message of the first job if it ended the whole run.
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
        """Return whether the first job let the other jobs begin, as far as is known."""
        first = next((job for job in self.jobs or () if job.name == BEGIN_JOB), None)
        return not self.refused and (first is None or first.conclusion == SUCCESS)

    @cached_property
    def step_jobs(self) -> Mapping[str, tuple[RunJob, ...]]:
        """The jobs of the steps, by the name behind `Step N / `. A step that was skipped has none."""
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
        """The jobs for a shard of a wave, by the number of shards, then by the shard's number."""
        found: dict[int, dict[int, tuple[RunJob, ...]]] = {}
        for name, jobs in self.step_jobs.items():
            shard = _find_shard(name)
            if shard is not None:
                numbers = found.setdefault(shard.of, {})
                numbers[shard.number] = (*numbers.get(shard.number, ()), *jobs)
        return found


class StateView(Struct, frozen=True):
    """The state at `now`. `faults` says why a document can't be read."""

    now: datetime
    documents: Mapping[str, Document] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


class EndReport(Struct, frozen=True):
    """The report of one environment. `by` and `at` are those of its applied record, or of the intent in doubt."""

    environment: str
    ending: Ending
    why: str = ""
    by: By | None = None
    at: datetime | None = None
    job: RunJob | None = None  # its log has more
    adopted: bool = False
    commit: str | None = None  # for SUPERSEDED and REMOVED: the last commit that changed it
    locked: bool = False  # for IN_DOUBT: the lease of the intent has not ended


def report_run(run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> list[EndReport]:
    """Return the report of each environment that the run planned, sorted by ending and name.

    If it is not known what was planned, these are the environments that the run touched, or that are not as the
    manifests want them.
    """
    planned = _find_touched(run, desired, state) if run.planned is None else dict.fromkeys(run.planned)
    return _sort_reports(report_environment(name, run, desired.get(name), state) for name in planned)


def _sort_reports(reports: Iterable[EndReport]) -> list[EndReport]:
    """Return the reports sorted by ending, those that need work first, then by name."""
    order = {ending: index for index, ending in enumerate(Ending)}
    return sorted(reports, key=lambda one: (order[one.ending], one.environment))


def _find_touched(run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> list[str]:
    return [
        name
        for name, one in desired.items()
        if not is_as_wanted(one, state.documents.get(name)) or _is_touched(run, state.documents[name])
    ]


def _is_touched(run: EndedRun, document: Document) -> bool:
    bys = (one.by for one in (document.applied, document.last, document.intent) if one is not None)
    return any(is_of_run(by.run, run.run_id) for by in bys)


def is_as_wanted(desired: Desired, head: Head | None) -> bool:
    """Return whether the applied record is what the manifest wants, and no PUT is in doubt or in flight."""
    applied = head.applied if head is not None else None
    if head is None or applied is None or head.intent is not None:
        return False
    if find_pin_contradiction(desired, head, None) is not None:
        return False
    return (applied.webhooks, applied.endpoint, applied.body) == (desired.webhooks, desired.endpoint, desired.body)


def report_environment(name: str, run: EndedRun, desired: Desired | None, state: StateView) -> EndReport:
    """Return the report of one environment that the manifests of the run's commit should define."""
    if name in state.faults:
        return EndReport(name, Ending.UNKNOWN, f"its state can't be read: {state.faults[name]}")
    document = state.documents.get(name)
    if document is not None and document.intent is not None:
        return _report_intent(name, document.intent, document.last, run, state.now)
    if desired is None:
        return EndReport(name, Ending.UNKNOWN, "no manifest of this commit that can be read defines it")
    last = None if document is None else document.last
    tried = last if last is not None and is_of_run(last.by.run, run.run_id) else None
    failed = tried if tried is not None and tried.outcome not in DONE_OUTCOMES else None
    if document is not None and document.applied is not None and is_as_wanted(desired, document):
        applied = document.applied
        if failed is not None and failed.at >= applied.at:
            why = f"{_describe_try(failed)}. What was applied at {instant(applied.at)} is still what the manifest wants"
            return EndReport(name, Ending.NOT_APPLIED, why, failed.by, failed.at, find_job(name, run))
        ours = is_of_run(applied.by.run, run.run_id)
        ending = Ending.APPLIED if ours else Ending.AS_WANTED
        job = None if ours else _find_unsuccessful(name, run)
        why = f"it was not sent again: {explain(name, run)}" if job is not None else ""
        return EndReport(name, ending, why, applied.by, applied.at, job, adopted=applied.adopted)
    if failed is not None:
        earlier = "" if run.begun else f"{explain(name, run)}. In an earlier attempt: "
        why = f"{earlier}{_describe_try(failed)}"
        return EndReport(name, Ending.NOT_APPLIED, why, failed.by, failed.at, find_job(name, run))
    other = document.applied if document is not None else None
    # a record of this run is what the commit of an earlier attempt wanted: nothing has replaced it
    if tried is not None and other is not None and not is_of_run(other.by.run, run.run_id):
        why = f"what this run applied was replaced at {instant(other.at)}"
        return EndReport(name, Ending.NOT_APPLIED, why, other.by, other.at)
    # a job that succeeded has applied its environments, so it is not known what became of this one
    ending = Ending.UNKNOWN if _find_succeeded(name, run) else Ending.NOT_TRIED
    return EndReport(name, ending, explain(name, run), job=find_job(name, run))


def _report_intent(name: str, intent: Intent, last: LastTry | None, run: EndedRun, now: datetime) -> EndReport:
    """Return the report of an intent. A live one of this run is in doubt too: all jobs have ended, so it stays."""
    job = find_job(name, run)
    if intent.is_live(now) and not intent.doubt and not is_of_run(intent.by.run, run.run_id):
        return EndReport(name, Ending.NOT_APPLIED, describe_lock(intent, now), intent.by, intent.at, job)
    tried = f": {_describe_answer(last)}" if last is not None and is_of_run(last.by.run, run.run_id) else ""
    why = f"it is unknown whether the PUT of {instant(intent.at)} changed Plug{tried}"
    locked = intent.is_live(now)
    why += f"; locked until {instant(intent.lease_until)}" if locked else ""
    return EndReport(name, Ending.IN_DOUBT, why, intent.by, intent.at, job, locked=locked)


def _describe_try(last: LastTry) -> str:
    """Return the outcome, its status unless the message begins with it, and the message."""
    status = f" (status {last.status})" if _hides_status(last) else ""
    return f"{last.outcome.value}{status}{': ' if last.message else ''}{last.message}"


def _describe_answer(last: LastTry) -> str:
    """Return the last try of a PUT in doubt without its outcome, which the sentence before it has."""
    if last.outcome is not Outcome.UNCERTAIN or not last.message:
        return _describe_try(last)
    return f"status {last.status}: {last.message}" if _hides_status(last) else last.message


def _hides_status(last: LastTry) -> bool:
    return last.status is not None and not last.message.startswith(str(last.status))


# --- why nothing was tried ---------------------------------------------------------------------------


def find_job(name: str, run: EndedRun) -> RunJob | None:
    """Return the job that had this environment: its own, the fleet's, or its shard's. A failed one comes first."""
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
    SUCCESS: "succeeded, but the state does not show that it was applied; its log says what the job did",
    "failure": "failed before anything was sent for it, or a reviewer rejected it; its log says why",
    "cancelled": "was cancelled",
    "skipped": "was skipped, as an earlier step did not succeed",
    "timed_out": "took too long and was ended",
    "action_required": "waits for an approval",
    None: "has not ended",
}


def _find_succeeded(name: str, run: EndedRun) -> bool:
    """Return whether this run had a job for the environment, and the job succeeded."""
    if not run.begun or (run.planned is not None and name not in run.planned_names):
        return False
    job = find_job(name, run)
    return job is not None and job.conclusion == SUCCESS


def explain(name: str, run: EndedRun) -> str:
    """Return why the run sent nothing for an environment, as far as its jobs show it."""
    if run.refused:
        return "the first job ended the whole run, so no job of an environment began"
    if run.jobs is None:
        return "the run's jobs can't be read: see the run"
    if not run.begun:
        return "the first job did not succeed, so no job of an environment began"
    if run.planned is not None and name not in run.planned_names:
        return "this run did not plan it: see which environments it was started for"
    job = find_job(name, run)
    if job is not None:
        return f"its job {_ENDED.get(job.conclusion, f'ended as {job.conclusion}')}"
    if run.stopped is not None:
        return f"its job did not begin, as {run.stopped.name} did not succeed"
    return "its job did not begin: see the run"


# --- one pull request --------------------------------------------------------------------------------

# in place of a digest: the commit does not have the environment, or it can't be resolved
ABSENT, UNKNOWN = "absent", "unknown"


class WishFate(StrEnum):
    """The fates of a pull request's wish for one environment, at the run's commit."""

    WANTED = "wanted"  # the run's commit wants the same, or it can't be compared
    CHANGED = "changed"  # the run's commit wants something else
    REMOVED = "removed"  # the run's commit has no such environment


class Wish(Struct, frozen=True):
    """An environment that a pull request changed. `later` is the last commit that changed it since, if known."""

    environment: str
    fate: WishFate = WishFate.WANTED
    later: str | None = None


def find_fate(then: str, now: str) -> WishFate:
    """Compare what the merge of a pull request wanted with what the run's commit wants."""
    if now == ABSENT:
        return WishFate.REMOVED
    return WishFate.WANTED if then == now or UNKNOWN in (then, now) else WishFate.CHANGED


def report_pull_request(
    wishes: Iterable[Wish], run: EndedRun, desired: Mapping[str, Desired], state: StateView
) -> list[EndReport]:
    """Return the report of each environment that a pull request changed, sorted by ending and name."""
    return _sort_reports(_report_wish(wish, run, desired, state) for wish in wishes)


def _report_wish(wish: Wish, run: EndedRun, desired: Mapping[str, Desired], state: StateView) -> EndReport:
    match wish.fate:
        case WishFate.WANTED:
            return report_environment(wish.environment, run, desired.get(wish.environment), state)
        case WishFate.CHANGED:
            return EndReport(wish.environment, Ending.SUPERSEDED, commit=wish.later)
        case WishFate.REMOVED:
            return EndReport(wish.environment, Ending.REMOVED, commit=wish.later)
        case _:
            assert_never(wish.fate)


def is_open(reports: Collection[EndReport]) -> bool:
    """Return whether a later run has to report again, as some environment is not applied."""
    return any(one.ending in OPEN for one in reports)
