"""The checks of a later attempt of a run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.core.record import Claim, adopt, begin_intent, clear, make_last
from reconciler.core.workflow.rerun import (
    RunAttempt,
    count_unapplied,
    find_first_commit,
    find_stale_inputs,
    find_superseded,
)
from reconciler.model import By, Document, Fingerprint, Outcome
from tests.fakes import START, make_desired

OLD, NEW = "a" * 40, "b" * 40


def applied(name: str, commit: str | None, run: str | None) -> Document:
    return adopt(None, make_desired(name), Fingerprint(), START, By("ana", commit, run), lineage="l")


def tried(name: str, outcome: Outcome, run: str | None, commit: str | None = OLD) -> Document:
    """Return a document whose last try was not applied and whose intent was removed."""
    by = By("ana", commit, run)
    claim = Claim(intent_id="i", lineage="l", now=START, lease_s=900, by=by, account=None)
    return clear(begin_intent(None, make_desired(name), claim), make_last(outcome, 500, "no", START, by))


def test_the_first_commit_is_read_from_the_first_attempts_writes() -> None:
    """They are an applied record, a failed try, an intent or a history entry. Other runs do not count."""
    attempt = RunAttempt("7", 3)
    assert find_first_commit([], attempt, NEW) == NEW
    assert find_first_commit([applied("a", OLD, "70/1"), applied("b", OLD, None)], attempt, NEW) == NEW
    assert find_first_commit([applied("a", f"{OLD}+", "7/1")], attempt, NEW) == OLD
    assert find_first_commit([tried("a", Outcome.REJECTED, "7/1")], attempt, NEW) == OLD
    assert find_first_commit([tried("a", Outcome.FAILED, "7/2", NEW), applied("b", OLD, "7/1")], attempt, NEW) == OLD
    later = adopt(applied("a", OLD, "7/1"), make_desired("a", "2"), Fingerprint(), START, By("eva"), lineage="l")
    assert find_first_commit([later], attempt, NEW) == OLD
    assert find_first_commit([applied("a", None, "7/1"), applied("b", OLD, "7/x")], attempt, NEW) == NEW


def test_an_input_is_valid_only_for_its_commit() -> None:
    """Each stale input is named."""
    assert find_stale_inputs(["max_changed"], OLD, OLD) == []
    problems = find_stale_inputs(["max_changed", "environments"], OLD, NEW)
    assert [one.key for one in problems] == ["max_changed", "environments"]
    assert "commit aaaaaaaaaaaa" in problems[0].message and "bbbbbbbbbbbb" in problems[0].message


def test_an_environment_is_superseded_unless_the_head_is_known_to_want_the_same() -> None:
    """If this version refuses the head's manifest, it is not known."""
    assert find_superseded({"a": True}) == []
    assert find_superseded({"c": None, "a": True, "b": False}) == ["b", "c"]


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED, Outcome.UNCERTAIN])
def test_the_failures_of_this_attempt_are_counted(outcome: Outcome) -> None:
    """The failures of an earlier attempt do not count, as the run was started again because of them."""
    attempt = RunAttempt("7", 2)
    ours = tried("a", outcome, "7/2")
    assert count_unapplied([ours, replace(ours, environment="b")], attempt) == 2
    others = [tried("c", outcome, run) for run in ("7/1", "72", "7", None)]
    assert count_unapplied([*others, applied("d", OLD, "7/2"), tried("e", Outcome.APPLIED, "7/2")], attempt) == 0


def test_an_attempt_is_named_as_the_state_names_it() -> None:
    assert str(RunAttempt("7", 2)) == "7/2"
    assert not RunAttempt("7", 1).is_later and RunAttempt("7", 2).is_later
