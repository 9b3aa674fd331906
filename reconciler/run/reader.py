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

BATCH = 100  # documents; with ten records of history each takes some 20 kB
REST = BATCH // 2  # documents; when no more than this are left, the next batch is read


class StateReader:
    """The documents of a wave, read in batches in the wave's order, each while the one before is used up.

    A document may have been read some time ago. A write over a newer one fails in the compare-and-swap.
    """

    def __init__(
        self, store: StateStore, offload: Offload, environments: Iterable[str], is_over: Callable[[], bool]
    ) -> None:
        self._store = store
        self._offload = offload
        self._to_read = deque(environments)
        self._wanted = frozenset(self._to_read)
        self._is_over = is_over  # returns whether the run is over, so that no further document is needed
        self._read: dict[str, Stored | None] = {}
        self._one_by_one: set[str] = set()  # environments whose batch could not be read
        self._taking = asyncio.Lock()
        self._batch: asyncio.Task[None] | None = None  # the batch that is being read

    async def take(self, environment: str) -> Stored | None:
        """Return the document of an environment, once.

        None if it has no document, if it is not one of those to read, or if the run is over. Raises StateError.
        """
        async with self._taking:  # also without a read, so that no environment overtakes those before it
            while environment in self._wanted and environment not in self._read and not self._is_over():
                if environment in self._one_by_one:
                    await self._read_all([environment])
                else:
                    await self._begin_batch()
        found = self._read.pop(environment, None)
        if len(self._read) <= REST and self._to_read and not self._is_over():
            self._begin_batch()
        return found

    def _begin_batch(self) -> asyncio.Future[None]:
        """Begin to read the next batch, unless one is being read. Return a future that ends with it."""
        if self._batch is None:
            self._batch = asyncio.create_task(self._read_batch())
        # shielded: the cancellation of one environment must not cancel the read of the others
        return asyncio.shield(self._batch)

    async def _read_batch(self) -> None:
        batch = [self._to_read.popleft() for _ in range(min(BATCH, len(self._to_read)))]
        try:
            await self._read_all(batch)
        except StateError:
            # One bad document must not fail the others, so each is read alone, and only when its environment needs it.
            # So a store that does not answer costs one timeout, not a hundred.
            self._one_by_one.update(batch)
        finally:
            self._batch = None

    async def _read_all(self, environments: Sequence[str]) -> None:
        found = await self._offload(lambda: self._store.read(environments))
        logger.debug("state: %d of %d documents read ahead of their turn", len(found), len(environments))
        self._read.update((environment, found.get(environment)) for environment in environments)
