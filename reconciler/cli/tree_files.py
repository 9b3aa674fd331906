"""The files of a team's repository that `init` reads, and the names that it and `github setup` accept."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import InputError
from reconciler.io.files import is_folder, read_regular

_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_-])?", re.ASCII)
_USER_OR_TEAM = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9-]*(?:/[\w.-]+)?", re.ASCII)
_SECRET_NAME = re.compile(rb"\{secret:(PLUG_SECRET_[A-Za-z0-9_]+)\}")
MAX_MANIFEST_BYTES = 1024 * 1024


def is_branch(name: str) -> bool:
    """Return whether workflows can name this branch: other characters have a meaning in their patterns."""
    return _BRANCH.fullmatch(name) is not None


def is_user_or_team(name: str) -> bool:
    """Return whether this can be a user or a team on GitHub: USER or ORG/TEAM, with or without @ before it."""
    return _USER_OR_TEAM.fullmatch(name) is not None


def find_branch(top: Path) -> str | None:
    """Return the default branch of the repository around a folder; None if it isn't known or can't be written."""
    from reconciler.io.git.checkout import Checkout
    from reconciler.io.git.command import GitError

    try:
        found = Checkout(top, os.environ).find_default_branch()
    except GitError:
        return None
    return found if found and is_branch(found) else None


def find_secret_names(top: Path) -> Sequence[str]:
    """Return the secrets that the manifests name, for the workflows; none if they are too many."""
    from reconciler.starter.workflow_files import MAX_SECRET_LINES

    names: set[str] = set()
    for path in sorted((top / "manifests").rglob("*.y*ml")) if has_manifests(top) else ():
        try:
            names.update(name.decode() for name in _SECRET_NAME.findall(read_regular(path, MAX_MANIFEST_BYTES)))
        except OSError:
            continue  # `validate` reports the file
    return sorted(names) if len(names) <= MAX_SECRET_LINES else ()


def has_manifests(top: Path) -> bool:
    return is_folder(top / "manifests") and any((top / "manifests").rglob("*.y*ml"))


def leads_out(top: Path, path: str) -> bool:
    """Return whether a folder of the path is a link out of `top`."""
    # not resolve(), which raises for links in a circle
    return not Path(os.path.realpath((top / path).parent)).is_relative_to(os.path.realpath(top))


def unwritable(target: Path, reason: str) -> InputError:
    hint = "choose a folder that can be written"
    return InputError.of("DIR", f"{target.as_posix()} can't be written: {reason}", hint)
