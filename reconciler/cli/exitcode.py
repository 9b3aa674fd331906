"""Exit codes (docs/contract.md#commands)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import click

from reconciler.errors import InputError, ReconcilerError, StateError

if TYPE_CHECKING:
    from reconciler.model import CheckResult, Drift, Plan, RunResult

# The model is imported where a result is judged: `--help` and the Tab key, which have none, must not wait for it.


class ExitCode(IntEnum):
    DONE = 0
    NOT_APPLIED = 1
    CHANGES = 2
    INVALID_INPUT = 3
    STATE_TROUBLE = 4
    INTERRUPTED = 130


def of_error(error: BaseException) -> ExitCode:
    """Return the code of the error that ended a command.

    click's own code for wrong usage is 2, which here means changes.
    """
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, InputError | click.ClickException):
        return ExitCode.INVALID_INPUT
    return ExitCode.STATE_TROUBLE if isinstance(error, StateError) else ExitCode.NOT_APPLIED


def describe_error(error: Exception) -> str:
    """Return the text of the error that ended a command.

    For a fault of this program it is only the kind, as the message may hold a secret value.
    """
    if isinstance(error, click.Abort):
        return "interrupted: nothing further was done"
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error) if isinstance(error, ReconcilerError) else f"internal error: {type(error).__name__}: see the log"


def of_result(result: RunResult) -> ExitCode:
    """Return the code of an apply: for an interrupt, else for trouble with the state, else for a failed environment."""
    from reconciler.model import DONE_OUTCOMES, Outcome

    if result.interrupted:
        return ExitCode.INTERRUPTED
    outcomes = {environment.outcome for environment in result.environments}
    if result.state_trouble or Outcome.LOCKED in outcomes:
        return ExitCode.STATE_TROUBLE
    return ExitCode.NOT_APPLIED if outcomes - DONE_OUTCOMES else ExitCode.DONE


def of_plan(plan: Plan, *, detailed: bool) -> ExitCode:
    """Return the code of a plan: 2 with `--detailed-exitcode` if apply would PUT anything, else 0."""
    from reconciler.model import has_work

    return ExitCode.CHANGES if detailed and has_work(plan) else ExitCode.DONE


def of_drift(found: Drift) -> ExitCode:
    """Return the code of drift: 1 if a read of --observe failed, else 2 for any finding except `unobservable`."""
    if found.failed:
        return ExitCode.NOT_APPLIED
    return ExitCode.CHANGES if any(finding.kind.is_drift for finding in found.findings) else ExitCode.DONE


def of_check(result: CheckResult) -> ExitCode:
    """Return the code of a check: that of an interrupt, else 2 if a receiver fails."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if all(receiver.ok for receiver in result.receivers) else ExitCode.CHANGES
