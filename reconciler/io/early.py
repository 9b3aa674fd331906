"""A call that is begun in a thread before its result is needed, so that its waiting costs no time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from reconciler.io.progress import Watcher, find_watcher, watching

T = TypeVar("T")


class EarlyCall(Generic[T]):
    """A call in flight. If its result is never asked for, nothing waits for it, and its error is not raised."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._watcher: Watcher | None = None  # of the thread that waits for the result
        pool = ThreadPoolExecutor(1, "early")
        self._future = pool.submit(self._run, call)
        pool.shutdown(wait=False)

    def _run(self, call: Callable[[], T]) -> T:
        with watching(self._report):
            return call()

    def _report(self, done: int, total: int, doing: str) -> None:
        if self._watcher is not None:
            self._watcher(done, total, doing)

    def result(self) -> T:
        """Wait for the end of the call. Return its result, or raise its error."""
        self._watcher = find_watcher()
        return self._future.result()

    def when_done(self, then: Callable[[], None]) -> None:
        """Call `then` when the call has ended: at once, or in its thread."""
        self._future.add_done_callback(lambda _: then())
