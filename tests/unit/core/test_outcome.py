"""The table of docs/contract.md#outcomes, row by row and as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.attempts import Attempt, Fate, classify_answer
from reconciler.core.outcome import classify
from reconciler.model import Outcome

UNSENT = Attempt(Fate.UNSENT)
LOST = Attempt(Fate.AMBIGUOUS)


def answered(status: int, *, denied: bool = False) -> Attempt:
    return Attempt(classify_answer(status, complete=True), status, complete=True, denied=denied)


@pytest.mark.parametrize(
    ("attempts", "doubt", "outcome"),
    [
        ([answered(200)], False, Outcome.APPLIED),
        ([answered(204)], True, Outcome.APPLIED),
        ([LOST, answered(200)], True, Outcome.APPLIED),
        ([answered(200, denied=True)], False, Outcome.REJECTED),
        ([answered(200, denied=True)], True, Outcome.UNCERTAIN),
        ([answered(400)], False, Outcome.REJECTED),
        ([answered(302)], False, Outcome.REJECTED),
        ([UNSENT, answered(429)], False, Outcome.REJECTED),
        ([answered(429), answered(425)], False, Outcome.REJECTED),
        ([answered(400)], True, Outcome.UNCERTAIN),
        ([LOST, answered(400)], False, Outcome.UNCERTAIN),
        ([answered(503), answered(400)], False, Outcome.UNCERTAIN),
        ([answered(408)], False, Outcome.UNCERTAIN),
        ([UNSENT], False, Outcome.FAILED),
        ([UNSENT, UNSENT], False, Outcome.FAILED),
        ([UNSENT], True, Outcome.UNCERTAIN),
        ([answered(429), UNSENT], False, Outcome.UNCERTAIN),
        ([], False, Outcome.FAILED),
        ([], True, Outcome.UNCERTAIN),
    ],
)
def test_the_outcome_is_that_of_the_table(attempts: list[Attempt], doubt: bool, outcome: Outcome) -> None:
    """Each row is tested with the cases at its limits."""
    assert classify(attempts, doubt=doubt) is outcome


ATTEMPTS = st.lists(
    st.one_of(
        st.just(UNSENT),
        st.just(LOST),
        st.builds(answered, st.sampled_from([200, 302, 400, 401, 408, 429, 500, 503])),
    ),
    max_size=5,
)


@given(ATTEMPTS)
def test_only_a_2xx_ends_doubt(attempts: list[Attempt]) -> None:
    """An environment in doubt is `applied` or `uncertain` afterwards."""
    confirmed = bool(attempts) and attempts[-1].confirmed
    assert classify(attempts, doubt=True) is (Outcome.APPLIED if confirmed else Outcome.UNCERTAIN)


@given(ATTEMPTS)
def test_an_ambiguous_attempt_is_never_rejected_or_failed(attempts: list[Attempt]) -> None:
    """The effect of such an attempt is unknown."""
    if any(attempt.fate is Fate.AMBIGUOUS for attempt in attempts):
        assert classify(attempts, doubt=False) in (Outcome.APPLIED, Outcome.UNCERTAIN)
