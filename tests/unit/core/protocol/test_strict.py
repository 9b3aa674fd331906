"""Which merged pull request makes an environment reviewed, and why there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.protocol.strict import LastChange, Offer, UnreviewedCause, find_cause

CHANGE = LastChange(3, "c" * 40)

OWN, LATER = 3, 1  # positions: the commit of the change, and one that came after it


@pytest.mark.parametrize(
    ("offers", "cause"),
    [
        ([Offer(OWN, True, True)], None),  # squash, merge commit, the last commit of a rebase merge
        ([Offer(LATER, True, True)], None),  # an inner commit of a rebase merge
        ([Offer(LATER, False, True)], None),  # a later pull request that shows the same
        ([Offer(OWN, True, False), Offer(LATER, False, True)], None),
        ([], UnreviewedCause.NO_PULL_REQUEST),
        ([Offer(LATER, False, False)], UnreviewedCause.NO_PULL_REQUEST),  # a direct push, then another pull request
        ([Offer(LATER, False, None)], UnreviewedCause.NO_PULL_REQUEST),
        ([Offer(4, True, True)], UnreviewedCause.NO_PULL_REQUEST),  # merged before the change: it can't have shown it
        ([Offer(OWN, True, False)], UnreviewedCause.COMBINATION),
        ([Offer(LATER, True, False), Offer(0, False, None)], UnreviewedCause.COMBINATION),
        ([Offer(OWN, True, None)], UnreviewedCause.TOO_FAR_BACK),
        ([Offer(OWN, True, None), Offer(LATER, False, True)], None),
    ],
)
def test_the_cause(offers: list[Offer], cause: UnreviewedCause | None) -> None:
    assert find_cause(CHANGE, offers) is cause


def test_a_change_that_is_not_found_is_older_than_all_that_is_looked_at() -> None:
    """So a pull request among these that shows the same is later than it."""
    change = LastChange(None, "c" * 40, searched=3)
    assert find_cause(change, []) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(change, [Offer(3, True, False)]) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(change, [Offer(3, True, True)]) is None
    assert find_cause(change, [Offer(4, True, True)]) is UnreviewedCause.TOO_FAR_BACK
    assert find_cause(LastChange(None, "c" * 40), [Offer(0, True, True)]) is UnreviewedCause.TOO_FAR_BACK


@given(
    st.builds(LastChange, st.none() | st.integers(0, 5), st.just("c" * 40), st.none() | st.integers(0, 5)),
    st.lists(st.builds(Offer, st.integers(0, 5), st.booleans(), st.sampled_from([True, False, None]))),
)
def test_nothing_is_reviewed_but_by_a_head_that_wants_the_same_at_the_change_or_later(
    change: LastChange, offers: list[Offer]
) -> None:
    last = change.searched if change.position is None else change.position
    is_reviewed = find_cause(change, offers) is None
    assert is_reviewed == any(
        last is not None and offer.wants_same is True and offer.position <= last for offer in offers
    )
