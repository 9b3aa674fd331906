"""How far an apply is: a live bar on a terminal, a line now and then in a log. All to stderr."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

from reconciler.cli.output import say, wants_colour
from reconciler.core.escape import for_terminal
from reconciler.core.exitcode import DONE_OUTCOMES
from reconciler.model import EnvironmentResult, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LOG_INTERVAL_S = 10.0


class Progress:
    """`report` takes each result as it comes. What is not applied is told at once, for who watches."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts: Counter[Outcome] = Counter()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._said_at = time.monotonic()

    def __enter__(self) -> Progress:
        if self._total and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True, no_color=not wants_colour(sys.stderr, os.environ))
            self._bar = Progress(
                TextColumn("applying"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("apply", total=self._total, speed="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, result: EnvironmentResult) -> None:
        self._counts[result.outcome] += 1
        if result.outcome not in DONE_OUTCOMES and result.outcome is not Outcome.SKIPPED:
            self._tell(f"{for_terminal(result.environment)}: {result.outcome}: {for_terminal(result.message)}")
        if self._bar is not None and self._task is not None:
            task = self._bar.tasks[self._task]
            speed = f"{task.speed:.0f}/s" if task.speed else ""
            self._bar.update(self._task, completed=self._counts.total(), speed=speed)
        elif time.monotonic() - self._said_at >= LOG_INTERVAL_S:
            self._said_at = time.monotonic()
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self._counts.items()))
            say(f"{self._counts.total()} of {self._total}: {counts}")

    def _tell(self, line: str) -> None:
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(line), soft_wrap=True)
        else:
            say(line)
