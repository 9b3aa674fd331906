"""How fast to send, and what a 429 does to it: decided here, done by `run/pace.py`.

See docs/contract.md#intent-put-outcome, docs/contract.md#retries.

Slots are evenly spaced at the rate in force. A 429, or a 503 with `Retry-After`, slows everybody: the rate is halved
(where there is none, from what was sent of late), and nobody sends until `Retry-After` is over. Then the rate grows
in two straight lines: within `REGAIN_S` to where it was slowed, within another `BEYOND_S` to the setting, or to twice
that rate and from there to no limit at all.

    rate
      │ ────╮                                  ╭──── the setting (or none)
      │     │                            ╭─────╯
      │     │                      ╭─────╯  BEYOND_S
      │     │             ╭────────╯  too_fast: where it was slowed
      │     ╰─────────────╯  REGAIN_S
      └──── 429 ── Retry-After ──────────────────── time
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.core.attempts import Attempt

# a little more than the limit asks for: what leaves evenly may arrive a few milliseconds closer together
STRETCH = 1.05
# how late a slot may be taken without moving those after it: a loop wakes up milliseconds late, and at 500/s a slot
# is two of them. Less than what STRETCH leaves free of a second, so that no second ever holds more than the limit
LATE_S = 0.02
WINDOW_S = 1.0  # what is sent within it is the rate observed
DECREASE = 0.5
LEAST_RATE = 1.0  # a server that lets nobody in is asked again all the same, and a small run is not held for minutes
REGAIN_S = 30.0
BEYOND_S = 60.0
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Slowed:
    """The last time that the server asked for less. Rates are sends a second."""

    at: float
    status: int  # 429 or 503
    too_fast: float  # the rate at which it was asked for
    rate: float  # from then on


@dataclass(frozen=True, slots=True)
class Pacing:
    """What is known at a moment; instants are seconds of a clock that never goes back. `limit`: None is none."""

    limit: float | None
    next_at: float = NEVER  # when the next slot begins
    closed_until: float = NEVER  # Retry-After
    slowed: Slowed | None = None
    window_at: float = NEVER  # the observed rate: a count of this window, and of the one before it
    sent: int = 0
    sent_before: int = 0


def asks_for_less(attempt: Attempt) -> bool:
    """A 429; a 503 only where it says when to come again: else it speaks of its own request alone."""
    return attempt.status == 429 or (attempt.status == 503 and attempt.retry_after_s is not None)


def rate_at(pacing: Pacing, now: float) -> float | None:
    """The rate in force, never above the limit; None: as fast as anybody likes."""
    slowed, limit = pacing.slowed, pacing.limit
    if slowed is None:
        return limit
    since = now - max(slowed.at, pacing.closed_until)
    if since <= 0:
        return slowed.rate
    if since < REGAIN_S:
        return slowed.rate + (slowed.too_fast - slowed.rate) * since / REGAIN_S
    if since < REGAIN_S + BEYOND_S:
        target = slowed.too_fast * 2 if limit is None else limit
        return slowed.too_fast + (target - slowed.too_fast) * (since - REGAIN_S) / BEYOND_S
    return limit


def interval_at(pacing: Pacing, now: float) -> float:
    """Seconds between two slots; 0 where there is no limit."""
    rate = rate_at(pacing, now)
    return 0.0 if rate is None else STRETCH / rate


def wait_at(pacing: Pacing, now: float) -> float:
    """Seconds until the next slot; not above 0: it is free."""
    return max(pacing.next_at, pacing.closed_until) - now


def take(pacing: Pacing, now: float) -> Pacing:
    """After a send at `now`, when the slot was free."""
    pacing = _count(pacing, now)
    interval = interval_at(pacing, now)
    if not interval:
        return pacing
    return replace(pacing, next_at=max(pacing.next_at, now - LATE_S) + interval)


def slow(pacing: Pacing, attempt: Attempt, *, sent_at: float, now: float, longest_pause_s: float) -> Pacing:
    """After an answer that `asks_for_less`, which came at `now`.

    What was sent before the rate was last lowered only tells again what is known, so it lowers nothing further; its
    `Retry-After` counts all the same. One longer than `longest_pause_s` closes the door for nobody: it ended its own
    environment's attempts at once (docs/contract.md#retries), and a single answer must not stop a run for hours.
    """
    closed = pacing.closed_until
    if attempt.retry_after_s is not None and attempt.retry_after_s <= longest_pause_s:
        closed = max(closed, now + attempt.retry_after_s)
    if pacing.slowed is not None and sent_at <= pacing.slowed.at:
        return replace(pacing, closed_until=closed)
    least = LEAST_RATE if pacing.limit is None else min(LEAST_RATE, pacing.limit)
    too_fast = max(1.0, _observed(pacing, now))
    in_force = rate_at(pacing, now)
    if in_force is not None:
        too_fast = min(too_fast, in_force)
    too_fast = max(too_fast, least)
    slowed = Slowed(now, attempt.status or 429, too_fast, max(too_fast * DECREASE, least))
    return replace(pacing, closed_until=closed, slowed=slowed, next_at=max(pacing.next_at, now + STRETCH / slowed.rate))


def _count(pacing: Pacing, now: float) -> Pacing:
    since = now - pacing.window_at
    if since < WINDOW_S:
        return replace(pacing, sent=pacing.sent + 1)
    if since < 2 * WINDOW_S:
        return replace(pacing, window_at=pacing.window_at + WINDOW_S, sent=1, sent_before=pacing.sent)
    return replace(pacing, window_at=now, sent=1, sent_before=0)


def _observed(pacing: Pacing, now: float) -> float:
    """Sends a second of late: this window's, and the part of the last one that is less than a window ago."""
    since = now - pacing.window_at
    if since >= 2 * WINDOW_S:
        return 0.0
    if since >= WINDOW_S:
        return pacing.sent * (2 - since / WINDOW_S) / WINDOW_S
    return (pacing.sent + pacing.sent_before * (1 - since / WINDOW_S)) / WINDOW_S


@dataclass(frozen=True, slots=True)
class Slowdown:
    """What slows a run at a moment, for who watches."""

    status: int  # of the answer that asked for less
    rate: float  # sends a second
    pause_s: float  # until anything is sent again; 0: it is


def describe(pacing: Pacing, now: float) -> Slowdown | None:
    """None where nothing but the setting holds."""
    if pacing.slowed is None:
        return None
    rate = rate_at(pacing, now)
    if rate is None or rate == pacing.limit:
        return None
    return Slowdown(pacing.slowed.status, rate, max(0.0, pacing.closed_until - now))
