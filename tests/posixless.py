"""A stand-in for a system without POSIX, for processes that a test starts: put it on their path as sitecustomize.py.

The package sees modules `os` and `signal` that lack what Windows lacks and behave as it does; all other modules see
the real ones, so that the standard library goes on working. It shows that nothing of POSIX is taken for granted. Only
Windows itself can show the rest.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import io
import os
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

PRODUCT = "reconciler"
MISSING = {
    "os": "O_NONBLOCK O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_SYNC fork getuid geteuid getgid getpgid setsid killpg fchmod"
    " chown fchown mkfifo openpty pread uname sysconf statvfs sched_getaffinity",
    "signal": "SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGPIPE SIGALRM SIGCHLD pthread_sigmask setitimer alarm",
}
MISSING_MODULES = {"fcntl", "pwd", "grp", "termios", "tty", "pty", "resource"}
O_BINARY = 1 << 40

_real = {name: getattr(os, name) for name in ("open", "read", "write", "close", "fstat")}
_in_text_mode: set[int] = set()


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    """A folder can't be opened; without O_BINARY the descriptor translates line ends."""
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    descriptor: int = _real["open"](path, flags & ~O_BINARY, mode)
    _in_text_mode.discard(descriptor)
    if not flags & O_BINARY:
        _in_text_mode.add(descriptor)
    return descriptor


def _read(descriptor: int, count: int) -> bytes:
    data: bytes = _real["read"](descriptor, count)
    return data.replace(b"\r\n", b"\n").partition(b"\x1a")[0] if descriptor in _in_text_mode else data


def _write(descriptor: int, data: Any) -> int:
    _real["write"](descriptor, bytes(data).replace(b"\n", b"\r\n") if descriptor in _in_text_mode else data)
    return len(data)


def _fstat(descriptor: int) -> os.stat_result:
    """Return a mode with which all users can read and write the file, as the system has no modes."""
    found = _real["fstat"](descriptor)
    return os.stat_result((stat.S_IFMT(found.st_mode) | 0o666, *tuple(found)[1:]))


def _signal(number: int, handler: Any) -> Any:
    if number not in (signal.SIGINT, signal.SIGTERM, signal.SIGTTIN):
        raise ValueError("invalid signal value")
    return signal.signal(number, handler)


def _without(module: ModuleType, changed: Mapping[str, object]) -> ModuleType:
    facade = ModuleType(module.__name__)
    facade.__dict__.update(module.__dict__)
    for name in MISSING[module.__name__].split():
        facade.__dict__.pop(name, None)
    facade.__dict__.update(changed)
    return facade


FACADES = {
    "os": _without(os, {"O_BINARY": O_BINARY, "open": _open, "read": _read, "write": _write, "fstat": _fstat}),
    # No test sends this signal, so it can represent Ctrl-Break.
    "signal": _without(signal, {"SIGBREAK": signal.SIGTTIN, "signal": _signal}),
}


def _install() -> None:
    real_import, real_open = builtins.__import__, io.open

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - their names
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        own = str((globals or {}).get("__package__") or (globals or {}).get("__name__")).partition(".")[0] == PRODUCT
        if own and level == 0 and name in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if own and level == 0 and name in FACADES:
            return FACADES[name]
        return real_import(name, globals, locals, fromlist or (), level)

    def open_(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        """Write text files with the system's line ends unless the writer says otherwise."""
        if newline is None and "b" not in mode and set(mode) & set("wax+"):
            newline = "\r\n"
        return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)

    def refuse(*_: object) -> None:
        raise NotImplementedError

    builtins.__import__ = import_
    io.open = builtins.open = open_
    asyncio.SelectorEventLoop.add_signal_handler = refuse  # type: ignore[method-assign,assignment]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="cp1252", newline="\r\n")  # type: ignore[union-attr]


if __name__ == "sitecustomize":
    _install()
