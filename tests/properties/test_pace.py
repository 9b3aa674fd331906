"""The effect of a 429: the rate is below the limit, falls at once, recovers in time (docs/contract.md#apply)."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.attempts import Attempt, Fate
from reconciler.core.pace import (
    BEYOND_S,
    LATE_S,
    LEAST_RATE,
    REGAIN_S,
    Pacing,
    asks_for_less,
    rate_at,
    slow,
    take,
    wait_at,
)

LIMITS = st.floats(0.05, 500)
RETRY_AFTER = st.none() | st.floats(0, 30)


def make_limited(retry_after_s: float | None, status: int = 429) -> Attempt:
    return Attempt(Fate.DEFINITE, status, complete=True, retry_after_s=retry_after_s)


def slowed(pacing: Pacing, now: float, retry_after_s: float | None = None, sent_at: float | None = None) -> Pacing:
    attempt = make_limited(retry_after_s)
    return slow(pacing, attempt, sent_at=now if sent_at is None else sent_at, now=now, longest_pause_s=120)


# Each step: how late the sender wakes up, whether the answer is a 429, and its Retry-After.
STEPS = st.lists(st.tuples(st.floats(0, LATE_S * 0.9), st.booleans(), RETRY_AFTER), min_size=1, max_size=200)


@given(limit=LIMITS, steps=STEPS, idle=st.lists(st.floats(0, 3), max_size=200))
def test_no_second_holds_more_than_the_limit(
    limit: float, steps: list[tuple[float, bool, float | None]], idle: list[float]
) -> None:
    """All send as soon as allowed, some wake up late, some pause, and 429s come at any time."""
    pacing, now = Pacing(limit), 0.0
    sent: list[float] = []
    for number, (late_s, is_limited, retry_after_s) in enumerate(steps):
        now += idle[number] if number < len(idle) else 0.0
        now += max(0.0, wait_at(pacing, now)) + late_s
        pacing = take(pacing, now)
        sent.append(now)
        if is_limited:
            pacing = slowed(pacing, now, retry_after_s)
    for first in range(len(sent)):
        within = sum(1 for at in sent[first:] if at - sent[first] < 1)
        assert within <= max(1, math.ceil(limit))


@given(limit=st.none() | LIMITS, steps=STEPS)
def test_the_rate_is_never_above_the_limit_nor_zero(
    limit: float | None, steps: list[tuple[float, bool, float | None]]
) -> None:
    """Senders always get a slot, however often the rate is lowered."""
    pacing, now = Pacing(limit), 0.0
    for late_s, is_limited, retry_after_s in steps:
        now += max(0.0, wait_at(pacing, now)) + late_s
        pacing = take(pacing, now)
        if is_limited:
            pacing = slowed(pacing, now, retry_after_s)
        for later in (0, 1, REGAIN_S, REGAIN_S + 1, 50, 200):
            rate = rate_at(pacing, now + later)
            assert rate is not None or limit is None
            if rate is not None:
                assert rate >= (LEAST_RATE if limit is None else min(limit, LEAST_RATE)) - 1e-9
                assert limit is None or rate <= limit + 1e-9
        assert wait_at(pacing, now) <= 120 + 1.05 / min(LEAST_RATE, limit or LEAST_RATE) + 1e-6


@given(limit=st.none() | LIMITS, sends=st.integers(1, 300), gap_s=st.floats(0, 0.5), retry_after_s=RETRY_AFTER)
def test_a_429_lowers_the_rate_and_all_senders_pause(
    limit: float | None, sends: int, gap_s: float, retry_after_s: float | None
) -> None:
    """It falls at least to half of what was sent, down to one in ten seconds; the next slot is after Retry-After."""
    pacing, now = Pacing(limit), 0.0
    for _ in range(sends):
        now += max(gap_s, wait_at(pacing, now))
        pacing = take(pacing, now)
    before = rate_at(pacing, now)
    pacing = slowed(pacing, now, retry_after_s)
    after = rate_at(pacing, now)
    assert after is not None
    assert after <= max(LEAST_RATE, (before or math.inf) / 2 + 1e-9)
    assert wait_at(pacing, now) >= (retry_after_s or 0.0) - 1e-9


@given(
    limit=st.none() | LIMITS, times=st.lists(st.floats(0.01, 20), min_size=1, max_size=30), retry_after_s=RETRY_AFTER
)
def test_without_a_further_429_it_recovers_in_bounded_time(
    limit: float | None, times: list[float], retry_after_s: float | None
) -> None:
    """It rises gradually from any rate, never falls, and is back ninety seconds after the last pause."""
    pacing, now = Pacing(limit), 0.0
    for gap_s in times:
        now += max(gap_s, wait_at(pacing, now))
        pacing = slowed(take(pacing, now), now, retry_after_s)
    over = max(now, pacing.closed_until)
    rates = [rate_at(pacing, over + seconds) for seconds in range(int(REGAIN_S + BEYOND_S) + 1)]
    assert rate_at(pacing, over + REGAIN_S + BEYOND_S + 0.001) == limit
    known = [rate for rate in rates if rate is not None]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(known))
    # It doesn't jump: no second adds more than a tenth of the way from the lowest to the highest rate.
    steps = [later - earlier for earlier, later in pairwise(known)]
    assert max(steps, default=0.0) <= (known[-1] - known[0]) / 10 + 1e-9


@given(limit=st.none() | LIMITS, many=st.integers(2, 64))
def test_429s_for_what_was_sent_before_count_once(limit: float | None, many: int) -> None:
    """All PUTs in flight get the same 429: the rate is halved once, not 64 times."""
    pacing = Pacing(limit)
    for _ in range(many):
        pacing = take(pacing, 0.0)
    once = slowed(pacing, 0.5, sent_at=0.0)
    again = once
    for number in range(many):
        again = slowed(again, 0.5 + number / 1000, sent_at=0.0)
    assert rate_at(again, 1.0) == rate_at(once, 1.0)


def test_only_a_429_and_a_503_with_retry_after_slow_a_run() -> None:
    """Other failures don't concern the rate."""
    assert asks_for_less(make_limited(None))
    assert asks_for_less(make_limited(2.0, status=503))
    assert not asks_for_less(make_limited(None, status=503))
    assert not asks_for_less(make_limited(2.0, status=500))


def test_a_retry_after_of_hours_slows_and_does_not_stop() -> None:
    """One answer doesn't stop a run for the night; all wait for one that fits a deadline."""
    pacing = slow(Pacing(None), make_limited(36_000.0), sent_at=0.0, now=0.0, longest_pause_s=120)
    assert 0 < wait_at(pacing, 0.0) <= 3
    pacing = slow(Pacing(None), make_limited(120.0), sent_at=0.0, now=0.0, longest_pause_s=120)
    assert wait_at(pacing, 0.0) == 120


def test_without_a_limit_the_rate_depends_on_what_was_sent() -> None:
    """A hundred in the last second: now fifty, and after a while no limit again."""
    pacing = Pacing(None)
    for number in range(300):
        pacing = take(pacing, number / 100)
    pacing = slowed(pacing, 3.0)
    rate = rate_at(pacing, 3.0)
    assert rate is not None
    assert 45 <= rate <= 55
    assert rate_at(pacing, 3 + REGAIN_S) is not None
    assert rate_at(pacing, 3 + REGAIN_S + BEYOND_S) is None
