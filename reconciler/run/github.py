"""What the steps of a workflow share when they post to GitHub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reconciler.errors import PostFailed, TransientError
from reconciler.ports import Hub, Issue, Posted

DRIFT = "drift"
DRIFT_LABEL = "reconciler-drift"


class MayOnlyRead(Exception):
    """GitHub refused, because a run of a fork or of Dependabot may not write."""


def keep_drift_issue(hub: Hub, drifted: Sequence[str], issue: Issue) -> Posted | None:
    """Open or update the one issue on drift, or close it where there is none. Raises PostFailed.

    Returns None where there is neither drift nor an open issue.
    """
    return hub.keep_issue(DRIFT, issue, label=DRIFT_LABEL, is_open=bool(drifted))


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
