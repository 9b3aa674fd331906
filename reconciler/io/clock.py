"""The machine's clocks and its source of random numbers."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine as a `ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # late: every command makes a clock, and few wait

        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        import random  # late, as above

        return random.random()  # noqa: S311 - it spreads retries and protects nothing
