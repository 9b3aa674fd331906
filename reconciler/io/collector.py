"""Python's collector of cycles, off while a fleet is loaded and planned.

All that is made there is kept, or freed by counting: looking for cycles in a million objects takes a third of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """What was made meanwhile is never looked at again: a long apply would go through it over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
