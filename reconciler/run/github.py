"""The steps of a workflow that post to GitHub: a comment, a status, an issue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from reconciler.core.protocol.markers import Marker
from reconciler.core.workflow import describe_plan
from reconciler.errors import InputError, PostFailed, TransientError
from reconciler.model import Plan
from reconciler.ports import CommitStatus, Hub, Issue, Posted

CONTEXT = "reconciler/plan"  # of the commit status that holds the digest of what was reviewed
DRIFT = "drift"
DRIFT_LABEL = "reconciler-drift"


class Unposted(StrEnum):
    """The reason why nothing was posted although nothing failed."""

    NO_PULL_REQUEST = "no-pull-request"
    READ_ONLY = "read-only"  # a run of a fork or of Dependabot; the job's summary shows the same


class _MayOnlyRead(Exception):
    """GitHub refused, because a run of a fork or of Dependabot may not write."""


def keep_comment(hub: Hub, marker: Marker, make_text: Callable[[str], str]) -> Posted | Unposted:
    """Create or update the one comment of the marker's name.

    It is on the run's pull request, else on the one whose merge made the commit. `make_text` takes the commit that the
    comment is about. Raises PostFailed.
    """
    request = hub.pull_request or hub.find_merged()
    if request is None:
        return Unposted.NO_PULL_REQUEST
    sha = (request.head_sha if hub.pull_request else None) or hub.sha
    if request.number is None:
        raise PostFailed("the pull request has no number")
    try:
        with _needing(hub, "comment (pull-requests: write)"):
            return hub.put_comment(request.number, marker, make_text(sha))
    except _MayOnlyRead:
        return Unposted.READ_ONLY


def keep_status(hub: Hub, plan: Plan | None) -> CommitStatus | Unposted:
    """Set the status of the run's pull request; without a plan it is a failure. Raises InputError, PostFailed."""
    sha = hub.pull_request.head_sha if hub.pull_request else None
    if sha is None:
        raise InputError.of("GITHUB_EVENT_PATH", "holds no pull request")
    status = CommitStatus(CONTEXT, "failure" if plan is None else "success", describe_plan(plan))
    try:
        with _needing(hub, "status (statuses: write)"):
            hub.set_status(sha, status)
    except _MayOnlyRead:
        return Unposted.READ_ONLY
    return status


def find_reviewed(hub: Hub) -> str:
    """Return the digest on the pull request whose merge made this commit. Raises PostFailed where it has none."""
    request = hub.find_merged()
    if request is None:
        raise PostFailed("no pull request brought this commit, so nothing was reviewed: merge one")
    digest = None if request.head_sha is None else hub.find_reviewed_digest(request.head_sha, CONTEXT)
    if digest is None:
        raise PostFailed(f"the pull request {request.number} has no status {CONTEXT} with a digest")
    return digest


def keep_drift_issue(hub: Hub, drifted: Sequence[str], issue: Issue) -> Posted | None:
    """Open or update the one issue on drift, or close it where there is none. Raises PostFailed.

    Returns None where there is neither drift nor an open issue.
    """
    return hub.keep_issue(DRIFT, issue, label=DRIFT_LABEL, is_open=bool(drifted))


@contextmanager
def _needing(hub: Hub, what: str) -> Iterator[None]:
    """Distinguish a run that may never write (raises _MayOnlyRead) from a job that lacks a permission."""
    try:
        yield
    except PostFailed as error:
        # GitHub answers 403 for its rate limit too
        if error.status != 403 or isinstance(error, TransientError):
            raise
        if hub.may_only_read:
            raise _MayOnlyRead from error
        raise PostFailed(f"{error}. Does the job lack a permission, such as {what}?", 403) from error
