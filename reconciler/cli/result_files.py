"""Results as JSON files, read again: by the commands that tell GitHub of them (CONTRACT §4 to §8)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reconciler.cli.plan_file import read_plan_file
from reconciler.errors import InputError
from reconciler.model import EnvironmentResult, FindingKind, Outcome, Plan, Problem, Reason, RunResult
from reconciler.run.saved import SavedPlan

MAX_BYTES = 256 * 1024 * 1024


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Result(_Part):
    environment: str
    outcome: Outcome
    reasons: list[Reason]
    attempts: int
    status: int | None
    message: str
    seconds: float


class ResultFile(_Part):
    format: Literal["reconciler.result/1"]
    environments: list[_Result]


class _Finding(_Part):
    environment: str
    kind: str


class DriftFile(_Part):
    format: Literal["reconciler.drift/1"]
    findings: list[_Finding]


class _Receiver(_Part):
    environments: list[str]
    ok: bool


class CheckFile(_Part):
    format: Literal["reconciler.check/1"]
    receivers: list[_Receiver]


class ValidationFile(_Part):
    format: Literal["reconciler.validation/1"]
    ok: bool


ReadFile: TypeAlias = SavedPlan | ResultFile | DriftFile | CheckFile | ValidationFile
_ANY: TypeAdapter[ResultFile | DriftFile | CheckFile | ValidationFile] = TypeAdapter(
    Annotated[ResultFile | DriftFile | CheckFile | ValidationFile, Field(discriminator="format")]
)


def read_result_file(path: Path) -> ReadFile:
    """Raises InputError for what is unreadable or no result of this program."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(path, f"can't be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _wrong(path, "is larger than 256 MiB")
    if data.lstrip()[:60].find(b"reconciler.plan/") >= 0:
        return read_plan_file(path, str(path))
    try:
        return _ANY.validate_json(data)
    except ValidationError:
        raise _wrong(path, "is no result of this version of reconciler") from None


def plan_of(found: ReadFile) -> Plan | None:
    return found.plan if isinstance(found, SavedPlan) else None


def affected(found: ReadFile) -> list[str]:
    """The environments to be put, or put, or drifted, or with a failing receiver; in the file's order."""
    plan = plan_of(found)
    if plan is not None:
        return [one.environment for one in plan.environments if one.action.puts]
    if isinstance(found, ResultFile):
        return [one.environment for one in found.environments if one.outcome is Outcome.APPLIED]
    if isinstance(found, DriftFile):
        drifted = (one for one in found.findings if one.kind != FindingKind.UNOBSERVABLE)
        return list(dict.fromkeys(one.environment for one in drifted))
    if isinstance(found, CheckFile):
        return list(dict.fromkeys(name for one in found.receivers if not one.ok for name in one.environments))
    return []


def is_healable(found: DriftFile) -> bool:
    """Whether an apply would mend any of it: an orphan it never touches."""
    return any(one.kind not in (FindingKind.UNOBSERVABLE, FindingKind.ORPHAN) for one in found.findings)


def read_text(path: str, key: str) -> str:
    """A text of a step before; bytes that are no UTF-8 are shown as such. Raises InputError."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problem = Problem("", 0, 0, key, f"{path} can't be read: {error.strerror}", "name a file of an earlier step")
        raise InputError(problems=[problem]) from error


def join_results(files: Iterable[ResultFile]) -> RunResult:
    """The results of several jobs as one, each environment's last."""
    found = {one.environment: one for file in files for one in file.environments}
    return RunResult(
        tuple(
            EnvironmentResult(
                one.environment, one.outcome, tuple(one.reasons), one.attempts, one.status, one.message, one.seconds
            )
            for _, one in sorted(found.items())
        )
    )


def _wrong(path: Path, message: str) -> InputError:
    hint = "name a file that --format json or --also json=FILE made"
    return InputError(problems=[Problem("", 0, 0, "RESULT", f"{path} {message}", hint)])
