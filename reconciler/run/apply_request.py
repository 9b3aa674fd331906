"""What the user asked of an apply, and the plan that it comes down to (CONTRACT §5, §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from reconciler.core.observe import Observation
from reconciler.core.planner import Planned
from reconciler.core.saved_plan import SavedPlan, check_expected, check_saved_plan, recall_observations
from reconciler.errors import StalePlan
from reconciler.model import Desired, Document
from reconciler.run.planning import PlanScope


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """One apply. A `saved` plan knows its own scope and --reassert: then `scope` and `requested` are not looked at."""

    scope: PlanScope
    requested: bool = False  # --reassert
    saved: SavedPlan | None = None  # PLANFILE
    expect: str | None = None  # the digest that was reviewed

    @property
    def exact(self) -> bool:
        """Whether the plan is done as it was decided, or not at all: nothing is planned again during the run."""
        return self.saved is not None or self.expect is not None


class MakePlan(Protocol):
    """Plans the scope. `now` is the plan's clock; None: the present."""

    def __call__(self, scope: PlanScope, *, requested: bool, now: datetime | None = None) -> Planned: ...


def plan_apply(request: ApplyRequest, make_plan: MakePlan, show: Callable[[Planned], None]) -> Planned:
    """The plan to be done. `show` takes the one that was found instead of the expected one.

    Raises StalePlan, and what `make_plan` raises.
    """
    if request.saved is not None:
        return _plan_saved(request.saved, make_plan)
    planned = make_plan(request.scope, requested=request.requested)
    if request.expect is not None:
        try:
            check_expected(request.expect, planned.plan)
        except StalePlan:
            show(planned)
            raise
    return planned


def _plan_saved(saved: SavedPlan, make_plan: MakePlan) -> Planned:
    """The saved plan again, computed with its own clock, selection and observation."""
    was, seen = saved.plan, recall_observations(saved.plan)

    def recall(desired: Sequence[Desired], documents: Mapping[str, Document]) -> Mapping[str, Observation]:
        return seen or {}

    scope = PlanScope(was.selection, was.shard, observe=None if seen is None else recall)
    fresh = make_plan(scope, requested=was.requested, now=was.created_at)
    return replace(fresh, plan=check_saved_plan(saved, fresh.plan))
