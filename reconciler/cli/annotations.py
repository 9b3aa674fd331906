"""Annotations for GitHub's runner. It reads both stdout and stderr; ours go to stderr (docs/contract.md#commands)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.output import write_aside
from reconciler.errors import InputError
from reconciler.io.files import is_file

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.views.annotations import PathOf


def wants_annotations(environ: Mapping[str, str]) -> bool:
    """Return whether this is a GitHub runner, the only reader of annotations."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotate(commands: str) -> None:
    write_aside(commands)


def annotate_error(error: Exception, session: Session) -> None:
    """Annotate the error that ended a command, at the lines of its problems if it has some."""
    from reconciler.views import annotations as github

    if isinstance(error, InputError) and error.problems:
        annotate(github.render_validation(error.problems, (), path_of=find_path(session)))
    else:
        annotate(github.render_error(str(error)))


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
