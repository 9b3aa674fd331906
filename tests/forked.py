"""Runs of the program as processes that cost a tenth of a start: one Python imports it once and forks for each run.

A run is a process of its own: its exit code, streams, signals, environment and working directory are real, and nothing
of it is left for the next one. Two things differ from `python -m reconciler`: the interpreter was started before, so
variables that steer its start (PYTHON…, LANG, LC_…) have no effect, and all modules are imported already. Runs that
depend on one of those need a process of their own; RECONCILER_TEST_PROCESSES=own gives one to every run.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.measured import measured

ROOT = Path(__file__).resolve().parents[1]
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
# Read by the interpreter as it starts. What the server has, a run must have too.
STARTED_WITH = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
STEERING = ("PYTHON", "LC_", "LANG")
# imported late by the program, by most of its commands; rich and obstore are left to those who need them
LATE = ("httpx", "anyio._backends._asyncio", "jinja2", "filelock", "h11", "ssl", "asyncio", "concurrent.futures.thread")
OWN = os.environ.get("RECONCILER_TEST_PROCESSES") == "own"


def can_run(environ: Mapping[str, str]) -> bool:
    """Tell whether a forked run would be as one that is started: nothing steers the start of its interpreter."""
    steering = {name: value for name, value in environ.items() if name.startswith(STEERING)}
    return not OWN and hasattr(os, "fork") and steering == STARTED_WITH


@dataclass
class ForkServer:
    """The process that forks, started at the first run and ended by `close`."""

    _process: subprocess.Popen[bytes] | None = None
    _socket: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], stdin: int | None, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        """Run the program to its end: the exit code (negative: the signal that ended it), stdout and stderr."""
        with contextlib.ExitStack() as stack:

            def own(number: int) -> int:
                stack.callback(_close, number)
                return number

            out, out_there = map(own, os.pipe())
            err, err_there = map(own, os.pipe())
            ended, ended_there = map(own, os.pipe())
            given = own(os.open(os.devnull, os.O_RDONLY)) if stdin is None else stdin
            request = json.dumps([list(arguments), str(folder), dict(environ)]).encode()
            with self._lock:
                connection = self._connect()
                handles = array.array("i", [given, out_there, err_there, ended_there])
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
                connection.sendmsg([LENGTH.pack(len(request))], rights)
                connection.sendall(request)
            for number in (out_there, err_there, ended_there):
                os.close(number)
            return _collect(out, err, ended, timeout_s)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            self._socket, there = socket.socketpair()
            # xdist's workers ignore SIGINT, and a child would inherit that
            ignored = signal.signal(signal.SIGINT, signal.SIG_DFL)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.forked", str(there.fileno())],
                    cwd=ROOT,
                    env={**measured(), **STARTED_WITH, "PATH": os.environ["PATH"]},
                    pass_fds=[there.fileno()],
                )
            finally:
                signal.signal(signal.SIGINT, ignored)
            there.close()
        return self._socket

    def close(self) -> None:
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()


FORKS = ForkServer()
"""The one of this process, which tests/conftest.py closes."""


def _close(number: int) -> None:
    with contextlib.suppress(OSError):
        os.close(number)


def _collect(out: int, err: int, ended: int, timeout_s: float) -> tuple[int, bytes, bytes]:
    """What comes from the run until all three have ended. The first four bytes of `ended` are the process's id."""
    read = {out: b"", err: b"", ended: b""}
    end = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for number in read:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(end - time.monotonic())
            if not ready:
                if len(read[ended]) >= STATUS.size:
                    os.kill(STATUS.unpack_from(read[ended])[0], signal.SIGKILL)
                raise TimeoutError(f"no end within {timeout_s} s\n{read[out].decode()}\n{read[err].decode()}")
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                read[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
    assert len(read[ended]) == 2 * STATUS.size, "the server of runs has gone"
    return STATUS.unpack_from(read[ended], STATUS.size)[0], read[out], read[err]


# --- in the server -----------------------------------------------------------------------------------


def _serve(connection: socket.socket) -> None:
    """Fork for each request, and write each end to whoever asked, until the connection is closed."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    continue
                request = _receive(connection)
                if request is None:
                    return
                given, handles = request
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    selector.close()
                    for number in (woken, wake, connection.detach(), *running.values()):
                        os.close(number)
                    _become(given, handles)
                *streams, ended = handles
                for number in streams:
                    os.close(number)
                running[pid] = ended
                os.write(ended, STATUS.pack(pid))
            _report_ended(running)


def _receive(connection: socket.socket) -> tuple[Any, list[int]] | None:
    numbers = array.array("i")
    room = socket.CMSG_SPACE(4 * numbers.itemsize)
    head, rights, _, _ = connection.recvmsg(LENGTH.size, room)
    if not head:
        return None
    for _, _, data in rights:
        numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    (length,) = LENGTH.unpack(head)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    return json.loads(text), list(numbers)


def _report_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        ended = running.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # whoever asked waits no longer
            os.write(ended, STATUS.pack(os.waitstatus_to_exitcode(status)))
        os.close(ended)


def _become(given: Any, handles: list[int]) -> None:
    """In the forked process: be a Python that was started as `python -m reconciler` with these."""
    from reconciler import __main__ as program

    arguments, folder, environ = given
    *streams, ended = handles
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
        os.close(handle)
    os.close(ended)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.argv = [str(program.__file__), *arguments]
    sys.path[0] = folder
    sys.stdin = sys.__stdin__ = _stream(0, "r", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace")  # type: ignore[misc]
    sys.stderr.reconfigure(line_buffering=True)
    try:
        program.main()  # ends in os._exit
    finally:
        os._exit(70)  # nothing of the server may run on


def _stream(number: int, mode: str, errors: str) -> io.TextIOWrapper:
    made = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115 - for the whole run
    assert isinstance(made, io.TextIOWrapper)
    return made


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    import reconciler

    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that a collection in a run doesn't write to, and so copy, all that it shares
    _serve(connection)


if __name__ == "__main__":
    main()
