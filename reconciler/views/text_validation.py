"""What is wrong with the input, one line a problem, as compilers write it (CONTRACT §2)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Problem
from reconciler.text.escape import for_terminal
from reconciler.views import words
from reconciler.views.style import Style


def render_validation(
    errors: Sequence[Problem],
    warnings: Sequence[Problem],
    *,
    environments: int | None = None,
    colour: bool,
    width: int = 100,
) -> str:
    """Errors, warnings, and a summary as the last line. A line is never wrapped: editors read its start."""
    style = Style(colour)
    lines = [problem_line(problem) for problem in errors]
    lines += [style.yellow("warning: ") + problem_line(problem) for problem in warnings]
    summary = words.validation_summary(errors, warnings, count=environments)
    lines.append(style.red(summary) if errors else style.green(summary))
    return "\n".join(lines) + "\n"


def problem_line(problem: Problem) -> str:
    """`file:line:column: key: message (hint)`, each part escaped on its own."""
    where = f"{for_terminal(problem.where)}: " if problem.where else ""
    key = f"{for_terminal(problem.key)}: " if problem.key else ""
    hint = f" ({for_terminal(problem.hint)})" if problem.hint else ""
    return f"{where}{key}{for_terminal(problem.message)}{hint}"
