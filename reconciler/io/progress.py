"""The number of items that a long step has done: the code that does the step counts, and the display watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Watcher = Callable[[int, int, str], None]
"""Called with the number of finished items, the number of all, and the step's own words, if it has any."""

_watcher: ContextVar[Watcher | None] = ContextVar("_watcher", default=None)


def find_watcher() -> Watcher | None:
    """Return the watcher of the block that this thread or task is in; None if there is none."""
    return _watcher.get()


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` for each item that is counted within the block, in this thread and the tasks that it starts."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def counted(items: Iterable[T], total: int) -> Iterator[T]:
    """Yield the items, and report each finished one to the watcher, if there is one."""
    if _watcher.get() is None:
        yield from items
        return
    for done, item in enumerate(items, start=1):
        yield item
        report_done(done, total)


def report_done(done: int, total: int, doing: str = "") -> None:
    """Report the number of finished items to the watcher, if there is one."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(done, total, doing)
