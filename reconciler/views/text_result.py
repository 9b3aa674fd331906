"""A run's result for a terminal: first what was not applied, and what to do about it (docs/contract.md#apply)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import EnvironmentResult, Outcome, RunResult
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_terminal
from reconciler.text.groups import message_of
from reconciler.views import words
from reconciler.views.style import Style, columns, name_lines, next_lines, wrap
from reconciler.views.where_words import where_lines

APPLIED_SHOWN = 20  # one line each; the others are counted


def render_result(result: RunResult, *, colour: bool, width: int = 100) -> str:
    """Return the result as text; the last line is its summary."""
    style = Style(colour)
    sections = [_group_lines(group, style, width) for group in words.group_not_applied(result)]
    sections.append(_applied_lines(result, style))
    unchanged = sum(1 for one in result.environments if one.outcome is Outcome.UNCHANGED)
    sections.append([style.dim(f"Unchanged: {environments(unchanged)}.")] if unchanged else [])
    sections.append(next_lines(words.list_next(result), style, width=width))
    sections.append(where_lines(result.where, style, width))
    sections.append([style.bold(words.result_summary(result))])
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _group_lines(group: Sequence[EnvironmentResult], style: Style, width: int) -> list[str]:
    first = group[0]
    paint = style.yellow if first.outcome in (Outcome.SKIPPED, Outcome.LOCKED) else style.red
    several = len(group) > 1
    name = f"{environments(len(group))} alike" if several else for_terminal(first.environment)
    lines = [f"{paint('!')} {style.bold(name)}  {paint(first.outcome.value)}{_figures(group)}"]
    lines += wrap(for_terminal(message_of(group)), indent="      ", width=width)
    if several:
        lines += name_lines([one.environment for one in group], indent="    ", width=width)
    return lines


def _figures(group: Sequence[EnvironmentResult]) -> str:
    """Return `, status 503, 4 attempts, 12.1 s`; for several environments their largest numbers."""
    attempts = max(one.attempts for one in group)
    if not attempts:
        return ""
    status = "" if group[0].status is None else f", status {group[0].status}"
    most = "up to " if len({one.attempts for one in group}) > 1 else ""
    seconds = max(one.seconds for one in group)
    return f"{status}, {most}{counted(attempts, 'attempt')}, {'up to ' if len(group) > 1 else ''}{seconds:.1f} s"


def _applied_lines(result: RunResult, style: Style) -> list[str]:
    applied = [one for one in result.environments if one.outcome is Outcome.APPLIED]
    if not applied:
        return []
    rows = [
        (for_terminal(one.environment), counted(one.attempts, "attempt"), f"{one.seconds:.1f} s")
        for one in applied[:APPLIED_SHOWN]
    ]
    lines = [style.bold("Applied:"), *(f"  {style.green(row)}" for row in columns(rows))]
    if len(applied) > APPLIED_SHOWN:
        lines.append(f"  and {number(len(applied) - APPLIED_SHOWN)} more")
    return lines
