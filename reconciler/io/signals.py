"""Signals, handled in one way on all systems. A signal ends the program with exit code 130.

See docs/contract.md#commands, docs/contract.md#signals.

`end_on_signals` is for times without a PUT in flight: the process ends at once. `stop_on_signals` is for times with
one: the first signal lets the PUTs finish, and the second ends the process. `cli/apply.py` decides what the first one
does to an apply.

Ending a process without unwinding is safe at any moment, because every state write is atomic. A KeyboardInterrupt in
the middle of an import or of a library's clean-up is not safe. This module is imported first, so it must stay light.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, the request to end, a closed terminal and, on Windows, Ctrl-Break."""

HANGUP = getattr(signal, "SIGHUP", None)
HANGUP_S = 0.25  # when a terminal closes, its shell and the kernel each send SIGHUP

Handler = Callable[[int, FrameType | None], object]
_Former = Handler | int | None


_clean_ups: dict[Callable[[], None], None] = {}  # a set that keeps the order


def remember_clean_up(clean_up: Callable[[], None]) -> None:
    """Call `clean_up` before a signal ends the process: nothing else is unwound then. It may raise OSError."""
    _clean_ups[clean_up] = None


def forget_clean_up(clean_up: Callable[[], None]) -> None:
    """Don't call `clean_up` any more."""
    _clean_ups.pop(clean_up, None)


def clean_up_rest() -> None:
    """Do the remembered clean-ups, before the process ends without unwinding or while a thread still works."""
    for clean_up in list(_clean_ups):
        with contextlib.suppress(OSError):
            clean_up()


def end_on_signals() -> None:
    """End the process at a signal from now on. Does nothing in a thread, where no handler can be set."""
    _install(_end_idle)


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Call `handler` for each signal within the block; restore the former handlers afterwards."""
    before = _install(handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def stop_on_signals(on_first: Callable[[], None], last_words: str | None) -> Iterator[None]:
    """Call `on_first` in the running loop at the first signal within the block; end the process at the second.

    The second signal writes `last_words` to stderr. It does not wait for the loop, which may be busy. Without
    `last_words` later signals change nothing, also after the block: GitHub's runner sends another kind a little later,
    and the remaining work must be done by then.
    """
    from asyncio import get_running_loop

    loop = get_running_loop()
    first: list[tuple[int, float]] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if not first:
            first.append((number, time.monotonic()))
            loop.call_soon_threadsafe(on_first)
        elif last_words is not None and not _is_same_hangup(number, first[0]):
            _end(last_words)

    if last_words is None:
        _install(on_signal)
        try:
            yield
        finally:
            _install(_ignore)
        return
    with handling(on_signal):
        yield


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing, but don't have the system ignore the signal: a program that is started here would ignore it too."""


def _is_same_hangup(number: int, first: tuple[int, float]) -> bool:
    return number == first[0] == HANGUP and time.monotonic() - first[1] < HANGUP_S


def _install(handler: Handler) -> dict[int, _Former]:
    before: dict[int, _Former] = {}
    for number in SIGNALS:
        # nohup ignores SIGHUP on purpose. In a script's background job SIGINT is ignored too, but we still handle it.
        if number == HANGUP and signal.getsignal(number) is signal.SIG_IGN:
            continue
        with contextlib.suppress(ValueError):  # not the main thread
            before[number] = signal.signal(number, handler)
    return before


def _end_idle(_number: int, _frame: FrameType | None) -> None:
    _end("interrupted: nothing further was done")


def _end(words: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{words}\n".encode())
    clean_up_rest()
    os._exit(INTERRUPTED)
