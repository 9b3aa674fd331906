"""The check that a merged pull request covers an environment, and the cause if none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.workflow.strict import Candidate, LastChange, UnreviewedCause, find_cause

CHANGE = LastChange(3, "c" * 40)

OWN, LATER = 3, 1  # positions: the commit of the change, and one that came after it


@pytest.mark.parametrize(
    ("candidates", "cause"),
    [
        ([Candidate(OWN, True, True)], None),  # squash, merge commit, the last commit of a rebase merge
        ([Candidate(LATER, True, True)], None),  # an inner commit of a rebase merge
        ([Candidate(LATER, False, True)], None),  # a later pull request that shows the same
        ([Candidate(OWN, True, False), Candidate(LATER, False, True)], None),
        ([], UnreviewedCause.NO_PULL_REQUEST),
        ([Candidate(LATER, False, False)], UnreviewedCause.NO_PULL_REQUEST),  # a direct push, then a pull request
        ([Candidate(LATER, False, None)], UnreviewedCause.NO_PULL_REQUEST),
        ([Candidate(4, True, True)], UnreviewedCause.NO_PULL_REQUEST),  # merged before the change
        ([Candidate(OWN, True, False)], UnreviewedCause.COMBINATION),
        ([Candidate(LATER, True, False), Candidate(0, False, None)], UnreviewedCause.COMBINATION),
        ([Candidate(OWN, True, None)], UnreviewedCause.TOO_FAR_BACK),
        ([Candidate(OWN, True, None), Candidate(LATER, False, True)], None),
    ],
)
def test_the_cause_why_an_environment_is_not_reviewed(
    candidates: list[Candidate], cause: UnreviewedCause | None
) -> None:
    assert find_cause(CHANGE, candidates) is cause


def test_a_change_that_is_not_found_is_older_than_all_commits_searched() -> None:
    """So a pull request among these commits that wants the same came later than the change."""
    change = LastChange(None, "c" * 40, searched=3)
    assert find_cause(change, []) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(change, [Candidate(3, True, False)]) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(change, [Candidate(3, True, True)]) is None
    assert find_cause(change, [Candidate(4, True, True)]) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(LastChange(None, "c" * 40), [Candidate(0, True, True)]) is UnreviewedCause.TOO_FAR_BACK


@given(
    st.builds(LastChange, st.none() | st.integers(0, 5), st.just("c" * 40), st.none() | st.integers(0, 5)),
    st.lists(st.builds(Candidate, st.integers(0, 5), st.booleans(), st.sampled_from([True, False, None]))),
)
def test_only_a_head_that_wants_the_same_at_the_change_or_later_is_a_review(
    change: LastChange, candidates: list[Candidate]
) -> None:
    last = change.searched if change.position is None else change.position
    is_reviewed = find_cause(change, candidates) is None
    assert is_reviewed == any(
        last is not None and one.wants_same is True and one.position <= last for one in candidates
    )
