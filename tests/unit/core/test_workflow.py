"""What the steps of a workflow decide from the results that its jobs left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.core.digest import plan_digest
from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.workflow import JobReport, find_silent, find_waiting, fit, join_results, make_matrix
from reconciler.model import EnvironmentResult, Fingerprint, Outcome, RunResult
from tests.fakes import START, make_desired

PLAN = make_plan(
    [make_desired("b", wave=0), make_desired("a", wave=1)], {}, lambda one: Fingerprint(), PlanInput(START)
)


def result(*names: str, message: str = "") -> RunResult:
    return RunResult(tuple(EnvironmentResult(name, Outcome.APPLIED, (), 1, 200, message, 0.1) for name in names))


def test_a_matrix_has_a_job_for_each_environment_to_put() -> None:
    """By wave and name, each with the digest of its own part."""
    first, second = PLAN.environments
    assert make_matrix(PLAN) == [
        {"environment": "b", "wave": 0, "digest": plan_digest([first])},
        {"environment": "a", "wave": 1, "digest": plan_digest([second])},
    ]
    assert make_matrix(replace(PLAN, environments=())) == []


@pytest.mark.parametrize(("wave", "waiting"), [(0, []), (1, ["b"]), (2, ["b", "a"])])
def test_a_wave_waits_for_all_earlier_ones(wave: int, waiting: Sequence[str]) -> None:
    assert find_waiting(PLAN, wave) == waiting


@pytest.mark.parametrize(
    ("reports", "silent"),
    [
        ([], ["a", "b"]),
        ([JobReport("result-a", text="exit 4")], ["b"]),
        ([JobReport("shard-1", result("a", "b"))], []),
        ([JobReport("result-plan", text="exit 3")], []),
        ([JobReport("result-plan", result("a"))], ["b"]),
    ],
)
def test_an_environment_whose_job_left_nothing_is_silent(reports: Sequence[JobReport], silent: Sequence[str]) -> None:
    """A job that speaks for all, and failed, leaves nobody to be named."""
    assert find_silent(["a", "b"], reports) == silent


def test_results_are_joined_by_name_and_the_last_counts() -> None:
    """None without any: that is not a result in which nothing happened."""
    joined = join_results([result("b", message="first"), result("a"), result("b", message="last")])
    assert joined is not None
    assert [(one.environment, one.message) for one in joined.environments] == [("a", ""), ("b", "last")]
    assert join_results([]) is None


def test_a_text_that_does_not_fit_is_left_out_and_counted() -> None:
    """As a whole; a shorter one after it still gets in."""
    assert fit(["aaa", "bbbbbbbb", "cc"], 8) == (["aaa", "cc"], 1)
    assert fit([], 8) == ([], 0)
