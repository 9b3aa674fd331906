"""The only room that prints: results to stdout, everything else to stderr (CONTRACT §4)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from reconciler.core.escape import for_terminal
from reconciler.errors import InputError, OutputFailed
from reconciler.model import Problem

MAX_SHOWN_PROBLEMS = 500  # a fleet with one wrong default would otherwise scroll the cause away

_COLOURS = {"error": "red", "warning": "yellow"}


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """On a terminal alone, and never with NO_COLOR."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


def write(text: str) -> None:
    """A result, whole, to stdout. Raises OutputFailed where it can't be written; BrokenPipeError passes."""
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, AttributeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is closed"
        raise OutputFailed(f"the result can't be written to stdout: {reason}. What was done is done") from error


def say(text: str, *, label: str = "") -> None:
    """A line for the person, to stderr. The text is escaped by whoever put foreign values into it."""
    prefix = ""
    if label:
        prefix = f"{label}: "
        if wants_colour(sys.stderr, os.environ):
            prefix = click.style(prefix, fg=_COLOURS.get(label), bold=True)
    sys.stderr.write(f"{prefix}{text}\n")
    sys.stderr.flush()


def say_problem(problem: Problem, *, label: str) -> None:
    say(for_terminal(str(problem)), label=label)


def say_problems(error: InputError) -> None:
    """All problems of the input, each on a line; nothing was sent or written."""
    if not error.problems:
        say("\n".join(for_terminal(line) for line in str(error).split("\n")), label="error")
        return
    for problem in error.problems[:MAX_SHOWN_PROBLEMS]:
        say_problem(problem, label="error")
    left = len(error.problems) - MAX_SHOWN_PROBLEMS
    if left > 0:
        say(f"… and {left} more: `reconciler validate --format json` lists all")
