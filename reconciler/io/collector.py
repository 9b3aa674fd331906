"""A switch for Python's garbage collector, which is off while a fleet is loaded and planned.

The objects made in that time are kept, or freed when their reference count reaches zero. Searching a million of them
for reference cycles would take a third of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Switch the collector off in the block. It will never search the objects that were made there."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
