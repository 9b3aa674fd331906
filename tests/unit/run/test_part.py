"""The part of an apply run that one job does: the checks before it is begun."""

from __future__ import annotations

import pytest

from reconciler.core.planner import PlanInput, Planned
from reconciler.core.record import Claim, adopt, begin_intent, clear, make_last
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.rerun import RunAttempt
from reconciler.core.workflow.steps import Job, JobLayout, TokensFrom, make_steps
from reconciler.errors import StalePlan
from reconciler.model import By, Document, Outcome
from reconciler.ports import Write
from reconciler.run.part import Part, PartPlanner
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, FaultyStore, make_desired

RUN = RunAttempt("7", 1)


class Bench:
    """Ten waves of two environments each: `a0` and `b0` to `a9` and `b9`."""

    def __init__(self) -> None:
        self.desired = [make_desired(f"{letter}{wave}", wave=wave) for wave in range(10) for letter in "ab"]
        self.store, self.credentials = FaultyStore(), FakeCredentials()
        self.inputs = RunInputs()
        self.attempt = RUN
        self.max_failures = 2
        self.shown: list[Planned] = []

    def plan(self, scope: PlanScope, *, requested: bool, now: object = None) -> Planned:
        given = PlanInput(START, requested=requested)
        return plan_environments(self.desired, self.store, self.credentials, given, scope)

    def find_job(self, name: str, layout: JobLayout | None = None) -> Job:
        """Return the job that the first job would make now."""
        planned = self.plan(PlanScope(), requested=self.inputs.reassert)
        steps = make_steps(planned.plan.environments, layout or JobLayout())
        (job,) = (job for jobs in steps for job in jobs if job.name == name)
        return job

    def write(self, name: str, document: Document) -> None:
        stored = self.store.read([name]).get(name)
        self.store.write([Write(name, document, stored.version if stored else None)])

    def apply(self, *names: str, by: By | None = None) -> None:
        for one in self.desired:
            if one.environment in names:
                stored = self.store.read([one.environment]).get(one.environment)
                found = stored.document if stored else None
                fingerprint = self.credentials.fingerprint(one)
                self.write(one.environment, adopt(found, one, fingerprint, START, by or By(run=str(RUN)), lineage="l"))

    def reject(self, name: str, run: str) -> None:
        by = By(run=run)
        claim = Claim(intent_id="i", lineage="l", now=START, lease_s=900, by=by, account=None)
        last = make_last(Outcome.REJECTED, 401, "401", START, by)
        self.write(name, clear(begin_intent(None, make_desired(name), claim), last))

    def begin(self, job: Job) -> Part:
        planner = PartPlanner(
            job, self.inputs, self.attempt, self.desired, self.store, self.plan, self.max_failures, self.shown.append
        )
        return planner.plan()


def names(part: Part) -> list[str]:
    return [one.environment for one in part.planned.plan.environments if one.action.puts]


def test_a_job_plans_its_own_environment_alone() -> None:
    """The guards still see the whole fleet."""
    bench = Bench()
    part = bench.begin(bench.find_job("b1"))
    assert (names(part), part.stop_reason, part.failures_left) == (["b1"], "", 2)
    assert len(part.planned.fleet.manifests) == 20


def test_what_was_applied_in_between_is_done_and_what_differs_is_stale() -> None:
    """A laptop applied the same webhooks, which leaves nothing to do. Other webhooks are shown in the new plan."""
    bench = Bench()
    job = bench.find_job("a0")
    bench.apply("a0", by=By("eva"))
    assert names(bench.begin(job)) == []
    bench.desired[0] = make_desired("a0", "2")
    with pytest.raises(StalePlan, match="the plan of a0 is not the one that the first job decided"):
        bench.begin(job)
    assert [one.environment for one in bench.shown[0].plan.environments] == ["a0"]


def test_a_job_for_several_that_applied_a_part_needs_a_new_run() -> None:
    """Only the whole part was decided: `Re-run failed jobs` says so, and what to do instead."""
    bench = Bench()
    job = bench.find_job("Fleet", JobLayout(TokensFrom.SECRET))
    bench.apply("a0")
    bench.attempt = RunAttempt("7", 2)
    with pytest.raises(StalePlan, match="run all jobs of this run again, or begin a new run"):
        bench.begin(job)


@pytest.mark.parametrize("name", ["a7", "b9"])
def test_a_job_of_the_last_step_waits_for_all_earlier_waves(name: str) -> None:
    """Nothing is begun, and the result names the unfinished wave. Its own wave doesn't matter."""
    bench = Bench()
    job = bench.find_job(name)
    part = bench.begin(job)
    assert "an earlier wave is not done: a0, a1" in part.stop_reason
    (result,) = part.make_skipped().environments
    assert (result.environment, result.outcome) == (name, Outcome.SKIPPED)
    bench.apply(*(one.environment for one in bench.desired if one.wave < job.wave))  # type: ignore[operator]
    assert bench.begin(job).stop_reason == ""


def test_a_job_of_an_earlier_step_does_not_look_at_other_waves() -> None:
    """GitHub begins it only after the step before has succeeded."""
    bench = Bench()
    assert bench.begin(bench.find_job("a6")).stop_reason == ""


def test_with_reassert_an_earlier_wave_must_be_of_this_run() -> None:
    """Without a difference in the plan, only the run id shows whether it was put again."""
    bench = Bench()
    every = [one.environment for one in bench.desired]
    bench.apply(*every, by=By(run="6/1"))
    bench.inputs = RunInputs(reassert=True)
    job = bench.find_job("a7")
    assert "not done: a0" in bench.begin(job).stop_reason
    bench.apply(*(one.environment for one in bench.desired if one.wave < 7))
    assert bench.begin(job).stop_reason == ""
    bench.attempt = RunAttempt("7", 2)  # the first attempt's waves are done
    assert bench.begin(job).stop_reason == ""


def test_a_narrowed_run_waits_for_what_it_is_narrowed_to() -> None:
    bench = Bench()
    bench.inputs = RunInputs(environments=("a*",))
    job = bench.find_job("a8")
    bench.apply(*(one.environment for one in bench.desired if one.environment.startswith("a") and one.wave < 8))
    assert bench.begin(job).stop_reason == ""


def test_max_failures_counts_over_all_jobs_of_a_wave_in_this_attempt() -> None:
    """The failures of an earlier attempt are the reason to start it again."""
    bench = Bench()
    bench.reject("a0", "7/1")
    assert bench.begin(bench.find_job("b0")).failures_left == 1
    bench.max_failures = 1
    part = bench.begin(bench.find_job("b0"))
    assert part.stop_reason == "1 environment of this wave was not applied (max_failures)"
    assert bench.begin(bench.find_job("b1")).stop_reason == ""
    bench.attempt = RunAttempt("7", 2)
    assert bench.begin(bench.find_job("b0")).stop_reason == ""


def test_a_document_that_can_not_be_read_stops_no_other_environment() -> None:
    """It is a warning of the guards."""
    bench = Bench()
    bench.apply("a0")
    job = bench.find_job("b0")
    bench.store.inner.documents["a0"] = b"{"
    part = bench.begin(job)
    assert (names(part), part.failures_left, list(part.planned.fleet.unreadable)) == (["b0"], 2, ["a0"])


def test_shards_of_a_wave_share_the_environments() -> None:
    """Each has the environments of its wave and shard; one job for the fleet has all waves, and counts alone."""
    bench = Bench()
    layout = JobLayout(TokensFrom.SECRET, 2)
    planned = bench.plan(PlanScope(), requested=False)
    jobs = [job for jobs in make_steps(planned.plan.environments, layout) for job in jobs if job.wave == 3]
    assert sorted(name for job in jobs for name in names(bench.begin(job))) == ["a3", "b3"]
    bench.reject("a0", "7/1")
    fleet = bench.begin(bench.find_job("Fleet", JobLayout(TokensFrom.SECRET)))
    assert len(names(fleet)) == 20 and fleet.failures_left == 2
