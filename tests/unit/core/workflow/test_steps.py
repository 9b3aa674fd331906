"""The steps and jobs of an apply run."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.digest import plan_digest
from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.record import adopt
from reconciler.core.shard import parse_shard
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.core.workflow.steps import (
    FLEET,
    MAX_JOBS,
    STEPS,
    EarlierWave,
    JobLayout,
    Steps,
    TokensFrom,
    count_jobs,
    decode_job,
    encode_jobs,
    find_part,
    find_too_many_jobs,
    find_waiting,
    make_steps,
    parse_layout,
)
from reconciler.errors import InputError
from reconciler.model import Action, By, Desired, Fingerprint, Head, Plan
from tests.fakes import START, make_desired

SECRET = TokensFrom.SECRET


def fleet(*waves: int) -> list[Desired]:
    return [make_desired(f"e{number:03}", wave=wave) for number, wave in enumerate(waves)]


def plan_of(desired: list[Desired]) -> Plan:
    return make_plan(desired, {}, lambda one: Fingerprint(), PlanInput(START))


def steps_of(layout: JobLayout, *waves: int) -> Steps:
    return make_steps(plan_of(fleet(*waves)).environments, layout)


def names(steps: Steps) -> list[list[str]]:
    return [[job.name for job in jobs] for jobs in steps]


layouts = st.sampled_from(
    [JobLayout(), JobLayout(SECRET), JobLayout(SECRET, 1), JobLayout(SECRET, 3), JobLayout(SECRET, 16)],
)


@given(layouts, st.lists(st.integers(0, 11), max_size=30))
def test_every_environment_is_in_exactly_one_job_and_no_wave_before_a_lower_one(
    layout: JobLayout, waves: list[int]
) -> None:
    """For any waves, the parts of the jobs are the fleet, and each job has the digest of its part."""
    desired = fleet(*waves)
    plan = plan_of(desired)
    steps = make_steps(plan.environments, layout)
    every = frozenset(one.environment for one in desired)
    assert len(steps) == STEPS
    parts = [(number, job, find_part(job, desired, every)) for number, jobs in enumerate(steps) for job in jobs]
    assert Counter(name for _, _, part in parts for name in part) == Counter(every)
    for _, job, part in parts:
        assert job.digest == plan_digest([one for one in plan.environments if one.environment in part])
    ordered = [job.wave for _, job, _ in parts if job.wave is not None]
    assert ordered == sorted(ordered)
    of_steps = [{job.wave for job in jobs} for jobs in steps[:-1]]
    assert all(len(found) <= 1 for found in of_steps)
    assert not any(job.waits for jobs in steps[:-1] for job in jobs) and all(job.waits for job in steps[-1])


@given(layouts, st.lists(st.integers(0, 11), max_size=12))
def test_a_job_survives_the_matrix(layout: JobLayout, waves: list[int]) -> None:
    """It is JSON in the first job's output, and then in a variable of the job itself."""
    for jobs in steps_of(layout, *waves):
        assert [decode_job(one) for one in json.loads(json.dumps(encode_jobs(jobs)))] == list(jobs)


def test_each_environment_has_a_job_in_its_own_github_environment() -> None:
    """The first seven waves are a step each, the last step has all further ones in order."""
    steps = steps_of(JobLayout(), 0, 1, 1, 2, 3, 4, 5, 6, 7, 9)
    assert names(steps) == [["e000"], ["e001", "e002"], *[[f"e00{at}"] for at in range(3, 8)], ["e008", "e009"]]
    assert {job.environment == job.name and not job.tokens for jobs in steps for job in jobs} == {True}
    assert [job.wave for job in steps[-1]] == [7, 9]


def test_the_fleet_is_one_job_if_one_secret_has_all_tokens() -> None:
    """That job applies all waves."""
    first, *others = steps_of(JobLayout(SECRET), 0, 1, 2)
    (job,) = first
    assert (job.name, job.environment, job.wave, job.tokens, job.secrets, job.shard) == (
        FLEET,
        FLEET_ENVIRONMENT,
        None,
        "PLUG_TOKENS",
        "PLUG_SECRETS",
        "",
    )
    assert set(others) == {()}


def test_a_shard_without_work_in_a_wave_has_no_job_there() -> None:
    """Each other shard has a job in the wave, with the shard's secrets."""
    steps = steps_of(JobLayout(SECRET, 256), 3, 5)
    jobs = [job for jobs in steps for job in jobs]
    assert [job.wave for job in jobs] == [3, 5]
    for job in jobs:
        shard = parse_shard(job.shard)
        assert job.name == f"Wave-{job.wave}-shard-{shard.number}-of-256"
        assert (job.tokens, job.secrets) == (f"PLUG_TOKENS_{shard.number}", f"PLUG_SECRETS_{shard.number}")


def test_an_environment_without_work_has_no_job() -> None:
    assert names(steps_of(JobLayout(SECRET))) == [[]] * STEPS
    plan = plan_of(fleet(0))
    idle = [replace(one, action=Action.NOOP) for one in plan.environments]
    for layout in (JobLayout(), JobLayout(SECRET), JobLayout(SECRET, 4)):
        assert count_jobs(make_steps(idle, layout)) == 0


def test_too_many_jobs_are_refused_with_a_way_out() -> None:
    most, more = steps_of(JobLayout(), *[0] * MAX_JOBS), steps_of(JobLayout(), *[0] * (MAX_JOBS + 1))
    assert find_too_many_jobs(most, JobLayout()) is None
    problem = find_too_many_jobs(more, JobLayout())
    assert problem is not None and "257 jobs" in problem.message and "PLUG_TOKENS_FROM" in problem.hint
    layout = JobLayout(SECRET, 200)
    problem = find_too_many_jobs(make_steps(plan_of(fleet(*range(1000))).environments, layout), layout)
    assert problem is not None and problem.key == "PLUG_SHARDS"


@pytest.mark.parametrize(
    ("tokens_from", "shards", "layout"),
    [
        ("", "", JobLayout()),
        ("environments", " ", JobLayout()),
        ("secret", "", JobLayout(SECRET)),
        (" secret ", "4", JobLayout(SECRET, 4)),
        ("secret", "1", JobLayout(SECRET, 1)),
        ("secret", "256", JobLayout(SECRET, 256)),
    ],
)
def test_the_layout_is_that_of_the_variables(tokens_from: str, shards: str, layout: JobLayout) -> None:
    assert parse_layout(tokens_from, shards) == layout


@pytest.mark.parametrize(
    ("tokens_from", "shards", "keys"),
    [
        ("Secret", "", ["PLUG_TOKENS_FROM"]),
        ("secret", "0", ["PLUG_SHARDS"]),
        ("secret", "257", ["PLUG_SHARDS"]),
        ("secret", "0004", ["PLUG_SHARDS"]),
        ("secret", "٤", ["PLUG_SHARDS"]),
        ("secret", "9" * 5000, ["PLUG_SHARDS"]),
        ("", "4", ["PLUG_SHARDS"]),
        ("vault", "x", ["PLUG_SHARDS", "PLUG_TOKENS_FROM"]),
    ],
)
def test_an_invalid_layout_is_refused(tokens_from: str, shards: str, keys: list[str]) -> None:
    """The error has every problem."""
    with pytest.raises(InputError) as refused:
        parse_layout(tokens_from, shards)
    assert [problem.key for problem in refused.value.problems] == keys


def applied_by(run: str | None) -> Head:
    return adopt(None, make_desired("a"), Fingerprint(), START, By(run=run), lineage="l")


def test_an_earlier_wave_is_done_if_nothing_is_left_to_put() -> None:
    """With `reassert`, an attempt of this run must also have applied it."""
    done = EarlierWave("a", Action.NOOP, applied_by("7/1"))
    others = EarlierWave("b", Action.NOOP, applied_by("71/1"))
    left = EarlierWave("c", Action.UPDATE, applied_by("7/2"))
    never = EarlierWave("d", Action.NOOP, None)
    by_hand = EarlierWave("e", Action.NOOP, applied_by(None))
    every = [by_hand, never, left, others, done]
    assert find_waiting(every, "7", reassert=False) == ["c"]
    assert find_waiting(every, "7", reassert=True) == ["b", "c", "d", "e"]


def test_a_narrowed_run_has_only_the_selected_environments() -> None:
    """Jobs for several environments are narrowed too."""
    desired = fleet(0, 0, 1)
    (job,) = make_steps(plan_of(desired).environments, JobLayout(SECRET))[0]
    assert find_part(job, desired, {"e001", "e002", "gone"}) == {"e001", "e002"}


@pytest.mark.parametrize(
    "change",
    [
        {"wave": "0"},
        {"wave": True},
        {"waits": "no"},
        {"name": 7},
        {"more": ""},
        {"digest": None},
    ],
)
def test_a_value_that_is_not_a_job_is_refused(change: dict[str, object]) -> None:
    (job,) = encode_jobs(steps_of(JobLayout(), 0)[0])
    wrongs: list[object] = [
        {**job, **change},
        {key: value for key, value in job.items() if key != "wave"},
        [],
        None,
        "x",
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="is not a job"):
            decode_job(wrong)
