"""The user, commit and run of this process, recorded with every intent and applied record (CONTRACT §7)."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import GitError
from reconciler.model import By

MAX_LENGTH = 200  # characters; the values come from outside and must not make the state large


def find_by(environ: Mapping[str, str], folder: Path) -> By:
    """Return GITHUB_ACTOR, GITHUB_SHA, GITHUB_RUN_ID and attempt; else the login name and git's HEAD."""
    run = environ.get("GITHUB_RUN_ID")
    attempt = environ.get("GITHUB_RUN_ATTEMPT")
    return By(
        actor=_limit(environ.get("GITHUB_ACTOR") or _login_name()),
        commit=_limit(environ.get("GITHUB_SHA") or _head(environ, folder)),
        run=_limit(f"{run}/{attempt}" if run and attempt else run),
    )


def _limit(text: str | None) -> str | None:
    # bytes that are not UTF-8 become lone surrogates in a variable, which no reader of JSON accepts
    return text[:MAX_LENGTH].encode("utf-8", "replace").decode() if text else None


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # a container's user without a name


def _head(environ: Mapping[str, str], folder: Path) -> str | None:
    try:
        return Checkout(folder, environ).find_head()
    except GitError:
        return None
