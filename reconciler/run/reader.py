"""Reads of whole documents ahead of the workers: one round trip for a batch, and only a batch in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from reconciler.errors import StateError
from reconciler.model import Stored
from reconciler.ports import StateStore
from reconciler.run.writer import Offload

logger = logging.getLogger(__name__)

BATCH = 200  # documents; with ten records of history each takes some 20 kB


class StateReader:
    """The documents of a wave, read in batches in the wave's order.

    A document may have been read some time ago. A write over a newer one fails in the compare-and-swap.
    """

    def __init__(
        self, store: StateStore, offload: Offload, environments: Iterable[str], is_over: Callable[[], bool]
    ) -> None:
        self._store = store
        self._offload = offload
        self._to_read = deque(environments)
        self._is_over = is_over  # returns whether the run is over, so that no further document is needed
        self._read: dict[str, Stored | None] = {}
        self._one_by_one: set[str] = set()  # environments whose batch could not be read
        self._reading = asyncio.Lock()

    async def take(self, environment: str) -> Stored | None:
        """Return the document of an environment, once. None if it has no document, or if the run is over.

        Raises StateError.
        """
        async with self._reading:
            while environment not in self._read and not self._is_over():
                if environment in self._one_by_one:
                    await self._read_all([environment])
                else:
                    await self._read_batch()
        return self._read.pop(environment, None)

    async def _read_batch(self) -> None:
        batch = [self._to_read.popleft() for _ in range(min(BATCH, len(self._to_read)))]
        try:
            await self._read_all(batch)
        except StateError:
            # One bad document must not fail the others, so each is read alone, and only when its environment needs it.
            # So a store that does not answer costs one timeout, not two hundred.
            self._one_by_one.update(batch)

    async def _read_all(self, environments: Sequence[str]) -> None:
        found = await self._offload(lambda: self._store.read(environments))
        logger.debug("state: %d of %d documents read ahead of their turn", len(found), len(environments))
        self._read.update((environment, found.get(environment)) for environment in environments)
