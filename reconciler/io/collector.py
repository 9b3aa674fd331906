"""Python's collector of reference cycles, switched off while a fleet is loaded and planned.

All objects that are made then are kept, or freed when their count of references reaches zero. Looking for cycles among
a million of them takes a third of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Switch the collector off in the block. It never looks at the objects made there: an apply takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
