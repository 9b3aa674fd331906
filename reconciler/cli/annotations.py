"""Annotations for GitHub's runner. It reads both stdout and stderr; ours go to stderr (docs/contract.md#commands)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.output import write_aside
from reconciler.errors import InputError
from reconciler.io.files import is_file

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.views.annotations import PathOf


def is_runner(environ: Mapping[str, str]) -> bool:
    """Return whether this is a GitHub runner, the only reader of annotations and masks."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotate(environ: Mapping[str, str], render: Callable[[], str]) -> None:
    """Write the annotations that `render` returns, on a runner only."""
    if is_runner(environ):
        write_aside(render())


def annotate_error(error: Exception, session: Session) -> None:
    """Annotate the error that ended a command, at the lines of its problems if it has some."""
    from reconciler.views import annotations as github

    def render() -> str:
        if isinstance(error, InputError) and error.problems:
            return github.render_validation(error.problems, (), path_of=find_path(session))
        return github.render_error(str(error))

    annotate(session.environ, render)


def find_path(session: Session) -> PathOf:
    """Return a function that maps a file, as messages show it, to its path in the workspace."""
    workspace = Path(os.path.realpath(session.environ.get("GITHUB_WORKSPACE") or session.folder))
    folder = Path(os.path.realpath(session.folder))

    def path_of(file: str) -> str | None:
        path = Path(os.path.normpath(folder / file))
        if not path.is_relative_to(workspace) or not is_file(path):
            return None
        return path.relative_to(workspace).as_posix()

    return path_of
