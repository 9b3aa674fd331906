"""What a signal does while nothing is under way: the run ends with 130, at once (CONTRACT §4, §6.11).

Light, as it is the first thing that is imported. `apply` takes the signals over while PUTs are under way. Ending
without unwinding is safe at any moment, as every state write is: a KeyboardInterrupt in the middle of somebody's
import or clean-up is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

INTERRUPTED = 130


def end_at_once(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted: nothing further was done\n")
    os._exit(INTERRUPTED)


def end_on_signals() -> None:
    """Installs it for SIGINT and SIGTERM; in a thread that may not, nothing changes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):
            signal.signal(number, end_at_once)
