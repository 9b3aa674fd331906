"""The problems of the input, and a summary (docs/manifests.md)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Problem
from reconciler.views import words
from reconciler.views.diagnostics import Layout, Severity, render_problems
from reconciler.views.style import Style


def render_validation(
    errors: Sequence[Problem], warnings: Sequence[Problem], *, environments: int | None = None, layout: Layout
) -> str:
    """Return errors, warnings, and a summary as the last line. `environments` is the number of those without errors."""
    style = Style(layout.colour)
    lines = render_problems(errors, Severity.ERROR, layout) + render_problems(warnings, Severity.WARNING, layout)
    summary = words.validation_summary(errors, warnings, count=environments)
    lines.append(style.red(summary) if errors else style.green(summary))
    return "\n".join(lines) + "\n"
