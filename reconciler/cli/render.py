"""A result in the asked format, to stdout."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from reconciler.cli.output import wants_colour, write
from reconciler.model import Finding, Plan, RunResult


def _colour() -> bool:
    return wants_colour(sys.stdout, os.environ)


def _width() -> int:
    return min(120, max(60, shutil.get_terminal_size((100, 24)).columns))


def plan_text(plan: Plan, *, colour: bool) -> str:
    from reconciler.views import text

    return text.render_plan(plan, colour=colour, width=_width())


def show_plan(plan: Plan, form: str) -> None:
    if form == "json":
        from reconciler.views import json

        return write(json.render_plan(plan))
    if form == "markdown":
        from reconciler.views import markdown

        return write(markdown.render_plan(plan))
    return write(plan_text(plan, colour=_colour()))


def show_result(result: RunResult, form: str) -> None:
    if form == "json":
        from reconciler.views import json

        return write(json.render_result(result))
    if form == "markdown":
        from reconciler.views import markdown

        return write(markdown.render_result(result))
    from reconciler.views import text

    return write(text.render_result(result, colour=_colour(), width=_width()))


def show_drift(findings: Sequence[Finding], form: str) -> None:
    if form == "json":
        from reconciler.views import json

        return write(json.render_drift(findings))
    if form == "markdown":
        from reconciler.views import markdown

        return write(markdown.render_drift(findings))
    from reconciler.views import text

    return write(text.render_drift(findings, colour=_colour(), width=_width()))
