"""Reads whole documents some way ahead of the workers: a journey for many, and in memory no more than a batch."""

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
    """Takes documents in the order in which a wave comes to them.

    What is taken may have been read a while ago: whoever writes over it is told by the compare-and-swap.
    """

    def __init__(
        self, store: StateStore, offload: Offload, environments: Iterable[str], is_over: Callable[[], bool]
    ) -> None:
        self._store = store
        self._offload = offload
        self._to_read = deque(environments)
        self._is_over = is_over  # whether nobody has a use for what is still to be read
        self._read: dict[str, Stored | None] = {}
        self._one_by_one: set[str] = set()  # their batch could not be read
        self._alone = asyncio.Lock()

    async def take(self, environment: str) -> Stored | None:
        """The document of one of the environments, once; None where it has none, or the run is over meanwhile.

        Raises StateError.
        """
        async with self._alone:
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
            # one that can't be read is no hindrance to the others. Each only when its turn comes: a store that
            # doesn't answer is found out by the first, not waited for two hundred times
            self._one_by_one.update(batch)

    async def _read_all(self, environments: Sequence[str]) -> None:
        found = await self._offload(lambda: self._store.read(environments))
        logger.debug("state: %d of %d documents read ahead of their turn", len(found), len(environments))
        self._read.update((environment, found.get(environment)) for environment in environments)
