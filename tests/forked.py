"""Runs of the program as processes that cost a tenth of a start: one Python imports it once and forks for each run.

A run is a process of its own: its exit code, streams, signals, environment and working directory are real, and nothing
of it is left for the next one. Two things differ from `python -m reconciler`: the interpreter was started before, so
variables that steer its start (PYTHON…, LANG, LC_…) have no effect, and all modules are imported already, and ready to
read a document, so that nothing in the working directory can take their place. Runs that depend on one of those need a
process of their own; RECONCILER_TEST_PROCESSES=own gives one to every run.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import fork_client
from tests.fork_client import LENGTH, STATUS
from tests.measured import measured

ROOT = Path(__file__).resolve().parents[1]
# Read by the interpreter as it starts. What the server has, a run must have too.
STARTED_WITH = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
STEERING = ("PYTHON", "LC_", "LANG")
# Imported late by the program, and by most of its commands. rich and obstore are left to those that need them.
LATE = ("httpx", "anyio._backends._asyncio", "jinja2", "filelock", "h11", "ssl", "asyncio", "concurrent.futures.thread")
# Before the first document is read, its schema is made, which takes as long as most runs.
DOCUMENT = b"""{"format": "reconciler.state/2", "environment": "x", "lineage": "x", "serial": 1,
"applied": null, "intent": null, "last": null, "history": []}"""
OWN = os.environ.get("RECONCILER_TEST_PROCESSES") == "own"


def can_run(environ: Mapping[str, str]) -> bool:
    """Return whether a forked run equals a started one: no variable changes the start of its interpreter."""
    steering = {name: value for name, value in environ.items() if name.startswith(STEERING)}
    return not OWN and hasattr(os, "fork") and steering == STARTED_WITH


@dataclass
class ForkServer:
    """The process that forks. It is started at the first run, and ended by `close` or with this process."""

    _process: subprocess.Popen[bytes] | None = None
    _folder: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        """Return the Unix socket on which it takes requests."""
        with self._lock:
            if self._process is None:
                self._folder = tempfile.mkdtemp(prefix="forks-")
                self._process = _start(f"{self._folder}/socket")
            return f"{self._folder}/socket"

    def write_program(self, path: Path) -> None:
        """Write a program that replaces an installed `reconciler` in scripts, and is run by this server."""
        if OWN:
            write_own_program(path)
            return
        client = f"{sys.executable} -I -S {fork_client.__file__} {self.address}"
        path.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        path.chmod(0o755)

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], stdin: int | None, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        """Run the program to its end; return exit code (negative for a signal), stdout and stderr."""
        with socket.socket(socket.AF_UNIX) as connection, contextlib.ExitStack() as stack:
            connection.connect(self.address)
            out, out_there = os.pipe()
            err, err_there = os.pipe()
            for number in (out, err):
                stack.callback(os.close, number)
            with contextlib.ExitStack() as given:
                for number in (out_there, err_there):
                    given.callback(os.close, number)
                if stdin is None:
                    stdin = os.open(os.devnull, os.O_RDONLY)
                    given.callback(os.close, stdin)
                request = fork_client.pack(list(arguments), str(folder), dict(environ))
                sent = socket.send_fds(connection, [request], [stdin, out_there, err_there])
                if sent < len(request):  # see fork_client.py
                    connection.sendall(request[sent:])
            return _collect(out, err, connection, timeout_s)

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            shutil.rmtree(self._folder)


def write_own_program(path: Path) -> None:
    """Write such a program that starts a new interpreter for each run."""
    path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m reconciler "$@"\n')
    path.chmod(0o755)


FORKS = ForkServer()
"""The server of this process, which tests/conftest.py closes."""


def _start(address: str) -> subprocess.Popen[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        # xdist's workers ignore SIGINT, and a child would inherit that
        ignored = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(listener.fileno())],
                cwd=ROOT,
                env={**measured(), **STARTED_WITH, "PATH": os.environ["PATH"]},
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )
        finally:
            signal.signal(signal.SIGINT, ignored)


def _collect(out: int, err: int, connection: socket.socket, timeout_s: float) -> tuple[int, bytes, bytes]:
    """Collect the output of the run until it ends. The server sends its process id, and then how it ended."""
    ended = connection.fileno()
    read = {out: b"", err: b"", ended: b""}
    end = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for number in read:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                if len(read[ended]) >= STATUS.size:
                    os.kill(STATUS.unpack_from(read[ended])[0], signal.SIGKILL)
                raise TimeoutError(f"no end within {timeout_s} s\n{read[out].decode()}\n{read[err].decode()}")
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                read[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
    assert len(read[ended]) == 2 * STATUS.size, "the fork server has gone"
    return STATUS.unpack_from(read[ended], STATUS.size)[0], read[out], read[err]


# --- in the server -----------------------------------------------------------------------------------


def _serve(listener: socket.socket) -> None:
    """Fork for each request and answer how each run ended, until stdin is closed."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (0, woken, listener.fileno()):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return
                if key.fd == woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    continue
                connection, _ = listener.accept()
                request, streams = _receive(connection)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    selector.close()
                    for number in (woken, wake):
                        os.close(number)
                    for one in (listener, connection, *running.values()):
                        one.close()
                    _become(request, streams)
                for number in streams:
                    os.close(number)
                running[pid] = connection
                connection.sendall(STATUS.pack(pid))
            _report_ended(running)


def _receive(connection: socket.socket) -> tuple[list[str], list[int]]:
    head, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    (length,) = LENGTH.unpack(head)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    return os.fsdecode(text).split("\0"), streams


def _report_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as connection, contextlib.suppress(BrokenPipeError):  # the client may have left
            connection.sendall(STATUS.pack(os.waitstatus_to_exitcode(status)))


def _become(request: list[str], streams: list[int]) -> None:
    """Become, in the forked process, a Python that was started as `python -m reconciler` with these arguments."""
    from reconciler import __main__ as program

    folder, count, *rest = request
    arguments, variables = rest[: int(count)], rest[int(count) :]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    for variable in variables:
        name, _, value = variable.partition("=")
        os.environ[name] = value
    time.tzset()
    sys.argv = [str(program.__file__), *arguments]
    del sys.path[0]  # the server's working directory
    sys.stdin = sys.__stdin__ = _open(0, "r", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _open(1, "w", "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _open(2, "w", "backslashreplace")  # type: ignore[misc]
    sys.stderr.reconfigure(line_buffering=True)
    code: object = 0
    try:
        program.main()  # it ends in os._exit, but where a library exits
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as at the end of any interpreter
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _open(number: int, mode: str, errors: str) -> io.TextIOWrapper:
    made = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115 - for the whole run
    assert isinstance(made, io.TextIOWrapper)
    return made


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    import reconciler

    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    from reconciler.state.document import decode_document, decode_head

    decode_document(DOCUMENT, environment="x", where="")
    decode_head(DOCUMENT, environment="x", where="")
    gc.collect()
    gc.freeze()  # so that a collection in a run doesn't write to, and so copy, all that it shares
    _serve(listener)


if __name__ == "__main__":
    main()
