"""Reads whole documents some way ahead of the workers: a journey for many, and in memory no more than a batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from reconciler.errors import StateError
from reconciler.model import Stored
from reconciler.ports import StateStore
from reconciler.run.writer import Offload

BATCH = 200  # documents; with ten records of history each takes some 20 kB


class StateReader:
    """Takes documents in the order in which a wave comes to them.

    What is taken may have been read a while ago: whoever writes over it is told by the compare-and-swap.
    """

    def __init__(self, store: StateStore, offload: Offload, environments: Iterable[str]) -> None:
        self._store = store
        self._offload = offload
        self._to_read = deque(environments)
        self._read: dict[str, Stored | StateError | None] = {}
        self._alone = asyncio.Lock()

    async def take(self, environment: str) -> Stored | None:
        """The document of one of the environments, once; None where it has none. Raises StateError."""
        async with self._alone:
            while environment not in self._read:
                await self._read_batch()
        found = self._read.pop(environment)
        if isinstance(found, StateError):
            raise found
        return found

    async def _read_batch(self) -> None:
        batch = [self._to_read.popleft() for _ in range(min(BATCH, len(self._to_read)))]
        try:
            found = await self._offload(lambda: self._store.read(batch))
        except StateError:
            # one that can't be read is no hindrance to the others
            for environment in batch:
                self._read[environment] = await self._read_one(environment)
        else:
            self._read.update((environment, found.get(environment)) for environment in batch)

    async def _read_one(self, environment: str) -> Stored | StateError | None:
        try:
            return (await self._offload(lambda: self._store.read([environment]))).get(environment)
        except StateError as fault:
            return fault
