"""The log lines of a long apply: every ten seconds progress, rate, time left, and what slows it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import threading
from typing import Any

import pytest

from reconciler.cli import progress as module
from reconciler.cli.progress import CountProgress, Progress, watch_state
from reconciler.core.pace import Slowdown
from reconciler.core.speed import time_left
from reconciler.io.progress import counted, report_done
from reconciler.model import EnvironmentResult, Outcome
from reconciler.run.context import WaveBegun


class Watch:
    def __init__(self) -> None:
        self.at = 100.0
        self.slowdown: Slowdown | None = None

    def progress(self, total: int) -> Progress:
        return Progress(total, lambda: self.slowdown, lambda: self.at)


def result(number: int, outcome: Outcome = Outcome.APPLIED, message: str = "") -> EnvironmentResult:
    return EnvironmentResult(f"loja-{number}", outcome, (), 1, 200, message, 0.1)


def test_a_log_gets_a_line_every_ten_seconds_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand environments are applied at sixteen a second."""
    watch = Watch()
    progress = watch.progress(10_000)
    for number in range(500):
        watch.at += 1 / 16
        progress.report(result(number))
    assert capsys.readouterr().err.splitlines() == [
        "160 of 10,000: 160 applied; 16/s, about 11 min left",
        "320 of 10,000: 320 applied; 16/s, about 11 min left",
        "480 of 10,000: 480 applied; 16/s, about 10 min left",
    ]


def test_waves_and_the_slowdown_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """They are reported also while no environment ends."""
    watch = Watch()
    progress = watch.progress(300)
    progress.report_wave(WaveBegun(wave=5, number=2, of=3))
    watch.slowdown = Slowdown(status=429, rate=12.0, pause_s=7.2)
    watch.at += 10
    progress.refresh()
    assert capsys.readouterr().err.splitlines() == [
        "wave 5 begins, 2nd of 3",
        "0 of 300, wave 5, 2nd of 3: slowed to 12/s by 429; Plug asked to wait, 8 s more",
    ]
    watch.slowdown = Slowdown(status=503, rate=0.5, pause_s=0)
    for number in range(30):
        watch.at += 0.5
        progress.report(result(number))
    assert capsys.readouterr().err.splitlines()[0].endswith(" left; slowed to 0.5/s by 503")


def test_a_single_wave_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Most fleets have only one."""
    Watch().progress(3).report_wave(WaveBegun(wave=0, number=1, of=1))
    assert capsys.readouterr().err == ""


def test_of_alike_failures_a_few_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Hundreds of equal lines would hide a different one."""
    progress = Watch().progress(301)
    for number in range(300):
        progress.report(result(number, Outcome.REJECTED, f"401: the token of loja-{number} is not valid"))
    progress.report(result(300, Outcome.UNCERTAIN, "no answer"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7
    assert lines[4:] == [
        "loja-4: rejected: 401: the token of loja-4 is not valid",
        "loja-5: rejected, as those before; the summary has all",
        "loja-300: uncertain: no answer",
    ]


def test_a_ticking_progress_writes_a_line_without_any_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has asked for a pause, for example."""
    monkeypatch.setattr(module, "TICK_S", 0.001)
    watch = Watch()
    progress = watch.progress(5)

    async def run() -> None:
        async with progress.ticking():
            watch.at += 11
            await asyncio.sleep(0.05)

    asyncio.run(run())
    assert capsys.readouterr().err == "0 of 5: begun\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3_600, "60 min"), (7_300, "2 h 02 min")]
)
def test_time_left_is_rounded_up(seconds: float, text: str) -> None:
    """An end that comes sooner disappoints no user."""
    assert time_left(seconds) == text


# --- on a terminal -----------------------------------------------------------------------------------


class Screen:
    """A terminal: what a program wrote to it, and its end."""

    def __init__(self) -> None:
        pty = pytest.importorskip("pty", reason="POSIX terminals")
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the program's end was closed
            while chunk := os.read(self._master, 65536):
                self._chunks.append(chunk)

    def finish(self) -> str:
        """Return everything that was written."""
        self.stream.close()
        self._reader.join()
        os.close(self._master)
        return b"".join(self._chunks).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


def show_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> str:
    """Show a run of three environments in two waves, of which one is rejected."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen.stream)
    watch = Watch()
    with watch.progress(3) as progress:
        progress.report_wave(WaveBegun(wave=5, number=2, of=2))
        for number in range(2):
            watch.at += 1
            progress.report(result(number))
        progress.report(result(2, Outcome.REJECTED, "401: [bold]not[/bold] valid\x1b[2J" + " x" * 60))
    return screen.finish()


def test_a_terminal_gets_one_live_line_that_is_gone_in_the_end(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are above it; a long line is not broken, and no control character gets through."""
    shown = show_on_a_terminal(monkeypatch)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "wave 5 begins, 2nd of 2\r\n" in plain
    assert f"loja-2: rejected: 401: [bold]not[/bold] valid\\x1b[2J{' x' * 60}\r\n" in plain
    assert re.search(r"applying wave 5, 2nd of 2 ━+ 3/3 1\.\d/s", plain)
    assert "\x1b[2J" not in shown
    assert "\x1b[3" in shown  # it is in colour
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))  # the line is erased, the cursor is back
    assert "environments" not in plain and "of 3:" not in plain  # none of a log's lines


def test_no_color_turns_off_colour(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line still moves."""
    monkeypatch.setenv("NO_COLOR", "1")
    shown = show_on_a_terminal(monkeypatch)
    assert "3/3" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", shown)


def test_a_terminal_that_can_not_move_its_cursor_gets_a_logs_lines(
    terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor's shell is such a terminal."""
    monkeypatch.setenv("TERM", "dumb")
    shown = show_on_a_terminal(monkeypatch)
    assert "\x1b" not in shown
    assert shown.splitlines()[0] == "wave 5 begins, 2nd of 2"


def test_a_terminal_that_closes_ends_nothing(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh session is lost while the run is under nohup: PUTs in flight go on, and their outcomes count."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)  # the line's own thread may meet it too
    pty = pytest.importorskip("pty", reason="POSIX terminals")
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w", encoding="utf-8")
    monkeypatch.setattr("sys.stderr", stream)
    stdout = sys.stdout
    watch = Watch()
    with watch.progress(3) as progress:
        os.close(master)
        progress.report_wave(WaveBegun(wave=0, number=1, of=2))
        for number in range(3):
            watch.at += 1
            progress.report(result(number, Outcome.REJECTED, f"gone {number}"))
    assert (sys.stdout, sys.stderr) == (stdout, stream)  # the bar had them meanwhile; the result comes next
    with contextlib.suppress(OSError):  # what is left in its buffer
        stream.close()


# --- steps that only count ---------------------------------------------------------------------------


def plain(shown: str) -> str:
    """Return what a terminal got, without colour and moves of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_a_step_that_counts_gets_a_line_every_ten_seconds_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A short step gets none."""
    watch = Watch()
    with CountProgress("checking receivers", lambda: watch.at) as progress:
        for done in range(1, 26):
            watch.at += 1
            progress.report(done, 7_000, f"{done // 5} failed")
    assert capsys.readouterr().err.splitlines() == [
        "checking receivers: 10 of 7,000, 2 failed",
        "checking receivers: 20 of 7,000, 4 failed",
    ]


def test_a_long_step_appears_on_a_terminal_with_done_of_total(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of the state and of accounts share one line, which is erased at the end."""
    monkeypatch.setattr(module, "APPEARS_AFTER_S", 0.0)
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen.stream)
    appeared = threading.Event()

    class Line(module.LiveLine):
        def update(self, *given: Any) -> None:
            super().update(*given)
            appeared.set()

    monkeypatch.setattr(module, "LiveLine", Line)
    with watch_state("reading the state"):
        assert appeared.wait(60)
        assert list(counted("abc", 3)) == ["a", "b", "c"]
        report_done(1, 2, "observing accounts")
    shown = screen.finish()
    assert "reading the state" in plain(shown)
    assert re.search(r"observing accounts [━╺╸]+ 1/2", plain(shown))
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_a_short_step_shows_nothing_on_a_terminal(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line would only flicker."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen.stream)
    monkeypatch.setattr(module, "APPEARS_AFTER_S", 3_600.0)
    with watch_state("reading the state"):
        list(counted("abc", 3))
    assert screen.finish() == ""


def test_outside_of_the_block_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Items are still yielded."""
    assert list(counted(iter("ab"), 2)) == ["a", "b"]
    report_done(1, 2)
    assert capsys.readouterr().err == ""
