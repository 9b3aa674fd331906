"""The progress of an apply on stderr: a live line on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING

from reconciler.cli.output import is_terminal, say, wants_colour
from reconciler.core.pace import Slowdown
from reconciler.core.speed import Speed, time_left
from reconciler.model import EnvironmentResult, Outcome
from reconciler.model.result import DONE_OUTCOMES
from reconciler.run.context import WaveBegun
from reconciler.text.counts import number, ordinal
from reconciler.text.escape import for_terminal
from reconciler.text.groups import SHOWN_ONE_BY_ONE, like_message

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LOG_INTERVAL_S = 10.0
TICK_S = 0.5


class Progress:
    """The progress display. `report` takes each result; a failure is shown at once.

    `slowdown` returns what slows the run down. Of failures that are alike the first few are shown; the summary has all.
    """

    def __init__(
        self,
        total: int,
        slowdown: Callable[[], Slowdown | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._slowdown = slowdown
        self._monotonic = monotonic
        self._counts: Counter[Outcome] = Counter()
        self._shown: Counter[tuple[Outcome, int | None, str]] = Counter()
        self._speed = Speed()
        self._wave = ""
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._said_at = monotonic()
        self._speed.note(0, self._said_at)

    def __enter__(self) -> Progress:
        if self._total and is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            console = Console(stderr=True, no_color=not wants_colour(sys.stderr, os.environ))
            self._bar = Progress(
                TextColumn("applying{task.fields[wave]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
                console=console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("apply", total=self._total, wave="", pace="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Refresh regularly within the block, also while no environment ends: in a pause, or during a slow answer."""

        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK_S)
                self.refresh()

        ticker = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    def report_wave(self, begun: WaveBegun) -> None:
        if begun.of > 1:
            self._wave = f" wave {begun.wave}, {ordinal(begun.number)} of {begun.of}"
            self._show(f"wave {begun.wave} begins, {ordinal(begun.number)} of {begun.of}")

    def report(self, result: EnvironmentResult) -> None:
        self._counts[result.outcome] += 1
        if result.outcome not in DONE_OUTCOMES and result.outcome is not Outcome.SKIPPED:
            self._show_failure(result)
        self.refresh()

    def refresh(self) -> None:
        """Update the live line, or write a line of the log where the last one is ten seconds old."""
        now = self._monotonic()
        self._speed.note(self._counts.total(), now)
        if self._bar is not None and self._task is not None:
            pace = self._describe_pace(now)
            self._bar.update(self._task, completed=self._counts.total(), wave=self._wave, pace=pace)
        elif now - self._said_at >= LOG_INTERVAL_S:
            self._said_at = now
            counts = ", ".join(f"{number(count)} {outcome}" for outcome, count in sorted(self._counts.items()))
            wave = f",{self._wave}" if self._wave else ""
            shown = "; ".join(part for part in (counts, self._describe_pace(now)) if part)
            say(f"{number(self._counts.total())} of {number(self._total)}{wave}: {shown or 'begun'}")

    def _describe_pace(self, now: float) -> str:
        """Return such as `12/s, about 4 min left; slowed to 12/s by 429`."""
        parts = []
        done = self._counts.total()
        rate = self._speed.rate(done, now)
        if rate:
            left = self._total - done
            remaining = f", about {time_left(left / rate)} left" if left > 0 else ""
            parts.append(f"{_per_second(rate)}{remaining}")
        slowdown = self._slowdown()
        if slowdown is not None:
            parts.append(f"slowed to {_per_second(slowdown.rate)} by {slowdown.status}")
            if slowdown.pause_s >= 1:
                parts.append(f"Plug asked to wait, {time_left(slowdown.pause_s)} more")
        return "; ".join(parts)

    def _show_failure(self, result: EnvironmentResult) -> None:
        kind = (result.outcome, result.status, like_message(result))
        self._shown[kind] += 1
        if self._shown[kind] <= SHOWN_ONE_BY_ONE:
            self._show(f"{for_terminal(result.environment)}: {result.outcome}: {for_terminal(result.message)}")
        elif self._shown[kind] == SHOWN_ONE_BY_ONE + 1:
            self._show(f"{for_terminal(result.environment)}: {result.outcome}, as those before; the summary has all")

    def _show(self, line: str) -> None:
        if self._bar is not None:
            from rich.text import Text

            with suppress(OSError):  # a terminal that has gone must not end what is under way
                self._bar.console.print(Text(line), soft_wrap=True)
        else:
            say(line)


def _per_second(rate: float) -> str:
    return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
