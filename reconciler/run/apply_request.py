"""The request of the user for an apply, and the plan that results (docs/contract.md#plan, docs/contract.md#apply)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.observe import Observation
from reconciler.core.planner import Planned
from reconciler.core.saved_plan import SavedPlan, check_expected, check_saved_plan, recall_observations
from reconciler.errors import StalePlan
from reconciler.model import Desired, Document
from reconciler.run.planning import PlanScope


class ApplyRequest(Struct, frozen=True):
    """One apply. With a `saved` plan, which has its own scope and --reassert, `scope` and `requested` are not used."""

    scope: PlanScope
    requested: bool = False  # --reassert
    saved: SavedPlan | None = None  # PLANFILE
    expect: str | None = None  # the digest that was reviewed

    @property
    def exact(self) -> bool:
        """Return whether only this plan may be applied: nothing is planned again during the run."""
        return self.saved is not None or self.expect is not None


class MakePlan(Protocol):
    """Plan the scope. `now` is the time of the plan; None means the present."""

    def __call__(self, scope: PlanScope, *, requested: bool, now: datetime | None = None) -> Planned: ...


def plan_apply(request: ApplyRequest, make_plan: MakePlan, show: Callable[[Planned], None]) -> Planned:
    """Return the plan to apply. `show` is called with a plan that is not the expected one.

    Raises StalePlan, and what `make_plan` raises.
    """
    if request.saved is not None:
        return _plan_saved(request.saved, make_plan)
    planned = make_plan(request.scope, requested=request.requested)
    if request.expect is not None:
        check_or_show(request.expect, planned, show)
    return planned


def check_or_show(expect: str, planned: Planned, show: Callable[[Planned], None]) -> None:
    """Check that the plan is the one whose digest was reviewed; any other plan is shown. Raises StalePlan."""
    try:
        check_expected(expect, planned.plan)
    except StalePlan:
        show(planned)
        raise


def _plan_saved(saved: SavedPlan, make_plan: MakePlan) -> Planned:
    """Plan again with the saved plan's time, selection and observations, and check that the plans are equal."""
    was, seen = saved.plan, recall_observations(saved.plan)

    def recall(desired: Sequence[Desired], documents: Mapping[str, Document]) -> Mapping[str, Observation]:
        return seen or {}

    scope = PlanScope(was.selection, was.shard, observe=None if seen is None else recall)
    fresh = make_plan(scope, requested=was.requested, now=was.created_at)
    return replace(fresh, plan=check_saved_plan(saved, fresh.plan))
