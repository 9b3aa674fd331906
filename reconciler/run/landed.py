"""Writes that end with an error although the store may hold them: one look at the store decides.

See docs/contract.md#lost-intents.

A disk can fail between the rename of a document and the sync of its folder, and the answer to a push can be lost. What
such a write stored is valid for every other run, but it may not survive a power cut.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from reconciler.errors import Conflict, StateError
from reconciler.ports import StateStore, Write, WriteResult

logger = logging.getLogger(__name__)


def write_and_look(store: StateStore, writes: Sequence[Write]) -> list[WriteResult]:
    """Write a batch, and set `landed` of the writes that fail. They share one read. Never raises StateError."""
    results = store.write(writes)
    unsure = [result.environment for result in results if _is_unsure(result)]
    if not unsure:
        return results
    try:
        found = store.read(unsure)
    except StateError as fault:
        logger.info("state: what the failed writes left can't be read: %s", fault)
        return [replace(result, landed=None) if _is_unsure(result) else result for result in results]
    looked = []
    for write, result in zip(writes, results, strict=True):
        stored = found.get(write.environment)
        if _is_unsure(result) and (stored.document if stored else None) == write.document:
            logger.info("state: %s was written, although the write failed: %s", write.environment, result.error)
            result = WriteResult(write.environment, stored.version if stored else None, result.error, landed=True)
        looked.append(result)
    return looked


def _is_unsure(result: WriteResult) -> bool:
    return result.error is not None and not isinstance(result.error, Conflict)
