"""Progress on stderr: a live line on a terminal, and a line every ten seconds in a log."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING

from reconciler.cli.output import is_terminal, say, wants_colour
from reconciler.core.speed import Speed, time_left
from reconciler.io.progress import report_done, watching
from reconciler.model import DONE_OUTCOMES, EnvironmentResult, Outcome
from reconciler.text.counts import number, ordinal
from reconciler.text.escape import for_terminal
from reconciler.text.groups import SHOWN_ONE_BY_ONE, generalize_message

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from reconciler.core.pace import Slowdown
    from reconciler.run.context import WaveBegun

LOG_INTERVAL_S = 10.0
TICK_S = 0.5
APPEARS_AFTER_S = 2.0
BAR_COLUMNS = 20  # so that the line, and the ^C that a terminal echoes, fit into 60 columns


class LiveLine:
    """One line of a terminal, such as `applying ━━━━ 3/10 12/s`. It is redrawn often, and erased at the end."""

    def __init__(self, doing: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console: Console = Console(stderr=True, no_color=not wants_colour(sys.stderr, os.environ))
        count = TextColumn("{task.fields[count]}", style="progress.download")
        columns = (TextColumn("{task.description}"), BarColumn(BAR_COLUMNS), count, TextColumn("{task.fields[note]}"))
        self._bar: RichProgress = Progress(*columns, console=self._console, transient=True)
        self._bar.start()
        self._console.show_cursor(True)  # a second signal ends the process at once, and would leave it hidden
        self._task = self._bar.add_task(doing, total=total, count=_count(0, total), note="")

    def update(self, doing: str, done: int, total: int | None, note: str) -> None:
        self._bar.update(
            self._task, description=doing, completed=done, total=total, count=_count(done, total), note=note
        )

    def show_above(self, line: str) -> None:
        from rich.text import Text

        with suppress(OSError):  # a closed terminal must not end PUTs in flight
            self._console.print(Text(line), soft_wrap=True)

    def erase(self) -> None:
        with suppress(OSError):
            self._bar.stop()


def _count(done: int, total: int | None) -> str:
    return "" if total is None else f"{number(done)}/{number(total)}"


def _can_redraw() -> bool:
    return is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"


class CountProgress:
    """The progress of a step that only counts, such as a check. It is shown after two seconds.

    `doing` names the step, such as `checking receivers`. `report` may be called from any thread.
    """

    def __init__(self, doing: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._doing = doing
        self._monotonic = monotonic
        self._done = 0
        self._total: int | None = None  # None while it is not known
        self._note = ""
        self._line: LiveLine | None = None
        self._redraws = False
        self._ended = False
        self._said_at = monotonic()
        self._alone = threading.RLock()
        self._timer = threading.Timer(APPEARS_AFTER_S, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> CountProgress:
        self._redraws = _can_redraw()
        if self._redraws:
            self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        with self._alone:
            self._ended = True
            if self._line is not None:
                self._line.erase()

    def _appear(self) -> None:
        with self._alone:
            if not self._ended:
                self._line = LiveLine(self._doing, self._total)
                self._draw()

    def count(self, done: int, total: int, doing: str) -> None:
        """Report a part of the step, which may have its own words."""
        with self._alone:
            self._doing = doing or self._doing
            self.report(done, total)

    def report(self, done: int, total: int, note: str = "") -> None:
        with self._alone:
            self._done, self._total, self._note = done, total, note
            if self._line is not None:
                self._draw()
            elif not self._redraws:
                self._log()

    def _draw(self) -> None:
        if self._line is not None:
            self._line.update(self._doing, self._done, self._total, self._note)

    def _log(self) -> None:
        now = self._monotonic()
        if now - self._said_at >= LOG_INTERVAL_S:
            self._said_at = now
            note = f", {self._note}" if self._note else ""
            say(f"{self._doing}: {number(self._done)} of {number(self._total or 0)}{note}")


@contextmanager
def watch_state(doing: str) -> Iterator[None]:
    """Show the progress of the reads and writes of the state within the block."""
    with CountProgress(doing) as progress, watching(progress.count):
        yield


def report_read(done: int, total: int) -> None:
    """Report how many accounts are read, as a step within the reads of the state."""
    report_done(done, total, "observing accounts")


class Progress:
    """The progress of an apply. `report` takes each result; a failure is shown at once.

    `slowdown` returns what slows the run down. Of alike failures the first few are shown; the summary has all.
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
        self._line: LiveLine | None = None
        self._said_at = monotonic()
        self._speed.note(0, self._said_at)

    def __enter__(self) -> Progress:
        if self._total and _can_redraw():
            self._line = LiveLine("applying", self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.erase()

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
        """Update the live line, or write a line to the log if the last one is ten seconds old."""
        now = self._monotonic()
        self._speed.note(self._counts.total(), now)
        if self._line is not None:
            self._line.update(f"applying{self._wave}", self._counts.total(), self._total, self._describe_pace(now))
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
        kind = (result.outcome, result.status, generalize_message(result))
        self._shown[kind] += 1
        if self._shown[kind] <= SHOWN_ONE_BY_ONE:
            self._show(f"{for_terminal(result.environment)}: {result.outcome}: {for_terminal(result.message)}")
        elif self._shown[kind] == SHOWN_ONE_BY_ONE + 1:
            self._show(f"{for_terminal(result.environment)}: {result.outcome}, as those before; the summary has all")

    def _show(self, line: str) -> None:
        if self._line is not None:
            self._line.show_above(line)
        else:
            say(line)


def _per_second(rate: float) -> str:
    return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
