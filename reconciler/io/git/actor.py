"""Who runs this: recorded with every intent and applied record (CONTRACT §7)."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.model import By

GIT_TIMEOUT_S = 10
MAX_LENGTH = 200  # a name is data of someone else's making: it must not blow up the state


def find_by(environ: Mapping[str, str], folder: Path) -> By:
    """GITHUB_ACTOR, GITHUB_SHA, GITHUB_RUN_ID and attempt; else the login name and git's HEAD."""
    run = environ.get("GITHUB_RUN_ID")
    attempt = environ.get("GITHUB_RUN_ATTEMPT")
    return By(
        actor=_limit(environ.get("GITHUB_ACTOR") or _login_name()),
        commit=_limit(environ.get("GITHUB_SHA") or _head(environ, folder)),
        run=_limit(f"{run}/{attempt}" if run and attempt else run),
    )


def _limit(text: str | None) -> str | None:
    # bytes that are no UTF-8 reach a variable as lone surrogates, which no reader of JSON takes
    return text[:MAX_LENGTH].encode("utf-8", "replace").decode() if text else None


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # a container's user without a name


def _head(environ: Mapping[str, str], folder: Path) -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],  # noqa: S607 - the user's git
            cwd=folder,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
