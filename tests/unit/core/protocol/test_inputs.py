"""The inputs of a run that was begun by hand."""

from __future__ import annotations

import pytest

from reconciler.core.guards import MaxChanged
from reconciler.core.protocol.inputs import RunInputs, parse_inputs
from reconciler.errors import InputError

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("given", [None, {}, [], "x", {"environments": "", "reassert": "false", "expect": None}])
def test_a_run_of_a_push_has_none(given: object) -> None:
    """And a form that nobody filled in has none either."""
    assert parse_inputs(given) == RunInputs()
    assert RunInputs().bound == ()


def test_every_input_is_read() -> None:
    """Lists are separated by commas, blanks or lines; GitHub hands a checkbox over as text."""
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


def test_what_only_sends_more_or_checks_more_is_not_bound_to_a_commit() -> None:
    """It lifts no guard, and narrows nothing."""
    assert parse_inputs({"reassert": "true", "check_first": "true"}).bound == ()


def test_every_fault_is_named_and_no_digest_is_repeated() -> None:
    """What is in the place of a digest may be a token."""
    with pytest.raises(InputError) as refused:
        parse_inputs({"expect": "a-token", "max_changed": "many", "reassert": "yes"})
    assert [problem.key for problem in refused.value.problems] == ["expect", "max_changed", "reassert"]
    assert "a-token" not in str(refused.value)
