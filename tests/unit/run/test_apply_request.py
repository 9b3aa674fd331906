"""The plan that an apply request results in: a fresh one, a saved one, or the expected one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest
from msgspec.structs import replace

from reconciler.core.observe import Observation
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.saved_plan import SavedPlan
from reconciler.errors import StalePlan
from reconciler.model import Desired, Document
from reconciler.run.apply_request import ApplyRequest, plan_apply
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, FaultyStore, make_desired


class Bench:
    """Plans one environment, and remembers the arguments."""

    def __init__(self) -> None:
        self.desired = make_desired("loja", account_id="1")
        self.asked: list[tuple[PlanScope, bool, datetime | None]] = []
        self.shown: list[Planned] = []

    def plan(self, scope: PlanScope, *, requested: bool, now: datetime | None = None) -> Planned:
        self.asked.append((scope, requested, now))
        given = PlanInput(now or START, requested=requested)
        return plan_environments([self.desired], FaultyStore(), FakeCredentials(), given, scope)

    def apply(self, request: ApplyRequest) -> Planned:
        return plan_apply(request, self.plan, self.shown.append)


def test_without_a_file_or_a_digest_a_fresh_plan_is_applied() -> None:
    """Environments may be planned again if the state changes."""
    bench = Bench()
    scope = PlanScope(("l*",))
    request = ApplyRequest(scope, requested=True)
    assert bench.apply(request).plan.selection == ("l*",)
    assert (bench.asked, request.exact) == ([(scope, True, None)], False)


def test_the_expected_plan_is_applied_and_another_is_shown_and_refused() -> None:
    """Only the reviewed plan is applied."""
    bench = Bench()
    digest = bench.plan(PlanScope(), requested=False).plan.digest
    request = ApplyRequest(PlanScope(), expect=digest)
    assert (bench.apply(request).plan.digest, request.exact, bench.shown) == (digest, True, [])
    with pytest.raises(StalePlan, match="the plan is not the one expected"):
        bench.apply(replace(request, expect="sha256:other"))
    assert [one.plan.digest for one in bench.shown] == [digest]


def test_a_saved_plan_is_computed_again_with_its_own_clock_selection_and_reads() -> None:
    """The request's scope is not used, and no account is read again."""
    bench = Bench()
    reads: list[str] = []

    def observe(desired: Sequence[Desired], documents: Mapping[str, Document]) -> Mapping[str, Observation]:
        reads.extend(one.environment for one in desired)
        return {one.environment: Observation(()) for one in desired}

    saved = bench.plan(PlanScope(("lo*",), observe=observe), requested=True, now=START.replace(hour=3)).plan
    bench.asked.clear()
    request = ApplyRequest(PlanScope(("nothing",), observe=observe), saved=SavedPlan(saved, intact=True))
    planned = bench.apply(request)
    ((scope, requested, now),) = bench.asked
    assert (scope.globs, requested, now, request.exact) == (("lo*",), True, START.replace(hour=3), True)
    assert (planned.plan.digest, planned.plan.observed, reads) == (saved.digest, True, ["loja"])


def test_a_saved_plan_of_other_manifests_is_stale() -> None:
    """Nothing of it is applied."""
    bench = Bench()
    saved = bench.plan(PlanScope(), requested=False).plan
    bench.desired = make_desired("loja", "2")
    with pytest.raises(StalePlan, match="the manifests have changed"):
        bench.apply(ApplyRequest(PlanScope(), saved=SavedPlan(saved, intact=True)))
