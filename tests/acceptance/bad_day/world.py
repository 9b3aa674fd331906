"""Checks that hold after every bad day (whole documents, a next run that converges), and what causes one."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.state.document import decode_document, encode_document
from tests.acceptance.conftest import ROOT, TIMEOUT_S, Cli, Ran

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


# --- what must hold afterwards -----------------------------------------------------------------------


def assert_whole(cli: Cli) -> None:
    """Rule 5: assert that every document is whole and canonical, and no temporary file of a writer is left."""
    for name, data in cli.state_bytes().items():
        stored = decode_document(data, environment=name.removesuffix(".json"), where=name)
        assert encode_document(stored.document) == data
    assert not (cli.state_folder / ".writing").exists()


def release(cli: Cli, *names: str) -> None:
    """Unlock environments, as the message advises a user who can't wait for a dead run's lease."""
    for name in names:
        cli.run("state", "unlock", name, "--yes", code=0)


def assert_converges(cli: Cli, *names: str, version: str = "1") -> None:
    """Rules 4 and 1: one more apply, at most one PUT an environment; then nothing is left to do, which is true."""
    before = {name: cli.puts(name) for name in names}
    cli.run("apply", "--yes", code=0)
    assert_whole(cli)
    for name in names:
        assert cli.puts(name) <= before[name] + 1
        assert cli.held(name) == cli.desired(name, version)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}


def message_of(ran: Ran, name: str) -> str:
    return next(str(one["message"]) for one in ran.json["environments"] if one["environment"] == name)


# --- a program whose system fails --------------------------------------------------------------------


@contextlib.contextmanager
def hurt(cli: Cli, code: str) -> Iterator[None]:
    """Run `code` in each process of `cli` before the program: it makes the system fail. Each run has its own Python."""
    folder = cli.root / "hurt"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    before = cli.environ["PYTHONPATH"]
    cli.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{ROOT}"
    yield
    cli.environ["PYTHONPATH"] = before


def shell(cli: Cli, command: str) -> Ran:
    """Run `command` in bash, with the program as $RECONCILER, for redirections. Searched for secrets as every run."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cli.folder,
        env={**cli.environ, "RECONCILER": f"{sys.executable} -m reconciler"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    cli.canaries |= {value for name, value in cli.environ.items() if name.startswith("PLUG_")}
    ran = Ran(done.returncode, done.stdout, done.stderr)
    cli.check(ran)
    assert "Traceback" not in ran.err
    assert "internal error" not in ran.err
    return ran


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Callable[[str], None]]:
    """Mount a disk in memory at `folder`; yield a function that remounts it. Skips the test without permission."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("only root may mount")

    def again(option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def peak_mib(cli: Cli, *arguments: str) -> tuple[Ran, float]:
    """Run the program, and return the most memory that it used, in MiB, with the result."""
    out, err = cli.root / "out", cli.root / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *arguments],
            cwd=cli.folder,
            env=cli.environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        peak, end = 0, time.monotonic() + TIMEOUT_S
        while process.poll() is None:
            # ru_maxrss would begin with what the parent uses at the fork.
            peak = max(peak, _high_water_kib(process.pid))
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.03)
    cli.canaries |= {value for name, value in cli.environ.items() if name.startswith("PLUG_")}
    ran = Ran(process.returncode, out.read_text(), err.read_text())
    cli.check(ran)
    return ran, peak / 1024


def _high_water_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0  # The process has ended.


# --- a server with scripted behaviour ----------------------------------------------------------------


Talk = Callable[[socket.socket, int], None]
"""What a server does with a connection, the first being number 1; it is closed then."""


@dataclass
class Talker:
    port: int
    tls: ssl.SSLContext | None = None
    connections: int = 0

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def talk(self, connection: socket.socket, number: int, talk: Talk) -> None:
        # Clients that disconnect are the subject of most of these tests.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            if self.tls is None:
                talk(connection, number)
                return
            with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                talk(wrapped, number)


@contextlib.contextmanager
def serve(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[Talker]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Talker(listener.getsockname()[1], tls)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            arguments = (connection, server.connections, talk)
            threading.Thread(target=server.talk, args=arguments, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def only_outcome(ran: Ran, names: Sequence[str]) -> str:
    """Return the one outcome that all of them share."""
    assert set(ran.outcomes) == set(names)
    (outcome,) = set(ran.outcomes.values())
    return outcome
