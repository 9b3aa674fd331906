"""Annotations for GitHub's runner, which takes them from either stream: ours go to stderr (CONTRACT §4)."""

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
    """Within GitHub's runner, which alone reads them."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotate(commands: str) -> None:
    write_aside(commands)


def annotate_error(error: Exception, session: Session) -> None:
    """What ended a command, at its places where it has some."""
    from reconciler.views import annotations as github

    if isinstance(error, InputError) and error.problems:
        annotate(github.render_validation(error.problems, (), path_of=find_path(session)))
    else:
        annotate(github.render_error(str(error)))


def find_path(session: Session) -> PathOf:
    """From a file as messages show it, below the working directory, to the one below the workspace."""
    workspace = Path(os.path.realpath(session.environ.get("GITHUB_WORKSPACE") or session.folder))
    folder = Path(os.path.realpath(session.folder))

    def path_of(file: str) -> str | None:
        path = Path(os.path.normpath(folder / file))
        if not path.is_relative_to(workspace) or not is_file(path):
            return None
        return path.relative_to(workspace).as_posix()

    return path_of
