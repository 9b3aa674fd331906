"""Batches of state writes: a write requested while another is in flight joins the next batch.

A write to the store costs about the same for one document as for a batch (a lock and a sync of the folder, or a push of
the branch), so the workers share them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from msgspec import Struct, field

from reconciler.ports import StateStore, Write, WriteResult
from reconciler.run.landed import write_and_look

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Offload(Protocol):
    """Run a blocking call in a thread, as `asyncio.to_thread` does."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


class _Batch(Struct):
    writes: list[Write] = field(default_factory=list)
    done: asyncio.Task[list[WriteResult]] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class StateWriter:
    """The writer of one run. `write` returns when its own write is durable or has failed.

    If a write costs a round trip (a push), a batch waits for others to join it: until every caller in `expecting_write`
    waits for the batch, and at most the store's `gather_s`.
    """

    def __init__(self, store: StateStore, offload: Offload) -> None:
        self._store = store
        self._offload = offload
        self._gathering: _Batch | None = None
        self._latest: asyncio.Task[list[WriteResult]] | None = None
        self._expected = 0
        self._gathers_no_more = False

    @property
    def gathers(self) -> bool:
        """Return whether a batch waits for further writes."""
        return self._store.gather_s > 0

    def stop_gathering(self) -> None:
        """Write each batch at once from now on: the process may be ended soon. Writes still share a round trip."""
        self._gathers_no_more = True
        if self._gathering is not None:
            self._gathering.changed.set()

    @contextmanager
    def expecting_write(self) -> Iterator[None]:
        """Mark a caller that may request another write. A batch waits for it."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if self._gathering is not None:
                self._gathering.changed.set()

    async def write(self, write: Write) -> WriteResult:
        """Write one document as a part of a batch."""
        batch = self._gathering
        if batch is None or batch.done is None:
            batch = self._gathering = _Batch()
            batch.done = self._latest = asyncio.create_task(self._write_batch(batch, self._latest))
        index = len(batch.writes)
        batch.writes.append(write)
        batch.changed.set()
        # shielded: the cancellation of one worker must not cancel the writes of the others
        results = await asyncio.shield(batch.done)
        return results[index]

    async def _write_batch(self, batch: _Batch, before: asyncio.Task[list[WriteResult]] | None) -> list[WriteResult]:
        if before is not None:
            await asyncio.wait({before})
        if self.gathers and not self._gathers_no_more:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._store.gather_s):
                    await self._wait_for_all(batch)
        self._gathering = None
        begun = time.monotonic()
        results = await self._offload(lambda: write_and_look(self._store, batch.writes))
        written = sum(1 for result in results if result.error is None)
        seconds = time.monotonic() - begun
        logger.debug("state: %d of %d documents of a batch written in %.3f s", written, len(results), seconds)
        return results

    async def _wait_for_all(self, batch: _Batch) -> None:
        while len(batch.writes) < self._expected and not self._gathers_no_more:
            batch.changed.clear()
            await batch.changed.wait()
