"""The output of a result: on stdout, in the files of `--also`, and as annotations for GitHub's runner."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct

from reconciler.cli.annotations import annotate, find_path
from reconciler.cli.options import SUMMARY, SUMMARY_CHARS, Form
from reconciler.cli.output import fit_terminal, is_terminal, terminal_width, wants_colour, write
from reconciler.cli.session import Session
from reconciler.core.planner import Planned
from reconciler.core.where import find_apis
from reconciler.errors import InputError, OutputFailed
from reconciler.io.files import is_folder, write_whole
from reconciler.model import CheckResult, Document, Drift, Item, Problem, ResolvedEnvironment, RunResult
from reconciler.run.guards import find_putting

FILE_WIDTH = 100  # columns of a text in a file


class TextStyle(Struct, frozen=True):
    """The colour and width of a text, and whether a terminal shows it."""

    colour: bool
    width: int
    on_terminal: bool = False


Views: TypeAlias = Mapping[str, Callable[[TextStyle], str]]
"""The renderers of one result, by format."""


def check_files(form: Form, session: Session) -> None:
    """Check that the files of `--also` can be written. Raises InputError."""
    problems = [
        Problem.of("--also", f"{file} can't be written", "name a file in a folder that exists")
        for _, file in form.also
        if not is_folder((session.folder / file).parent) or is_folder(session.folder / file)
    ]
    if problems:
        raise InputError(problems=problems)


def plan_text(planned: Planned, *, colour: bool, width: int | None = None) -> str:
    view = _load("text_plan")
    filled = planned.vars_by_environment
    return str(view.render_plan(planned.plan, filled, colour=colour, width=width or terminal_width()))


def ask_to_apply(planned: Planned) -> str:
    """Return the question before a plan is applied."""
    return str(_load("text_plan").render_question(planned.plan, find_apis(find_putting(planned))))


def show_plan(planned: Planned, form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: plan_text(planned, colour=style.colour, width=style.width),
        "json": lambda _: _load_format("plan_file").encode_plan(planned.plan),
        "markdown": lambda _: _load("markdown").render_plan(planned.plan, planned.vars_by_environment),
        "summary": lambda _: _load("markdown").render_plan(
            planned.plan, planned.vars_by_environment, max_chars=SUMMARY_CHARS
        ),
        "github": lambda _: _load("annotations").render_plan(planned.plan, path_of=find_path(session)),
    }
    _show(views, form, session)


def show_result(result: RunResult, form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: _load("text").render_result(result, colour=style.colour, width=style.width),
        "json": lambda _: _load_format("result_file").encode_result(result),
        "markdown": lambda _: _load("markdown").render_result(result),
        "github": lambda _: _load("annotations").render_result(result, path_of=find_path(session)),
    }
    _show(views, form, session)


def show_drift(found: Drift, planned: Planned, form: Form, session: Session, *, on_github: bool = False) -> None:
    views: Views = {
        "text": lambda style: drift_text(found, planned, style, on_github=on_github),
        "json": lambda _: _load_format("drift_file").encode_drift(found),
        "markdown": lambda _: _load("markdown").render_drift(found, planned.vars_by_environment),
        "github": lambda _: _load("annotations").render_drift(
            found, planned.vars_by_environment, path_of=find_path(session)
        ),
    }
    _show(views, form, session)


def drift_text(found: Drift, planned: Planned, style: TextStyle, *, on_github: bool) -> str:
    view, places = _load("text"), planned.vars_by_environment
    return str(view.render_drift(found, places, colour=style.colour, width=style.width, on_github=on_github))


def show_check(result: CheckResult, form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: _load("text").render_check(result, colour=style.colour, width=style.width),
        "json": lambda _: _load_format("check_file").encode_check(result),
        "markdown": lambda _: _load("markdown").render_check(result),
        "github": lambda _: _load("annotations").render_check(result, path_of=find_path(session)),
    }
    _show(views, form, session)


def show_validation(
    errors: Sequence[Problem], warnings: Sequence[Problem], environments: int | None, form: Form, session: Session
) -> None:
    """Show the problems of the input.

    `environments` is the number of those without errors; None: the manifests were not read.
    """

    def as_text(style: TextStyle) -> str:
        from reconciler.views.diagnostics import Layout

        layout = Layout(style.colour, style.width if style.on_terminal else None)
        return str(_load("text").render_validation(errors, warnings, environments=environments, layout=layout))

    def as_json(_: TextStyle) -> str:
        return str(_load_format("validation_file").encode_validation(errors, warnings, environments=environments))

    views: Views = {
        "text": as_text,
        "json": as_json,
        "markdown": lambda _: _load("markdown").render_validation(errors, warnings, environments=environments),
        "github": lambda _: _load("annotations").render_validation(errors, warnings, path_of=find_path(session)),
    }
    _show(views, form, session)


def show_state_list(
    documents: Sequence[Document], now: datetime, form: Form, session: Session, *, unread: int = 0
) -> None:
    """Show the list of the state. `unread` is the number of further documents, which can't be read."""
    views: Views = {
        "text": lambda style: _load("text").render_state_list(
            documents, now, colour=style.colour, width=style.width if style.on_terminal else None, unread=unread
        ),
        "json": lambda _: _load_format("state_listing").encode_state_list(documents, now),
        "markdown": lambda _: _load("markdown").render_state_list(documents, now, unread=unread),
    }
    _show(views, form, session)


def show_document(document: Document, now: datetime, form: Form, session: Session) -> None:
    """Show a state document. Its JSON is the stored document itself."""

    def stored(_: TextStyle) -> str:
        from reconciler.state.document import encode_document
        from reconciler.text.escape import for_json

        return for_json(encode_document(document).decode())

    views: Views = {
        "text": lambda style: _load("text").render_state_show(document, now, colour=style.colour),
        "json": stored,
        "markdown": lambda _: _load("markdown").render_state_show(document, now),
    }
    _show(views, form, session)


def show_history(document: Document, form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: _load("text").render_state_history(document, colour=style.colour),
        "json": lambda _: _load_format("state_listing").encode_state_history(document),
        "markdown": lambda _: _load("markdown").render_state_history(document),
    }
    _show(views, form, session)


def show_environment(resolved: ResolvedEnvironment, form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: _load("text").render_environment(resolved, colour=style.colour),
        "json": lambda _: _load_format("environment_file").encode_environment(resolved),
    }
    _show(views, form, session)


def show_doctor(items: Sequence[Item], form: Form, session: Session) -> None:
    views: Views = {
        "text": lambda style: _load("text").render_doctor(items, colour=style.colour),
        "json": lambda _: _load_format("doctor_file").encode_doctor(items),
    }
    _show(views, form, session)


# --- output ------------------------------------------------------------------------------------------


def _load(form: str) -> Any:
    """Return the module of a view. It is imported when it is used, because its imports take time."""
    return importlib.import_module(f"reconciler.views.{form}")


def _load_format(name: str) -> Any:
    return importlib.import_module(f"reconciler.formats.{name}")


def _show(views: Views, form: Form, session: Session) -> None:
    """Write the files first, then stdout, so that a failure of one does not prevent the other."""
    check_files(form, session)
    plain = TextStyle(colour=False, width=FILE_WIDTH)
    unwritten = []
    for other, file in form.also:
        try:
            # only a plan has a separate view for a job's summary
            view = views["markdown"] if other == SUMMARY and SUMMARY not in views else views[other]
            write_whole(session.folder / file, view(plain))
        except OSError as error:
            unwritten.append(f"{file} can't be written: {error.strerror}")
    if form.name != "github" and "github" in views:
        annotate(session.environ, lambda: views["github"](plain))
    colour = wants_colour(sys.stdout, os.environ)
    shown = views[form.name](TextStyle(colour, terminal_width(), on_terminal=is_terminal(sys.stdout)))
    write(fit_terminal(shown, sys.stdout) if form.name == "text" else shown)
    if unwritten:
        raise OutputFailed(f"{'; '.join(unwritten)}. What was done is done")
