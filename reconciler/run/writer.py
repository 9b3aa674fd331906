"""Gathers the state writes of many environments into few: who comes while a write is under way joins the next.

A write to the store costs about the same for one document as for a batch (a lock and a sync of the folder, a
push of the branch), so the workers share them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from reconciler.ports import StateStore, Write, Written

T = TypeVar("T")


class Offload(Protocol):
    """Runs a blocking call off the event loop: `asyncio.to_thread`."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(slots=True)
class _Batch:
    writes: list[Write] = field(default_factory=list)
    done: asyncio.Task[list[Written]] | None = None


class StateWriter:
    """`write` returns once its own write is durable, or has failed."""

    def __init__(self, store: StateStore, offload: Offload) -> None:
        self._store = store
        self._offload = offload
        self._gathering: _Batch | None = None
        self._latest: asyncio.Task[list[Written]] | None = None

    async def write(self, write: Write) -> Written:
        batch = self._gathering
        if batch is None or batch.done is None:
            batch = self._gathering = _Batch()
            batch.done = self._latest = asyncio.create_task(self._write_batch(batch, self._latest))
        place = len(batch.writes)
        batch.writes.append(write)
        # shielded: one worker that is cancelled must not take back the writes of the others
        results = await asyncio.shield(batch.done)
        return results[place]

    async def _write_batch(self, batch: _Batch, before: asyncio.Task[list[Written]] | None) -> list[Written]:
        if before is not None:
            await asyncio.wait({before})
        self._gathering = None
        return await self._offload(lambda: self._store.write(batch.writes))
