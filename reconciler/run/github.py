"""What the steps of a workflow share when they post to GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import PostFailed, TransientError
from reconciler.ports import Hub


class MayOnlyRead(Exception):
    """GitHub refused, because a run of a fork or of Dependabot may not write."""


@contextmanager
def needing_permission(hub: Hub, what: str) -> Iterator[None]:
    """Distinguish a run that may never write (raises MayOnlyRead) from a job that lacks a permission (PostFailed)."""
    try:
        yield
    except PostFailed as error:
        # GitHub answers 403 for its rate limit too
        if error.status != 403 or isinstance(error, TransientError):
            raise
        if hub.may_only_read:
            raise MayOnlyRead from error
        raise PostFailed(f"{error}. Does the job lack a permission, such as {what}?", 403) from error
