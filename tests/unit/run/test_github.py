"""The meaning of a refusal by GitHub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from reconciler.core.workflow.markers import Marker
from reconciler.core.workflow.schedule import ApplyRun
from reconciler.errors import PostFailed, TransientError
from reconciler.ports import Issue, Posted
from reconciler.run.github import MayOnlyRead, needing_permission
from reconciler.run.schedule import Activity, KeptIssue, keep_issue
from tests.unit.run.fake_hub import FakeHub

REFUSED = PostFailed("GitHub answered 403", 403)
LIMITED = TransientError("GitHub answered 403", 403)


def post(hub: FakeHub) -> None:
    with needing_permission(hub, "comment (pull-requests: write)"):
        hub.put_comment(4, Marker("plan", 1, 1), "text")


@pytest.mark.parametrize("may_only_read", [True, False])
def test_a_refusal_is_expected_of_a_fork_and_otherwise_names_the_permission(may_only_read: bool) -> None:
    """This is only a 403 that is not the rate limit."""
    hub = FakeHub(may_only_read=may_only_read, refusal=REFUSED)
    if may_only_read:
        with pytest.raises(MayOnlyRead):
            post(hub)
        return
    with pytest.raises(PostFailed, match=r"403\. Does the job lack a permission, such as comment \(pull-requests"):
        post(hub)


@pytest.mark.parametrize("refusal", [LIMITED, PostFailed("GitHub answered 500", 500), PostFailed("no answer")])
def test_any_other_failure_fails_the_step_of_a_fork_too(refusal: PostFailed) -> None:
    """It does not show what the token may do."""
    with pytest.raises(PostFailed) as caught:
        post(FakeHub(may_only_read=True, refusal=refusal))
    assert caught.value is refusal


class RefusingHub:
    """A hub for the schedule, to which GitHub refuses everything."""

    def __init__(self, refusal: PostFailed) -> None:
        self._refusal = refusal

    def list_apply_runs(self, head: str) -> Sequence[ApplyRun]:
        raise self._refusal

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        raise self._refusal

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        raise self._refusal


def test_a_rate_limit_does_not_look_like_a_missing_permission() -> None:
    """GitHub answers both with 403; the schedule keeps the message of each call that failed."""
    done = Activity()
    for refusal in (REFUSED, LIMITED):
        keep_issue(RefusingHub(refusal), KeptIssue.DRIFT, Issue("title", "text", "closing"), done, is_open=True)
    refused, limited = done.failures
    assert refused.endswith("GitHub answered 403. Does the job lack a permission, such as issues: write?")
    assert limited.endswith("was not updated: GitHub answered 403")
