"""The inputs of a run that a person started."""

from __future__ import annotations

import pytest

from reconciler.core.guards import MaxChanged
from reconciler.core.workflow.inputs import RunInputs, parse_inputs
from reconciler.errors import InputError

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("given", [None, {}, [], "x", {"environments": "", "reassert": "false", "expect": None}])
def test_a_run_of_a_push_has_no_inputs(given: object) -> None:
    """An empty form gives no inputs either."""
    assert parse_inputs(given) == RunInputs()
    assert RunInputs().bound == ()


def test_every_input_is_read() -> None:
    """Commas, blanks or line ends separate the items of a list. GitHub passes a checkbox as text."""
    inputs = parse_inputs(
        {
            "environments": "staging*, loja-7\nloja-7",
            "reassert": "true",
            "expect": DIGEST,
            "max_changed": "100%",
            "accept_account_change": "loja-7",
            "new_state": True,
            "check_first": "true",
            "another": "x",
        }
    )
    assert inputs == RunInputs(
        ("staging*", "loja-7"), True, DIGEST, MaxChanged(100, percent=True), ("loja-7",), True, True
    )
    assert inputs.bound == ("environments", "expect", "max_changed", "accept_account_change", "new_state")


def test_inputs_that_only_send_or_check_more_are_not_bound_to_a_commit() -> None:
    """They lift no guard and do not narrow the run."""
    assert parse_inputs({"reassert": "true", "check_first": "true"}).bound == ()


def test_every_problem_is_named_and_no_digest_is_repeated() -> None:
    """A wrong digest may be a token."""
    with pytest.raises(InputError) as refused:
        parse_inputs({"expect": "a-token", "max_changed": "many", "reassert": "yes"})
    assert [problem.key for problem in refused.value.problems] == ["expect", "max_changed", "reassert"]
    assert "a-token" not in str(refused.value)
