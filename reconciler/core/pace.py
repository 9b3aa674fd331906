"""The rate of sending, and its slowdown after a 429. The decisions are here; `run/pace.py` waits for the slots.

See docs/contract.md#intent-put-outcome, docs/contract.md#retries.

Slots are evenly spaced at the current rate. A 429, or a 503 with `Retry-After`, slows all workers: the rate is halved
(without a limit, half of the rate observed), and nothing is sent until `Retry-After` is over. Then the rate grows
linearly in two phases: within `REGAIN_S` to the rate at which it was slowed, then within `BEYOND_S` to the setting; if
there is no setting, to twice that rate, after which there is no limit again.

    rate
      │ ────╮                                  ╭──── the setting (or none)
      │     │                            ╭─────╯
      │     │                      ╭─────╯  BEYOND_S
      │     │             ╭────────╯  too_fast: where it was slowed
      │     ╰─────────────╯  REGAIN_S
      └──── 429 ── Retry-After ──────────────────── time
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.attempts import Attempt

# slots are a little wider than the limit requires, as requests may arrive a few milliseconds closer than they were sent
STRETCH = 1.05
# a slot may be taken this late without moving the later ones: an event loop wakes up milliseconds late, and at 500/s a
# slot lasts two. It is less than STRETCH leaves free in a second, so that no second has more requests than the limit
LATE_S = 0.02
WINDOW_S = 1.0  # the requests sent within it are the observed rate
DECREASE = 0.5
LEAST_RATE = 1.0  # even a server that refuses everything is asked again, and a small run does not take minutes
REGAIN_S = 30.0
BEYOND_S = 60.0
NEVER = float("-inf")


class Slowed(Struct, frozen=True):
    """The last slowdown that the server asked for. Rates are sends a second."""

    at: float
    status: int  # 429 or 503
    too_fast: float  # the rate before it
    rate: float  # the rate right after it


class Pacing(Struct, frozen=True):
    """The rate limiter's data. Instants are seconds of a clock that never goes back. `limit` None: unlimited."""

    limit: float | None
    next_at: float = NEVER  # when the next slot begins
    closed_until: float = NEVER  # Retry-After
    slowed: Slowed | None = None
    window_at: float = NEVER  # when the window of the observed rate began
    sent: int = 0  # in this window
    sent_before: int = 0  # in the window before it


def asks_for_less(attempt: Attempt) -> bool:
    """Return whether an answer asks to slow down: a 429, or a 503 with `Retry-After`.

    A 503 without it is about a single request.
    """
    return attempt.status == 429 or (attempt.status == 503 and attempt.retry_after_s is not None)


def rate_at(pacing: Pacing, now: float) -> float | None:
    """Return the current rate, never above the limit; None if it is unlimited."""
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
    """Return the seconds between two slots; 0 without a limit."""
    rate = rate_at(pacing, now)
    return 0.0 if rate is None else STRETCH / rate


def wait_at(pacing: Pacing, now: float) -> float:
    """Return the seconds until the next slot. It is free if they are not above 0."""
    return max(pacing.next_at, pacing.closed_until) - now


def take(pacing: Pacing, now: float) -> Pacing:
    """Return the pacing after a send at `now`, in a slot that was free."""
    pacing = _count(pacing, now)
    interval = interval_at(pacing, now)
    if not interval:
        return pacing
    return replace(pacing, next_at=max(pacing.next_at, now - LATE_S) + interval)


def slow(pacing: Pacing, attempt: Attempt, *, sent_at: float, now: float, longest_pause_s: float) -> Pacing:
    """Return the pacing after an answer at `now` that `asks_for_less`.

    An answer to a request from before the last slowdown does not lower the rate again, but its `Retry-After` counts.
    A `Retry-After` longer than `longest_pause_s` delays no other environment. It ended the attempts of the environment
    that got it (docs/contract.md#retries), and a single answer must not stop a run for hours.
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
    """Return the recent sends a second: this window's, and the part of the last window that is recent enough."""
    since = now - pacing.window_at
    if since >= 2 * WINDOW_S:
        return 0.0
    if since >= WINDOW_S:
        return pacing.sent * (2 - since / WINDOW_S) / WINDOW_S
    return (pacing.sent + pacing.sent_before * (1 - since / WINDOW_S)) / WINDOW_S


class Slowdown(Struct, frozen=True):
    """The slowdown of a run at a moment, for the progress display."""

    status: int  # of the answer that asked for less
    rate: float  # sends a second
    pause_s: float  # until the next send; 0: there is no pause


def describe(pacing: Pacing, now: float) -> Slowdown | None:
    """Return the slowdown at `now`; None if only the setting limits the rate."""
    if pacing.slowed is None:
        return None
    rate = rate_at(pacing, now)
    if rate is None or rate == pacing.limit:
        return None
    return Slowdown(pacing.slowed.status, rate, max(0.0, pacing.closed_until - now))
