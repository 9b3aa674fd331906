"""All output: results on stdout, everything else on stderr (docs/contract.md#commands)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from reconciler.errors import InputError, InvalidManifests, OutputFailed, ReaderGone
from reconciler.text.escape import for_terminal

MAX_SHOWN_PROBLEMS = 500  # a fleet with one wrong default would otherwise scroll the cause away

MIN_COLUMNS = 40  # of a terminal; a narrower one breaks the lines itself
_COLOURS = {"error": "red", "warning": "yellow"}


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal. It is None if it was closed before the start (`>&-`)."""
    return stream is not None and not stream.closed and stream.isatty()


def wants_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Return whether to use colour: only on a terminal, and never with NO_COLOR."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and is_terminal(stream)


def terminal_width() -> int:
    """Return the columns of a text for the terminal, between 60 and 120."""
    return min(120, max(60, _find_columns()))


def _find_columns() -> int:
    import shutil  # late: the Tab key does not need it

    return shutil.get_terminal_size((100, 24)).columns


def fit_terminal(text: str, stream: TextIO, *, spare: int = 0) -> str:
    """Break the long lines of a text for a terminal, and leave `spare` columns free in each line.

    Elsewhere each line stays whole, for `grep`.
    """
    if not is_terminal(stream):
        return text
    from reconciler.views.fold import fold  # late: only a terminal needs it

    return fold(text, max(MIN_COLUMNS, _find_columns() - spare))


def write(text: str) -> None:
    """Write a whole result to stdout. Raises OutputFailed if that fails, ReaderGone if its reader has ended."""
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone("nothing reads stdout any more. What was done is done") from error
    except (OSError, AttributeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is closed"
        raise OutputFailed(f"the result can't be written to stdout: {reason}. What was done is done") from error


def say(text: str, *, label: str = "") -> None:
    """Write a line for the user to stderr. The caller has escaped the values in it.

    If it can't be written (a full disk, a closed pager), the run continues, because PUTs may be in flight.
    """
    prefix = ""
    if label:
        prefix = f"{label}: "
        if wants_colour(sys.stderr, os.environ):
            prefix = click.style(prefix, fg=_COLOURS.get(label), bold=True)
    write_aside(fit_terminal(f"{prefix}{text}\n", sys.stderr))


def warn(text: str) -> None:
    """Write a warning to stderr, with escapes."""
    say(for_terminal(text), label="warning")


def say_lines(text: str, *, label: str) -> None:
    """Write a text of several lines for the user to stderr, with escapes in each line."""
    say("\n".join(for_terminal(line) for line in text.split("\n")), label=label)


def write_aside(text: str) -> None:
    """Write to stderr, and ignore a failure."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def report_unwritten(error: OutputFailed, *, also_if_gone: bool = False) -> None:
    """Report a result that could not be written to stdout, unless its reader has ended (a pager, `head`)."""
    if also_if_gone or not isinstance(error, ReaderGone):
        say(for_terminal(str(error)), label="error")
    # the rest of the buffer must not fail a second time when the interpreter ends
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stdout = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)


def say_problems(error: InputError) -> None:
    """Report all problems of the input: on a terminal with the lines of the files, otherwise one on a line.

    Only the problems of manifests are cut and counted, because `validate` lists them.
    """
    if not error.problems:
        say_lines(str(error), label="error")
        return
    from reconciler.views.diagnostics import Layout, Severity, render_line, render_problems  # late: few runs need them

    shown = error.problems[:MAX_SHOWN_PROBLEMS] if isinstance(error, InvalidManifests) else error.problems
    if is_terminal(sys.stderr):
        layout = Layout(wants_colour(sys.stderr, os.environ), terminal_width())
        write_aside("".join(f"{line}\n" for line in render_problems(shown, Severity.ERROR, layout)))
    else:
        for problem in shown:
            say(render_line(problem), label="error")
    left = len(error.problems) - len(shown)
    if left > 0:
        from reconciler.text.counts import number  # late, for the same reason

        say(f"… and {number(left)} more: `reconciler validate --format json` lists all")
