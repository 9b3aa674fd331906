"""A few workers for many items, so that memory grows with the items in work and not with all items."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def for_each(items: Iterable[T], width: int, do: Callable[[T], Awaitable[None]]) -> None:
    """Await `do` for every item, in order, at most `width` at a time."""
    queue = deque(items)

    async def work() -> None:
        while queue:
            await do(queue.popleft())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(width, len(queue))):
            tasks.create_task(work())
