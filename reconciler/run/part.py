"""The part of an apply run that one job does. What may have changed since the first job's plan is checked again."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct

from reconciler.core.planner import PlanInput, Planned, plan_environment
from reconciler.core.selection import is_selected
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.rerun import RunAttempt, count_unapplied
from reconciler.core.workflow.steps import EarlierWave, Job, find_part, find_waiting
from reconciler.errors import StalePlan
from reconciler.model import Desired, Fingerprint, RunResult
from reconciler.ports import StateStore
from reconciler.run.apply import make_skipped_result
from reconciler.run.apply_request import ApplyRequest, MakePlan, plan_apply
from reconciler.run.context import explain_max_failures
from reconciler.run.planning import PlanScope
from reconciler.text.counts import name_some


class Part(Struct, frozen=True):
    """The plan of a job's part. With a `stop_reason` nothing of it is begun.

    `failures_left` is how many further environments may fail.
    """

    planned: Planned
    failures_left: int
    stop_reason: str = ""

    def make_skipped(self) -> RunResult:
        """Return the result if nothing is begun."""
        return make_skipped_result(self.planned.plan, self.stop_reason)


class PartPlanner(Struct, frozen=True):
    """The use case of a job that applies. `desired` has all environments of the manifests."""

    job: Job
    inputs: RunInputs
    attempt: RunAttempt
    desired: Collection[Desired]
    store: StateStore
    make_plan: MakePlan
    max_failures: int
    show_unexpected: Callable[[Planned], None]

    def plan(self) -> Part:
        """Plan the part as it is now. Raises: StalePlan if its changes are not those of the first job's plan."""
        scope = PlanScope(names=self.find_names())
        request = ApplyRequest(scope, self.inputs.reassert, expect=self.job.digest)
        try:
            planned = plan_apply(request, self.make_plan, self.show_unexpected)
        except StalePlan as error:
            raise StalePlan(
                f"the plan of {self.job.name} is not the one that the first job decided: something was applied since, "
                "by another run or by an earlier attempt of this job. Nothing was sent; run all jobs of this run "
                "again, or begin a new run"
            ) from error
        failed = self._count_failed(planned)
        return Part(planned, self.max_failures - failed, self._find_stop_reason(planned, failed))

    def find_names(self) -> frozenset[str]:
        """Return the names of this job's environments."""
        return find_part(self.job, self.desired, self._find_selected())

    def _find_selected(self) -> frozenset[str]:
        """Return the environments of the whole run. The first job has refused a glob that matches nothing."""
        names = [one.environment for one in self.desired]
        return frozenset(name for name in names if is_selected(self.inputs.environments, name))

    def _find_stop_reason(self, planned: Planned, failed: int) -> str:
        waiting = self._find_waiting(planned)
        if waiting:
            return f"an earlier wave is not done: {name_some(waiting)}. Fix what its job says, then run this again"
        if failed >= self.max_failures:
            return explain_max_failures(failed)
        return ""

    def _find_waiting(self, planned: Planned) -> list[str]:
        """Return the environments of earlier waves that are not done.

        They are planned without `max_age`: an environment that expired since the first job's plan has no job, so
        nothing waits for it.
        """
        wave = self.job.wave
        if not self.job.waits or wave is None:
            return []
        selected, heads = self._find_selected(), planned.fleet.heads
        given = PlanInput(planned.plan.created_at)
        earlier = (
            EarlierWave(
                one.environment,
                plan_environment(one, heads.get(one.environment), Fingerprint(), given).action,
                heads.get(one.environment),
            )
            for one in self.desired
            if one.wave < wave and one.environment in selected
        )
        return find_waiting(earlier, self.attempt.run_id, reassert=self.inputs.reassert)

    def _count_failed(self, planned: Planned) -> int:
        """Count the environments of this wave that other jobs of this attempt tried and did not apply."""
        if self.job.wave is None:  # this job is the only one
            return 0
        names = [one.environment for one in self.desired if one.wave == self.job.wave]
        stored = self.store.read(name for name in names if name in planned.fleet.heads)
        return count_unapplied((one.document for one in stored.values()), self.attempt)
