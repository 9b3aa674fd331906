"""The user, commit and run of this process, recorded with every intent and applied record (docs/state.md)."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import GitError, GitUnusable
from reconciler.model import By

logger = logging.getLogger(__name__)

MAX_LENGTH = 200  # characters; the values come from outside and must not make the state large


def find_by(environ: Mapping[str, str], manifests: Path, settings_files: Sequence[Path] = ()) -> By:
    """Return who runs this, in which run, and the commit of the manifests that are applied."""
    run = environ.get("GITHUB_RUN_ID")
    attempt = environ.get("GITHUB_RUN_ATTEMPT")
    return By(
        actor=_limit(environ.get("GITHUB_TRIGGERING_ACTOR") or environ.get("GITHUB_ACTOR") or _login_name()),
        commit=_limit(_find_commit(environ, manifests, settings_files)),
        run=_limit(f"{run}/{attempt}" if run and attempt else run),
    )


def _limit(text: str | None) -> str | None:
    # in a variable, bytes that are not UTF-8 become lone surrogates, which readers of JSON refuse
    return text[:MAX_LENGTH].encode("utf-8", "replace").decode() if text else None


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # a container's user without a name


def _find_commit(environ: Mapping[str, str], manifests: Path, settings_files: Sequence[Path]) -> str | None:
    """Return the commit of the manifests' repository, with a `+` if what is applied may differ from it.

    GITHUB_SHA is the commit of the event, which a workflow need not have checked out, so it counts only without a
    repository. Returns None if git can't say.
    """
    try:
        checkout = Checkout(manifests, environ)
    except GitUnusable:
        return environ.get("GITHUB_SHA")
    try:
        head = checkout.find_head()
    except GitError as error:
        logger.info("the commit of the manifests is not known: %s", error)
        return None
    if head is None:
        return None
    try:
        return head + ("+" if checkout.differs([manifests, *settings_files]) else "")
    except GitError as error:
        logger.info("whether the manifests differ from their commit is not known: %s", error)
        return f"{head}+"
