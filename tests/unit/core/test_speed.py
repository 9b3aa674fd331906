"""The speed of a run."""

from __future__ import annotations

import pickle

import pytest

from reconciler.core.speed import SPAN_S, Speed


def test_the_rate_is_unknown_for_the_first_second() -> None:
    speed = Speed()
    assert speed.rate(0, 5.0) is None
    speed.note(0, 5.0)
    assert speed.rate(3, 5.9) is None
    assert speed.rate(3, 6.0) == 3


def test_old_counts_do_not_influence_the_rate() -> None:
    """After half a minute of work a pause of minutes has no effect."""
    speed = Speed()
    for second in range(101):
        speed.note(0, float(second))
    for second in range(101, 101 + int(SPAN_S) + 1):
        speed.note(10 * (second - 100), float(second))
    now = 100 + SPAN_S + 1
    assert speed.rate(10 * (int(now) - 100), now) == pytest.approx(10, abs=0.5)


def test_at_most_one_moment_a_second_is_kept() -> None:
    speed = Speed()
    sizes = []
    for tick in range(10_000):
        speed.note(tick, tick / 100)
        sizes.append(len(pickle.dumps(speed)) if tick % 1_000 == 999 else 0)
    assert (
        max(sizes[5_000:]) <= max(sizes[:5_000]) + 20
    )  # no more moments than fit into SPAN_S; only the numbers are larger
    assert speed.rate(10_000, 100.0) == pytest.approx(100, rel=0.01)
