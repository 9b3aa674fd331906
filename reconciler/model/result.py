"""The outcomes of an apply (CONTRACT §6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.plan import Reason


class Outcome(StrEnum):
    APPLIED = "applied"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class EnvironmentResult:
    environment: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    attempts: int  # PUTs sent by this run
    status: int | None  # of the last answer
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """`environments` in the plan's order, orphans left out."""

    environments: tuple[EnvironmentResult, ...]
    state_trouble: bool = False
    interrupted: bool = False


DONE_OUTCOMES = frozenset({Outcome.APPLIED, Outcome.UNCHANGED})
