"""Single figures of the pace. The rules for all figures are in tests/properties/test_pace.py."""

from __future__ import annotations

import pytest
from msgspec.structs import astuple

from reconciler.core.attempts import Attempt, Fate
from reconciler.core.pace import (
    BEYOND_S,
    DECREASE,
    LATE_S,
    LEAST_RATE,
    REGAIN_S,
    STRETCH,
    Pacing,
    asks_for_less,
    describe,
    interval_at,
    rate_at,
    slow,
    take,
    wait_at,
)


def answer(status: int, retry_after_s: float | None = None) -> Attempt:
    return Attempt(Fate.DEFINITE, status, complete=True, retry_after_s=retry_after_s)


def slowed(
    pacing: Pacing, now: float, retry_after_s: float | None = None, *, sent_at: float | None = None, status: int = 429
) -> Pacing:
    sent_at = now if sent_at is None else sent_at
    return slow(pacing, answer(status, retry_after_s), sent_at=sent_at, now=now, longest_pause_s=120)


def sending(rate: int, seconds: int, limit: float | None = None) -> Pacing:
    """Return the pacing after `rate` sends a second from 0 on; the next send would be at the end."""
    pacing = Pacing(limit)
    for tick in range(rate * seconds):
        pacing = take(pacing, tick / rate)
    return pacing


@pytest.mark.parametrize(
    ("status", "retry_after_s", "asks"),
    [(429, None, True), (429, 1.0, True), (503, 1.0, True), (503, 0.0, True), (503, None, False), (500, 1.0, False)],
)
def test_a_503_asks_for_less_only_with_retry_after(status: int, retry_after_s: float | None, asks: bool) -> None:
    assert asks_for_less(answer(status, retry_after_s)) is asks


def test_without_a_limit_there_is_no_wait() -> None:
    pacing = take(Pacing(None), 5.0)
    assert (rate_at(pacing, 5.0), interval_at(pacing, 5.0)) == (None, 0.0)
    assert wait_at(pacing, 5.0) <= 0


def test_slots_are_evenly_spaced_even_if_they_are_taken_late() -> None:
    """A send that is a little late does not move the next slot; one that is very late does."""
    first = take(Pacing(10), 0.0)
    assert wait_at(first, 0.0) == pytest.approx(STRETCH / 10 - LATE_S)
    on_time = take(first, wait_at(first, 0.0) + LATE_S / 2)
    assert wait_at(on_time, 0.0) == pytest.approx(2 * STRETCH / 10 - LATE_S)
    late = take(first, 5.0)
    assert wait_at(late, 5.0) == pytest.approx(STRETCH / 10 - LATE_S)


@pytest.mark.parametrize(
    ("since_s", "rate"),
    [
        (-1, 5),
        (0, 5),
        (REGAIN_S / 2, 7.5),
        (REGAIN_S, 10),
        (REGAIN_S + BEYOND_S / 2, 15),
        (REGAIN_S + BEYOND_S, None),
        (1e6, None),
    ],
)
def test_a_run_without_a_limit_recovers_in_two_phases(since_s: float, rate: float | None) -> None:
    """The run sent ten a second when it was slowed."""
    pacing = slowed(sending(10, 5), 5.0)
    assert rate_at(pacing, 5.0 + since_s) == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("since_s", "rate"), [(0, 10), (REGAIN_S / 2, 15), (REGAIN_S, 20), (REGAIN_S + BEYOND_S / 2, 35), (1e6, 50)]
)
def test_a_run_with_a_limit_recovers_to_it(since_s: float, rate: float) -> None:
    pacing = slowed(sending(20, 5, limit=50), 5.0)
    assert rate_at(pacing, 5.0 + since_s) == pytest.approx(rate)


def test_the_smaller_of_the_current_and_the_observed_rate_is_halved() -> None:
    idle = slowed(sending(4, 5, limit=50), 5.0)
    assert rate_at(idle, 5.0) == pytest.approx(4 * DECREASE)
    busy = slowed(sending(40, 5, limit=10), 5.0)
    assert rate_at(busy, 5.0) == pytest.approx(10 * DECREASE)


@pytest.mark.parametrize(("limit", "least"), [(None, LEAST_RATE), (50, LEAST_RATE), (0.2, 0.2)])
def test_the_rate_never_falls_below_the_least_rate(limit: float | None, least: float) -> None:
    pacing, now = Pacing(limit), 0.0
    for _ in range(20):
        now += max(0.0, wait_at(pacing, now))
        pacing = slowed(take(pacing, now), now)
    assert rate_at(pacing, now) == pytest.approx(least)


def test_after_a_slowdown_the_next_slot_is_one_interval_later() -> None:
    pacing = slowed(sending(10, 5), 5.0)
    assert wait_at(pacing, 5.0) == pytest.approx(STRETCH / 5)


def test_a_request_sent_at_the_moment_of_a_429_does_not_slow_again() -> None:
    pacing = slowed(sending(10, 5), 5.0)
    assert rate_at(slowed(pacing, 5.1, sent_at=5.0), 5.0) == rate_at(pacing, 5.0)


def test_a_request_sent_before_the_slowdown_does_not_slow_again() -> None:
    """Ten 429s for ten requests in flight count as one, but each Retry-After counts."""
    pacing = slowed(sending(10, 5), 5.0)
    again = slowed(pacing, 5.1, retry_after_s=7, sent_at=4.9)
    assert rate_at(again, 5.0) == rate_at(pacing, 5.0)
    assert wait_at(again, 5.1) == pytest.approx(7)
    later = slowed(pacing, 5.2, sent_at=5.1)
    assert (rate_at(later, 5.2) or 0) < (rate_at(pacing, 5.2) or 0)


@pytest.mark.parametrize(("retry_after_s", "waits"), [(120, True), (121, False)])
def test_a_retry_after_beyond_the_longest_pause_delays_no_other_environment(retry_after_s: float, waits: bool) -> None:
    pacing = slowed(sending(10, 5), 5.0, retry_after_s)
    assert (wait_at(pacing, 5.0) >= 100) is waits
    assert rate_at(pacing, 5.0) == pytest.approx(5)


def test_a_shorter_retry_after_does_not_shorten_a_longer_one() -> None:
    pacing = slowed(slowed(Pacing(10), 0.0, retry_after_s=30), 1.0, retry_after_s=2)
    assert wait_at(pacing, 1.0) == pytest.approx(29)


@pytest.mark.parametrize(
    ("idle_s", "observed"), [(0.0, 8), (0.25, 6), (0.5, 4), (0.75, 2), (0.9, 1), (1.0, 1), (3.0, 1)]
)
def test_the_observed_rate_counts_the_last_second_or_two(idle_s: float, observed: float) -> None:
    """Eight a second were sent. The observed rate is never below one."""
    pacing = slowed(sending(8, 5), 5.0 + idle_s)
    assert pacing.slowed is not None
    assert pacing.slowed.too_fast == pytest.approx(observed)


@pytest.mark.parametrize(("now", "observed"), [(1.5, 8 + 4 * 0.5), (2.0, 8), (2.5, 4), (3.5, 1)])
def test_a_window_that_has_ended_counts_in_part(now: float, observed: float) -> None:
    """Four requests were sent in the first second, eight in the first half of the next."""
    pacing = Pacing(None)
    for at in (0.0, 0.25, 0.5, 0.75, *(1 + tick / 16 for tick in range(8))):
        pacing = take(pacing, at)
    found = slowed(pacing, now).slowed
    assert found is not None
    assert found.too_fast == pytest.approx(observed)


def test_after_a_pause_the_count_starts_again() -> None:
    pacing = sending(8, 5)
    for at in (10.0, 10.25, 10.5):
        pacing = take(pacing, at)
    found = slowed(pacing, 10.5).slowed
    assert found is not None
    assert found.too_fast == pytest.approx(3)


def test_a_window_that_is_half_over_counts_half_of_the_one_before() -> None:
    pacing = sending(8, 5)
    for at in (5.0, 5.25):
        pacing = take(pacing, at)
    found = slowed(pacing, 5.5).slowed
    assert found is not None
    assert found.too_fast == pytest.approx(2 + 8 / 2)


# --- for the progress display ----------------------------------------------------------------------


def test_a_run_that_was_not_slowed_has_no_slowdown() -> None:
    assert describe(Pacing(None), 0.0) is None
    assert describe(take(Pacing(10), 0.0), 0.0) is None


def test_a_slowdown_has_rate_and_pause_until_the_run_has_recovered() -> None:
    pacing = slowed(sending(10, 5), 5.0, retry_after_s=20, status=503)
    paused, recovering = describe(pacing, 5.0), describe(pacing, 30.0)
    assert paused is not None
    assert recovering is not None
    assert astuple(paused) == pytest.approx((503, 5, 20))
    assert astuple(recovering) == pytest.approx((503, 5 + 5 * 5 / REGAIN_S, 0.0))
    assert describe(pacing, 25.0 + REGAIN_S + BEYOND_S) is None


def test_a_run_that_was_slowed_to_its_own_limit_has_no_slowdown() -> None:
    pacing = slowed(take(Pacing(LEAST_RATE / 2), 0.0), 0.0)
    assert describe(pacing, 0.0) is None
