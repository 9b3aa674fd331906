"""What the steps of a workflow decide from the results that its jobs left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.core.workflow import JobReport, find_silent, fit, join_results
from reconciler.model import EnvironmentResult, Outcome, RunResult


def result(*names: str, message: str = "") -> RunResult:
    return RunResult(tuple(EnvironmentResult(name, Outcome.APPLIED, (), 1, 200, message, 0.1) for name in names))


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
