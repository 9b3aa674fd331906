"""Signals in processes and loops: which are handled, what they call, and which end the program."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.io.signals import INTERRUPTED, SIGNALS, handling, stop_on_signals

WAITING = """
import os, signal, time
{setup}
os.write(1, b"ready")
while True:
    time.sleep(60)
"""
STOPPING = """
import asyncio, os, time
from reconciler.io import signals

{setup}

async def main():
    with signals.stop_on_signals(lambda: os.write(1, b"first"), "last words"):
        os.write(1, b"ready")
        while True:
            {wait}

asyncio.run(main())
"""
PATIENT = """
import asyncio, os
from reconciler.io import signals

async def main():
    stopped = asyncio.Event()
    with signals.stop_on_signals(lambda: (os.write(1, b"first"), stopped.set()), None):
        os.write(1, b"ready")
        await stopped.wait()
        os.read(0, 1)
    os.write(1, b"after")
    os.read(0, 1)
    os.write(1, b"done")

signals.end_on_signals()
asyncio.run(main())
"""
IDLE = "from reconciler.io.signals import end_on_signals; end_on_signals()"


class Process:
    """A script that prints `ready` first."""

    def __init__(self, script: str, setup: Callable[[], object] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=setup,
        )
        self.expect("ready")

    def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        assert os.read(self.process.stdout.fileno(), len(word)).decode() == word

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), err.decode()


@pytest.mark.posix
def test_all_signals_that_the_system_has_count() -> None:
    """They are Ctrl-C, the request to end, and a closed terminal."""
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} == set(SIGNALS)


@pytest.mark.posix
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_an_idle_process_with_130(number: int) -> None:
    """It ends at once, with a message."""
    process = Process(WAITING.format(setup=IDLE))
    process.send(number)
    assert process.end() == (INTERRUPTED, "", "interrupted: nothing further was done\n")


HOLDING = (
    IDLE
    + """
import sys
from reconciler.io.temporary import TemporaryFolder
with TemporaryFolder("over-") as over:
    assert os.path.isdir(over)
held = TemporaryFolder("held-")
open(held.name + "/file", "w").close()
os.chdir(held.name)
"""
)


@pytest.mark.posix
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_leaves_no_temporary_folder(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends without unwinding, so the end of a `with` block is not reached."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = Process(WAITING.format(setup=HOLDING))
    assert len(list(tmp_path.iterdir())) == 1
    process.send(number)
    assert process.end()[0] == INTERRUPTED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
def test_nohup_keeps_its_promise() -> None:
    """A run that was started with nohup outlives its terminal, and still ends with Ctrl-C."""
    process = Process(WAITING.format(setup=IDLE), lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send(signal.SIGHUP)
    time.sleep(0.1)
    assert process.process.poll() is None
    process.send(signal.SIGINT)
    assert process.end()[0] == INTERRUPTED


@pytest.mark.posix
def test_sigint_counts_in_a_background_job_of_a_script() -> None:
    """A shell without job control starts such jobs with SIGINT ignored."""
    process = Process(WAITING.format(setup=IDLE), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    process.send(signal.SIGINT)
    assert process.end()[0] == INTERRUPTED


@pytest.mark.posix
@pytest.mark.parametrize("second", SIGNALS)
@pytest.mark.parametrize("first", SIGNALS)
def test_the_second_signal_ends_the_process(first: int, second: int) -> None:
    """The first one, whichever it is, only asks the run to stop."""
    process = Process(STOPPING.format(setup="signals.HANGUP_S = 0", wait="await asyncio.sleep(0.01)"))
    process.send(first)
    process.expect("first")
    process.send(second)
    assert process.end() == (INTERRUPTED, "", "last words\n")


@pytest.mark.posix
def test_the_second_signal_does_not_wait_for_a_busy_loop() -> None:
    """The first is only seen when the loop runs again; the second ends the process itself."""
    process = Process(STOPPING.format(setup="", wait="time.sleep(0.01)"))
    process.send(signal.SIGINT)
    time.sleep(0.2)
    process.send(signal.SIGTERM)
    assert process.end() == (INTERRUPTED, "", "last words\n")


@pytest.mark.posix
def test_a_terminal_that_closes_counts_once() -> None:
    """Its shell and the kernel both send SIGHUP, and PUTs in flight must still finish."""
    process = Process(STOPPING.format(setup="signals.HANGUP_S = 60", wait="await asyncio.sleep(0.01)"))
    process.send(signal.SIGHUP)
    process.expect("first")
    process.send(signal.SIGHUP)
    time.sleep(0.1)
    assert process.process.poll() is None
    process.send(signal.SIGINT)
    assert process.end() == (INTERRUPTED, "", "last words\n")


@pytest.mark.posix
@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_wakes_a_loop_that_waits(number: int) -> None:
    """The function is called once, within the loop, and afterwards the former handlers are back."""
    before = [signal.getsignal(one) for one in SIGNALS]
    called: list[bool] = []

    async def wait() -> None:
        stopped = asyncio.Event()

        def on_first() -> None:
            called.append(asyncio.get_running_loop().is_running())
            stopped.set()

        with stop_on_signals(on_first, "last words"):
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
            await asyncio.wait_for(stopped.wait(), 30)

    asyncio.run(wait())
    assert called == [True]
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_handlers_are_back_after_an_error() -> None:
    """A block that raises leaves no handler behind."""
    before = [signal.getsignal(one) for one in SIGNALS]
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError), handling(lambda number, _: seen.append(number)):
        signal.raise_signal(signal.SIGTERM)
        _ = 1 / 0
    assert seen == [signal.SIGTERM]
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_thread_changes_no_handler() -> None:
    """Only the main thread may set one; the sandbox of a demo runs in another."""
    before = [signal.getsignal(one) for one in SIGNALS]
    seen: list[object] = []

    def run() -> None:
        with handling(lambda *_: None):
            seen.extend(signal.getsignal(one) for one in SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == before


def test_without_last_words_later_signals_change_nothing() -> None:
    """GitHub's runner sends SIGTERM 7.5 s after SIGINT: neither ends the work, nor the writes after it."""
    read, write = os.pipe()
    process = Process(PATIENT, lambda: os.dup2(read, 0))
    process.send(signal.SIGINT)
    process.expect("first")
    process.send(signal.SIGTERM)
    process.send(signal.SIGINT)
    os.write(write, b"x")
    process.expect("after")
    process.send(signal.SIGTERM)
    os.write(write, b"x")
    assert process.end() == (0, "done", "")
    os.close(read)
    os.close(write)
