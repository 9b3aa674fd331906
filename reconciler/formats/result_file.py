"""The result of an apply as JSON (docs/contract.md#commands)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from reconciler.formats.json_text import ReadPart, dump
from reconciler.formats.where_part import ApiUsePart, StatePlacePart, encode_where
from reconciler.model import EnvironmentResult, Outcome, Reason, RunResult

RESULT_FORMAT = "reconciler.result/1"


def encode_result(result: RunResult) -> str:
    """Encode `apply --format json` (docs/contract.md#commands)."""
    count = Counter(one.outcome for one in result.environments)
    return dump(
        {
            "format": RESULT_FORMAT,
            **encode_where(result.where),
            "summary": {outcome.value: count[outcome] for outcome in Outcome},
            "environments": [_result_out(one) for one in result.environments],
        }
    )


def _result_out(one: EnvironmentResult) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "outcome": one.outcome.value,
        "reasons": [reason.value for reason in one.reasons],
        "attempts": one.attempts,
        "status": one.status,
        "message": one.message,
        "seconds": round(one.seconds, 3),
    }


class _Result(ReadPart):
    environment: str
    outcome: Outcome
    reasons: list[Reason]
    attempts: int
    status: int | None
    message: str
    seconds: float


class ResultFile(ReadPart):
    format: Literal["reconciler.result/1"]
    state: StatePlacePart | None
    apis: list[ApiUsePart]
    environments: list[_Result]
