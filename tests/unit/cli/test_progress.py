"""What a log says of a long apply: every ten seconds how far, how fast, how long, and what slows it."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.cli import progress as module
from reconciler.cli.progress import Progress
from reconciler.core.pace import Slowdown
from reconciler.core.speed import time_left
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
    """Sixteen a second of ten thousand."""
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


def test_waves_are_named_and_what_slows_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Also while nothing comes to an end."""
    watch = Watch()
    progress = watch.progress(300)
    progress.report_wave(WaveBegun(wave=5, number=2, of=3))
    watch.slowdown = Slowdown(status=429, rate=12.0, pause_s=7.2)
    watch.at += 10
    progress.refresh()
    assert capsys.readouterr().err.splitlines() == [
        "wave 2 of 3 begins (wave: 5)",
        "0 of 300, wave 2 of 3: slowed to 12/s by 429; Plug asked to wait, 8 s more",
    ]
    watch.slowdown = Slowdown(status=503, rate=0.5, pause_s=0)
    for number in range(30):
        watch.at += 0.5
        progress.report(result(number))
    assert capsys.readouterr().err.splitlines()[0].endswith(" left; slowed to 0.5/s by 503")


def test_a_single_wave_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Most fleets have none."""
    Watch().progress(3).report_wave(WaveBegun(wave=0, number=1, of=1))
    assert capsys.readouterr().err == ""


def test_of_failures_that_are_alike_a_few_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Three thousand lines of the same would bury the one that differs."""
    progress = Watch().progress(3_001)
    for number in range(3_000):
        progress.report(result(number, Outcome.REJECTED, f"401: the token of loja-{number} is not valid"))
    progress.report(result(3_000, Outcome.UNCERTAIN, "no answer"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7
    assert lines[4:] == [
        "loja-4: rejected: 401: the token of loja-4 is not valid",
        "loja-5: rejected, as those before; the summary has all",
        "loja-3000: uncertain: no answer",
    ]


def test_while_it_ticks_a_line_comes_without_any_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pause that the server asked for, say."""
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
    """Nobody minds to be done sooner."""
    assert time_left(seconds) == text
