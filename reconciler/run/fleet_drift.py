"""The drift of all planned environments (CONTRACT §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.drift import find_drift
from reconciler.core.planner import LIVE, Planned
from reconciler.model import Finding


@dataclass(frozen=True, slots=True)
class DriftResult:
    """The drift of a fleet.

    `unchecked` counts the environments whose token or secret was not available to compare. `failed`: a read of
    --observe failed.
    """

    findings: Sequence[Finding]
    unchecked: int
    failed: bool


def find_all_drift(planned: Planned) -> DriftResult:
    """Return the drift that a plan shows. The plan was made without --reassert."""
    plan = planned.plan
    return DriftResult(
        findings=find_drift(plan.environments, planned.desired, planned.heads, planned.observations),
        unchecked=sum(1 for one in plan.environments if set(one.unchecked) - {LIVE}),
        failed=any(one.faults for one in planned.observations.values()),
    )
