"""Errors and warnings of the input, in one form for every command (docs/manifests.md).

On a terminal a problem is a block as compilers write it, with the line of the file and a mark below the wrong part.
Elsewhere it is one line and never wrapped, because editors and scripts read the file and line at its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from reconciler.model import Problem, Quote
from reconciler.text.escape import for_terminal
from reconciler.views.style import Style, display_width, wrap

MIN_QUOTED = 20  # columns of a quoted line, however narrow the terminal is


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Layout(Struct, frozen=True):
    """The layout of problems. `width` is that of the terminal; None writes each problem as one line."""

    colour: bool = False
    width: int | None = None


def render_problems(problems: Sequence[Problem], severity: Severity, layout: Layout) -> list[str]:
    """Return one line for each problem, or on a terminal a block and a blank line for each."""
    style = Style(layout.colour)
    if layout.width is None:
        label = "" if severity is Severity.ERROR else style.yellow("warning: ")
        return [label + render_line(problem) for problem in problems]
    return [line for problem in problems for line in (*_render_block(problem, severity, style, layout.width), "")]


def render_line(problem: Problem) -> str:
    """Return `file:line:column: key: message (hint)`, each part escaped on its own."""
    where = f"{for_terminal(problem.where)}: " if problem.where else ""
    key = f"{for_terminal(problem.key)}: " if problem.key else ""
    hint = f" ({for_terminal(problem.hint)})" if problem.hint else ""
    return f"{where}{key}{for_terminal(problem.message)}{hint}"


def _label(severity: Severity, style: Style) -> str:
    return style.error(severity.value) if severity is Severity.ERROR else style.warning(severity.value)


def _render_block(problem: Problem, severity: Severity, style: Style, width: int) -> list[str]:
    key = f"{for_terminal(problem.key)}: " if problem.key else ""
    head = wrap(f"{severity.value}: {key}{for_terminal(problem.message)}", indent="", width=width)
    lines = [_label(severity, style) + style.bold(head[0].removeprefix(severity.value)), *map(style.bold, head[1:])]
    margin = " " * len(str(problem.line)) if problem.quote else ""
    if problem.where:
        lines.append(f"{margin}{style.cyan('-->')} {for_terminal(problem.where)}")
    if problem.quote is not None:
        text, mark = _render_quote(problem.quote, max(MIN_QUOTED, width - len(margin) - 3))
        bar, number = style.cyan(f"{margin} |"), style.cyan(f"{problem.line} |")
        coloured = style.error(mark) if severity is Severity.ERROR else style.warning(mark)
        lines += [bar, f"{number} {text}", f"{bar} {coloured}"]
    if problem.hint:
        label = f"{margin} = help: "
        first, *rest = wrap(for_terminal(problem.hint), indent=" " * len(label), width=width) or [""]
        lines += [style.cyan(label) + first.removeprefix(" " * len(label)), *rest]
    return lines


def _render_quote(quote: Quote, room: int) -> tuple[str, str]:
    """Return the line, cut to `room` columns around the wrong part, and the mark below it."""
    text = for_terminal(quote.text)
    start = min(len(for_terminal(quote.text[: quote.start])), len(text))
    end = max(start, min(len(for_terminal(quote.text[: quote.end])), len(text)))
    first = 0
    if display_width(text[:end]) > room - 1:
        first = max(0, min(start - room // 3, len(text) - room + 1))
    before = "…" if first else ""
    last = len(text)
    while display_width(text[first:last]) > room - len(before) - (last < len(text)):
        last -= 1
    shown = before + text[first:last] + ("…" if last < len(text) else "")
    indent = display_width(before + text[first:start])
    mark = "^" * max(1, display_width(text[start : min(end, last)]))
    return shown, " " * indent + mark
