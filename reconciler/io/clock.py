"""The machine's clocks and chance."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime


class SystemClock:
    """A `Clock` of the ports."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing
