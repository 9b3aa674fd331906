"""The schedule: it reports drift without what an apply in flight will repair, begins a run, and keeps the issues."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.planner import Planned
from reconciler.core.workflow.names import APPLY_WORKFLOW, SUCCESS
from reconciler.core.workflow.schedule import (
    ApplyRun,
    Begin,
    Runs,
    Wanted,
    choose_begin,
    drop_doubt_of_sending,
    drop_unapplied,
    find_sending,
)
from reconciler.errors import PostFailed
from reconciler.model import Drift, Plan
from reconciler.ports import Issue, Posted, ScheduleHub
from reconciler.run.github import ask_for_permission

logger = logging.getLogger(__name__)


class KeptIssue(StrEnum):
    """The issues that the schedule keeps, one of each kind. The value is the name in its marker."""

    DRIFT = "drift"
    WAITING = "waiting"
    FAILED = "failed"

    @property
    def label(self) -> str:
        return f"reconciler-{self.value}"


class LeftOut(Struct, frozen=True):
    """The environments that the schedule's drift leaves out.

    `environments` is the number left to the apply `run` (None: the one that was begun), `sending` the number with a PUT
    in flight.
    """

    environments: int = 0
    run: ApplyRun | None = None
    sending: int = 0

    def __bool__(self) -> bool:
        return bool(self.environments or self.sending)


def read_runs(hub: ScheduleHub, head: str, now: datetime) -> Runs:
    """Return the apply runs that count. Raises PostFailed."""
    runs = Runs(now, tuple(hub.list_apply_runs(head)))
    logger.info("%d apply runs are listed, %d of them in progress", len(runs.all), len(runs.active))
    return runs


def find_settled(found: Drift, planned: Planned, now: datetime) -> tuple[Drift, int]:
    """Return the drift without doubt about PUTs in flight, and the number of environments with such a PUT."""
    sending = find_sending(planned.heads.values(), now)
    return replace(found, findings=drop_doubt_of_sending(found.findings, sending)), len(sending)


def find_reported(found: Drift, runs: Runs | None, begun: Begin, sending: int) -> tuple[Drift, LeftOut]:
    """Return the drift to report, and what is left to a run in flight, or to the one that was begun."""
    awaited = runs.awaited if runs is not None else None
    if awaited is None and begun is Begin.NOTHING:
        return found, LeftOut(sending=sending)
    findings, count = drop_unapplied(found.findings)
    return replace(found, findings=findings), LeftOut(count, awaited, sending)


def is_unapplied(plan: Plan) -> bool:
    """Return whether the manifests want something else than what was applied."""
    return any(one.action.changes for one in plan.environments)


class Activity(Struct):
    """The actions of the schedule. `failures` are the calls that GitHub refused."""

    begun: Begin = Begin.NOTHING
    posted: list[tuple[KeptIssue, Posted]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def begin_run(hub: ScheduleHub, branch: str, runs: Runs, wanted: Wanted, found: Drift, done: Activity) -> Runs:
    """Begin an apply run if one is needed, and return the runs that were read last.

    They are read again before one is begun, because another may have begun meanwhile.
    """
    if choose_begin(runs, wanted, found.findings) is Begin.NOTHING:
        return runs
    try:
        runs = read_runs(hub, wanted.head, runs.now)
        choice = choose_begin(runs, wanted, found.findings)
        if choice is not Begin.NOTHING:
            hub.dispatch(APPLY_WORKFLOW, branch, {"reassert": "true"} if choice is Begin.REASSERT else {})
    except PostFailed as error:
        done.failures.append(f"no apply was begun: {error}{ask_for_permission(error, 'actions: write')}")
    else:
        done.begun = choice
    return runs


def keep_issue(hub: ScheduleHub, kept: KeptIssue, issue: Issue, done: Activity, *, is_open: bool) -> None:
    """Open, update or close one issue."""
    try:
        posted = hub.keep_issue(kept.value, issue, label=kept.label, is_open=is_open)
    except PostFailed as error:
        question = ask_for_permission(error, "issues: write")
        done.failures.append(f"the issue {kept.label} was not updated: {error}{question}")
    else:
        if posted is not None:
            done.posted.append((kept, posted))


def keep_run_issues(
    hub: ScheduleHub,
    runs: Runs,
    late: Callable[[ApplyRun | None], Issue],
    failed: Callable[[ApplyRun], Issue],
    done: Activity,
) -> None:
    """Keep the issues about a run that blocks later runs, and about an apply that failed.

    If no run has ended, nothing is known of a failure, so its issue is not changed.
    """
    keep_issue(hub, KeptIssue.WAITING, late(runs.late), done, is_open=runs.late is not None)
    last = runs.last_decided
    if last is not None:
        keep_issue(hub, KeptIssue.FAILED, failed(last), done, is_open=last.conclusion != SUCCESS)


def find_drifted(found: Drift) -> list[str]:
    """Return the environments that drifted, in the order of the findings."""
    drifted = (one.environment for one in found.findings if one.kind.is_drift)
    return list(dict.fromkeys(drifted))


def keep_drift_issue(hub: ScheduleHub, found: Drift, left: LeftOut, issue: Issue, done: Activity) -> None:
    """Open or update the issue about drift, or close it if it is known that there is no drift.

    If nothing is found, but a read failed or something was left out, the issue is not changed.
    """
    drifted = find_drifted(found)
    if drifted or not (found.failed or left):
        keep_issue(hub, KeptIssue.DRIFT, issue, done, is_open=bool(drifted))
