"""The outcomes and results of an apply (docs/contract.md#apply)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from reconciler.model.plan import Reason
from reconciler.model.where import Where


class Outcome(StrEnum):
    """The outcome of one environment; `core/outcome.py` decides it."""

    APPLIED = "applied"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    LOCKED = "locked"


class EnvironmentResult(Struct, frozen=True):
    """The result of one environment."""

    environment: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    attempts: int  # PUTs sent by this run
    status: int | None  # of the last answer
    message: str
    seconds: float


class RunResult(Struct, frozen=True):
    """The result of an apply: `environments` in the plan's order, without orphans."""

    environments: tuple[EnvironmentResult, ...]
    state_trouble: bool = False
    interrupted: bool = False
    where: Where | None = None


DONE_OUTCOMES = frozenset({Outcome.APPLIED, Outcome.UNCHANGED})
