"""At most `rate_limit` requests a second, over all environments, retries included; fewer where the server asks for it.

What the rate is, `core/pace.py` decides (CONTRACT §6.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from reconciler.core.attempts import Attempt
from reconciler.core.pace import Pacing, Slowdown, asks_for_less, describe, interval_at, slow, take, wait_at
from reconciler.ports import Clock

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

NEAR_S = 2.0  # how long a slot may be away when a lease begins: next to nothing of it
EARLY_S = 0.001  # slots nearer than this are there; and who wakes up earlier was woken by the end of the run
LONGEST_PAUSE_S = 120.0  # the default of `deadline`


class Pace:
    """Hands out the slots, in the order in which they were asked for."""

    def __init__(self, clock: Clock, rate_limit: float | None, *, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._clock = clock
        self._longest_pause_s = longest_pause_s
        self._pacing = Pacing(rate_limit)
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    @property
    def slowdown(self) -> Slowdown | None:
        """What the server asked for, while that holds."""
        return describe(self._pacing, self._clock.monotonic())

    async def wait_until_near(self, sleep: Sleep) -> None:
        """Returns when a slot is near, without taking it: a lease that begins now is not spent on waiting."""
        while (ahead := self._ahead_s() - NEAR_S) > EARLY_S:
            if not await self._sleep(sleep, ahead):
                return

    def _ahead_s(self) -> float:
        """When there would be a slot for one more."""
        now = self._clock.monotonic()
        wait = wait_at(self._pacing, now)
        return max(0.0, wait) + self._waiting * interval_at(self._pacing, now)

    async def wait(self, sleep: Sleep) -> None:
        """Returns when the caller may send, at once. `sleep` may end early (an interrupt); then there is no slot.

        First come, first served: who retries waits behind those that were there before.
        """
        self._waiting += 1
        try:
            async with self._find_turn():
                while (wait := wait_at(self._pacing, self._clock.monotonic())) > EARLY_S:
                    if not await self._sleep(sleep, wait):
                        return
                self._pacing = take(self._pacing, self._clock.monotonic())
        finally:
            self._waiting -= 1

    def slow_down_after(self, attempt: Attempt, sent_at: float) -> None:
        """What an answer says about the rate; `sent_at` is of the clock's `monotonic`."""
        if asks_for_less(attempt):
            now = self._clock.monotonic()
            self._pacing = slow(self._pacing, attempt, sent_at=sent_at, now=now, longest_pause_s=self._longest_pause_s)

    async def _sleep(self, sleep: Sleep, seconds: float) -> bool:
        """Whether it lasted as long."""
        until = self._clock.monotonic() + seconds
        await sleep(seconds)
        return self._clock.monotonic() > until - EARLY_S

    def _find_turn(self) -> asyncio.Lock:
        """Of this event loop: what is observed before an apply runs in another one than the apply."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn
