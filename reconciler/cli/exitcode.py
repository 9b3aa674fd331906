"""Exit codes (CONTRACT §4)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.model import CheckResult, Finding, Plan, RunResult

# The model is imported where a result is judged: `--help` and the Tab key, which have none, must not wait for it.


class ExitCode(IntEnum):
    DONE = 0
    NOT_APPLIED = 1
    CHANGES = 2
    INVALID_INPUT = 3
    STATE_TROUBLE = 4
    INTERRUPTED = 130


def of_result(result: RunResult) -> ExitCode:
    """The code of an apply: an interrupt comes before trouble with the state, that before a failed environment."""
    from reconciler.model import DONE_OUTCOMES, Outcome

    if result.interrupted:
        return ExitCode.INTERRUPTED
    outcomes = {environment.outcome for environment in result.environments}
    if result.state_trouble or Outcome.LOCKED in outcomes:
        return ExitCode.STATE_TROUBLE
    return ExitCode.NOT_APPLIED if outcomes - DONE_OUTCOMES else ExitCode.DONE


def of_plan(plan: Plan, *, detailed: bool) -> ExitCode:
    """The code of a plan: with `--detailed-exitcode` 2 where apply would PUT anything."""
    from reconciler.model import has_work

    return ExitCode.CHANGES if detailed and has_work(plan) else ExitCode.DONE


def of_drift(findings: Iterable[Finding], *, failed: bool = False) -> ExitCode:
    """The code of drift: 1 where a read of --observe `failed`, else 2 for any finding that is not `unobservable`."""
    from reconciler.model import FindingKind

    if failed:
        return ExitCode.NOT_APPLIED
    drifted = any(finding.kind is not FindingKind.UNOBSERVABLE for finding in findings)
    return ExitCode.CHANGES if drifted else ExitCode.DONE


def of_check(result: CheckResult) -> ExitCode:
    """The code of a check: 2 where a receiver fails; an interrupt comes before that."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if all(receiver.ok for receiver in result.receivers) else ExitCode.CHANGES
