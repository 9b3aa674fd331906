"""Results of all commands, decoded from their JSON for the steps of a workflow."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from reconciler.core.saved_plan import SavedPlan
from reconciler.formats.check_file import CheckFile
from reconciler.formats.drift_file import DriftFile
from reconciler.formats.json_text import FormatError, refuse_repeated_keys
from reconciler.formats.plan_file import decode_plan
from reconciler.formats.result_file import ResultFile
from reconciler.formats.validation_file import ValidationFile
from reconciler.model import FindingKind, Outcome, Plan

ReadFile: TypeAlias = SavedPlan | ResultFile | DriftFile | CheckFile | ValidationFile
_ANY: TypeAdapter[ResultFile | DriftFile | CheckFile | ValidationFile] = TypeAdapter(
    Annotated[ResultFile | DriftFile | CheckFile | ValidationFile, Field(discriminator="format")]
)


def decode_any(data: bytes) -> ReadFile:
    """Decode a result of any of the formats. Raises FormatError for anything else."""
    found = _decode(data)
    refuse_repeated_keys(data)
    return found


def _decode(data: bytes) -> ReadFile:
    if b"reconciler.plan/" in data.lstrip()[:60]:
        return decode_plan(data)
    try:
        return _ANY.validate_json(data)
    except ValidationError:
        raise FormatError("is not a result of this version of reconciler") from None


def plan_of(found: ReadFile) -> Plan | None:
    """Return the plan of a plan file; None for any other result."""
    return found.plan if isinstance(found, SavedPlan) else None


def list_affected(found: ReadFile) -> list[str]:
    """Return the environments that would be PUT, were applied, have drifted or have a failing receiver.

    The format of the file decides which of these. The order is the file's.
    """
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
