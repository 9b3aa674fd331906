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


class Remedy(StrEnum):
    """What has to be done about an environment that was not applied, once the cause is fixed."""

    APPLY = "apply"
    UNLOCK = "unlock"  # this run's own lease is still in the state: release it, then apply
    REASSERT = "reassert"  # the state does not show this run's PUT: apply with --reassert


class EnvironmentResult(Struct, frozen=True):
    """The result of one environment."""

    environment: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    attempts: int  # PUTs sent by this run
    status: int | None  # of the last answer
    message: str
    seconds: float
    remedy: Remedy = Remedy.APPLY


class RunResult(Struct, frozen=True):
    """The result of an apply: `environments` in the plan's order, without orphans."""

    environments: tuple[EnvironmentResult, ...]
    state_trouble: bool = False
    interrupted: bool = False
    where: Where | None = None


DONE_OUTCOMES = frozenset({Outcome.APPLIED, Outcome.UNCHANGED})
