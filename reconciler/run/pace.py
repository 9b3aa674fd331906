"""The slots of the rate limit: at most `rate_limit` requests a second over all environments, retries included.

`core/pace.py` decides the rate, also after a server has asked for fewer requests (docs/contract.md#intent-put-outcome).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from reconciler.core.attempts import Attempt
from reconciler.core.pace import Pacing, Slowdown, asks_for_less, describe, interval_at, slow, take, wait_at
from reconciler.ports import Clock

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

NEAR_S = 2.0  # the longest wait for a slot when a lease begins; it is a small part of any lease
# A slot nearer than this is taken. A sleep that ends earlier by more than this was ended by the run's end.
SLEEP_TOLERANCE_S = 0.001
LONGEST_PAUSE_S = 120.0  # the default of `deadline`


class Pace:
    """The slots of one run, given in the order in which they were asked for."""

    def __init__(self, clock: Clock, rate_limit: float | None, *, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._clock = clock
        self._longest_pause_s = longest_pause_s
        self._pacing = Pacing(rate_limit)
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    @property
    def slowdown(self) -> Slowdown | None:
        """Return the slowdown that a server asked for; None if there is none."""
        return describe(self._pacing, self._clock.monotonic())

    async def wait_until_near(self, sleep: Sleep) -> None:
        """Wait until a slot is near, without taking it, so that a lease that begins then is not spent on waiting."""
        while (ahead := self._ahead_s() - NEAR_S) > SLEEP_TOLERANCE_S:
            if not await self._sleep(sleep, ahead):
                return

    def _ahead_s(self) -> float:
        """Return how long one more request would wait for its slot."""
        now = self._clock.monotonic()
        wait = wait_at(self._pacing, now)
        return max(0.0, wait) + self._waiting * interval_at(self._pacing, now)

    async def wait(self, sleep: Sleep) -> None:
        """Wait for a slot and take it. The caller sends at once. If `sleep` ends early (a signal), no slot is taken.

        Slots are given in the order of the calls: a retry waits behind the requests that are waiting already.
        """
        self._waiting += 1
        try:
            async with self._find_turn():
                while (wait := wait_at(self._pacing, self._clock.monotonic())) > SLEEP_TOLERANCE_S:
                    if not await self._sleep(sleep, wait):
                        return
                self._pacing = take(self._pacing, self._clock.monotonic())
        finally:
            self._waiting -= 1

    def slow_down_after(self, attempt: Attempt, sent_at: float) -> None:
        """Slow down if the attempt's answer asks for it. `sent_at` is a time of the clock's `monotonic`."""
        if asks_for_less(attempt):
            now = self._clock.monotonic()
            self._pacing = slow(self._pacing, attempt, sent_at=sent_at, now=now, longest_pause_s=self._longest_pause_s)

    async def _sleep(self, sleep: Sleep, seconds: float) -> bool:
        """Sleep, and return whether the sleep lasted its whole time."""
        until = self._clock.monotonic() + seconds
        await sleep(seconds)
        return self._clock.monotonic() > until - SLEEP_TOLERANCE_S

    def _find_turn(self) -> asyncio.Lock:
        """Return the lock of this event loop. Reads before an apply run in another loop than the apply."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn
