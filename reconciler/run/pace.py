"""At most `rate_limit` requests a second, over all environments, retries included (CONTRACT §6.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from reconciler.ports import Clock

STRETCH = 1.05


class Pace:
    """Hands out evenly spaced slots, so that no second ever holds more than the limit."""

    def __init__(self, clock: Clock, rate_limit: float | None) -> None:
        self._clock = clock
        # a little more than the limit asks for: what leaves evenly may arrive a few milliseconds closer together
        self._interval_s = 0.0 if rate_limit is None else STRETCH / rate_limit
        self._next = float("-inf")

    async def near(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Returns when a slot is free, without taking it: a lease that begins now is not spent on waiting."""
        ahead = self._next - self._clock.monotonic()
        if ahead > 0:
            await sleep(ahead)

    async def wait(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Returns when the caller may send. `sleep` may end early (an interrupt); the slot is then spent."""
        if not self._interval_s:
            return
        now = self._clock.monotonic()
        slot = max(now, self._next)
        self._next = slot + self._interval_s
        if slot > now:
            await sleep(slot - now)
