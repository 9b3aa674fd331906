"""The problems that `validate` finds, as JSON (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from reconciler.formats.json_text import ReadPart, dump
from reconciler.model import Problem

VALIDATION_FORMAT = "reconciler.validation/1"


def encode_validation(
    errors: Sequence[Problem], warnings: Sequence[Problem], *, environments: int | None = None
) -> str:
    """Encode `validate --format json` (docs/contract.md#commands).

    `environments` is the number of environments without an error. It is null if the manifests were not read, as the
    settings don't say where they are.
    """
    return dump(
        {
            "format": VALIDATION_FORMAT,
            "ok": not errors,
            "environments": environments,
            "errors": [_problem_out(problem) for problem in errors],
            "warnings": [_problem_out(problem) for problem in warnings],
        }
    )


def _problem_out(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "end_column": problem.end_column,
        "text": problem.quote.text if problem.quote else "",
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
    }


class ValidationFile(ReadPart):
    format: Literal["reconciler.validation/1"]
    ok: bool
