"""Permissions on GitHub, for all steps of a workflow that post something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import PostFailed, TransientError
from reconciler.ports import Hub


class MayOnlyRead(Exception):
    """GitHub refused, because a run of a fork or of Dependabot may not write."""


@contextmanager
def needing_permission(hub: Hub, what: str) -> Iterator[None]:
    """Raise MayOnlyRead for a run that may never write, and PostFailed for a job that lacks a permission."""
    try:
        yield
    except PostFailed as error:
        question = ask_for_permission(error, what)
        if not question:
            raise
        if hub.may_only_read:
            raise MayOnlyRead from error
        raise PostFailed(f"{error}{question}", error.status) from error


def ask_for_permission(error: PostFailed, needed: str) -> str:
    """Return a question to add to GitHub's refusal; empty if the error is another one."""
    # GitHub answers 403 for its rate limit too
    if error.status != 403 or isinstance(error, TransientError):
        return ""
    return f". Does the job lack a permission, such as {needed}?"
