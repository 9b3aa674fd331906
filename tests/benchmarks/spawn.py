"""Run one command and print its cost; started by path, as a separate process.

Linux counts the memory of the parent into the peak of the process that it starts, so the parent has to be
small: this file imports only os, sys and time, and nothing from the project.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Print exit code, wall seconds, CPU seconds and peak KiB of the command in the arguments."""
    errors, *command = sys.argv[1:]
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    begun = time.perf_counter()
    started = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(started, 0)
    wall_s = time.perf_counter() - begun
    print(os.waitstatus_to_exitcode(status), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


if __name__ == "__main__":
    main()
