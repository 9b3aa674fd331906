"""The known effect of an attempt, and the decision to make another one.

See docs/contract.md#retries, docs/contract.md#outcomes.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.attempts import Attempt, Done, Fate, Send, Wait, classify_answer, next_step


def step(made: list[Attempt], *, elapsed_s: float = 0, limit: int = 4, jitter: float = 0.5) -> Send | Wait | Done:
    return next_step(made, limit=limit, deadline_s=120, elapsed_s=elapsed_s, jitter=jitter)


def answered(status: int, **values: Any) -> Attempt:
    return Attempt(classify_answer(status, complete=True), status, complete=True, **values)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 425, 429, 499])
def test_a_complete_answer_below_500_is_definite(status: int) -> None:
    """408 is the exception: the server did not get the whole request in time."""
    assert classify_answer(status, complete=True) is Fate.DEFINITE


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 599, 100])
def test_a_server_error_is_ambiguous(status: int) -> None:
    """The server may have acted before it failed."""
    assert classify_answer(status, complete=True) is Fate.AMBIGUOUS


@pytest.mark.parametrize("status", [200, 204, 299, 408, 500, 503])
def test_a_cut_answer_that_is_not_a_3xx_or_4xx_is_ambiguous(status: int) -> None:
    """The rest of a 200 may have said "value": false."""
    assert classify_answer(status, complete=False) is Fate.AMBIGUOUS


@pytest.mark.parametrize("status", [300, 302, 400, 401, 404, 429, 499])
def test_the_status_line_of_a_3xx_or_4xx_is_enough(status: int) -> None:
    """The end of the body does not matter (docs/contract.md#outcomes)."""
    assert classify_answer(status, complete=False) is Fate.DEFINITE


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_these_answers_are_retried(status: int) -> None:
    """The list is in docs/contract.md#retries."""
    assert isinstance(step([answered(status)]), Wait)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 405, 415, 422, 501, 505])
def test_other_answers_end_the_attempts(status: int) -> None:
    """A retry would get the same answer."""
    assert isinstance(step([answered(status)]), Done)


@pytest.mark.parametrize("fate", [Fate.UNSENT, Fate.AMBIGUOUS])
def test_an_attempt_without_a_complete_answer_is_retried(fate: Fate) -> None:
    """The attempt was unsent, reset, timed out or cut short."""
    assert isinstance(step([Attempt(fate)]), Wait)


def test_a_200_that_denies_is_not_retried() -> None:
    """A denial is a definite answer."""
    assert isinstance(step([answered(200, denied=True)]), Done)


@pytest.mark.parametrize(
    ("attempt", "confirmed"),
    [
        (answered(200), True),
        (answered(204), True),
        (answered(299), True),
        (answered(199), False),
        (answered(300), False),
        (answered(404), False),
        (answered(500), False),
        (answered(200, denied=True), False),
        (Attempt(Fate.AMBIGUOUS, 200, complete=False), False),
        (Attempt(Fate.AMBIGUOUS, complete=True), False),
        (Attempt(Fate.UNSENT), False),
    ],
)
def test_only_a_complete_2xx_that_does_not_deny_is_confirmed(attempt: Attempt, confirmed: bool) -> None:
    """Only a confirmed attempt may become the applied record (docs/contract.md#outcomes)."""
    assert attempt.confirmed is confirmed


@pytest.mark.parametrize("elapsed_s", [0, 500])
def test_the_first_attempt_is_always_sent(elapsed_s: float) -> None:
    assert step([], elapsed_s=elapsed_s) == Send()


def test_the_limit_of_attempts_ends_them() -> None:
    """`attempts` counts the first one too."""
    assert isinstance(step([Attempt(Fate.UNSENT)] * 4, limit=4), Done)


def test_a_retry_after_beyond_the_deadline_ends_the_attempts_at_once() -> None:
    """The rule is in docs/contract.md#retries."""
    assert isinstance(step([answered(503, retry_after_s=121.0)]), Done)


def test_a_retry_after_is_waited_for() -> None:
    """A tenth of the backoff is added, so that not all workers send in the same instant."""
    assert step([answered(429, retry_after_s=7.0)], jitter=0) == Wait(7.0)
    assert step([answered(429, retry_after_s=7.0)], jitter=0.5) == Wait(7.0 + 0.25 * 0.1)


def test_the_backoff_doubles_up_to_its_cap() -> None:
    """The jitter chooses between 0 and that."""
    every = [step([Attempt(Fate.UNSENT)] * made, limit=100, jitter=0.5) for made in range(1, 9)]
    assert every == [Wait(seconds) for seconds in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0)]
    assert step([Attempt(Fate.UNSENT)], jitter=0) == Wait(0.0)


@given(st.integers(1, 30), st.floats(0, 0.999), st.floats(0, 200))
def test_the_backoff_stays_within_bounds(made: int, jitter: float, elapsed_s: float) -> None:
    """The wait is between 0 and the cap (full jitter), and never past the deadline."""
    result = step([Attempt(Fate.AMBIGUOUS)] * made, limit=100, jitter=jitter, elapsed_s=elapsed_s)
    if isinstance(result, Wait):
        assert 0 <= result.seconds <= 20
        assert elapsed_s + result.seconds < 120
    else:
        assert isinstance(result, Done)


def test_a_wait_that_would_end_with_the_deadline_is_not_begun() -> None:
    """At the deadline no time is left for an attempt."""
    made = [answered(429, retry_after_s=20.0)]
    assert step(made, elapsed_s=100, jitter=0.0) == Done()
    assert step(made, elapsed_s=99.9, jitter=0.0) == Wait(20.0)
    assert step(made, elapsed_s=0, jitter=1.0) == Wait(20.05)
