"""The workflow steps over a hub: where something is posted, and what a refusal means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.protocol.markers import Marker
from reconciler.errors import InputError, PostFailed, TransientError
from reconciler.model import Fingerprint
from reconciler.ports import CommitStatus, Issue, Posted, PullRequest
from reconciler.run.github import CONTEXT, Unposted, find_reviewed, keep_comment, keep_drift_issue, keep_status
from tests.fakes import START, make_desired

MARKER = Marker("plan", 1, 1)
PLAN = make_plan([make_desired("loja")], {}, lambda one: Fingerprint(), PlanInput(START))


@dataclass
class FakeHub:
    """A repository that remembers what is posted, or refuses with `refusal`."""

    pull_request: PullRequest | None = None
    merged: PullRequest | None = None
    may_only_read: bool = False
    refusal: PostFailed | None = None
    digests: dict[str, str] = field(default_factory=dict)
    posted: list[tuple[object, ...]] = field(default_factory=list)
    run_url: str = "https://github.com/acme/hooks/actions/runs/1"
    sha: str = "c" * 40

    def _post(self, *what: object) -> Posted:
        if self.refusal is not None:
            raise self.refusal
        self.posted.append(what)
        return Posted("created", "https://github.com/x")

    def find_merged(self) -> PullRequest | None:
        return self.merged

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        return self._post(number, marker.name, text)

    def set_status(self, sha: str, status: CommitStatus) -> None:
        self._post(sha, status)

    def find_reviewed_digest(self, sha: str, context: str) -> str | None:
        return self.digests.get(f"{sha} {context}")

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        return self._post(name, issue, label) if is_open else None

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        self._post(workflow, ref, dict(inputs))


REQUEST = PullRequest(4, "a" * 40)


@pytest.mark.parametrize(
    ("hub", "number", "sha"),
    [
        (FakeHub(pull_request=REQUEST), 4, "a" * 40),
        (FakeHub(pull_request=PullRequest(4, None)), 4, "c" * 40),
        (FakeHub(merged=REQUEST), 4, "c" * 40),
    ],
    ids=["its own", "without a head", "merged"],
)
def test_a_comment_goes_to_the_pull_request_and_names_its_commit(hub: FakeHub, number: int, sha: str) -> None:
    """In a run on the default branch to the one that was merged, about the run's own commit."""
    assert keep_comment(hub, MARKER, lambda commit: f"of {commit}") == Posted("created", "https://github.com/x")
    assert hub.posted == [(number, "plan", f"of {sha}")]


def test_without_a_pull_request_nothing_is_posted() -> None:
    """A direct push."""
    assert keep_comment(FakeHub(), MARKER, str) is Unposted.NO_PULL_REQUEST


def test_a_pull_request_without_a_number_is_not_posted_to() -> None:
    """There is no address for it."""
    with pytest.raises(PostFailed, match="the pull request has no number"):
        keep_comment(FakeHub(pull_request=PullRequest(None, None)), MARKER, str)


REFUSED = PostFailed("GitHub answered 403", 403)
LIMITED = TransientError("GitHub answered 403", 403)


@pytest.mark.parametrize("may_only_read", [True, False])
def test_a_refusal_is_expected_of_a_fork_and_names_the_permission_else(may_only_read: bool) -> None:
    """Only a 403 that is not the rate limit."""
    hub = FakeHub(pull_request=REQUEST, may_only_read=may_only_read, refusal=REFUSED)
    if may_only_read:
        assert keep_comment(hub, MARKER, str) is Unposted.READ_ONLY
        assert keep_status(hub, PLAN) is Unposted.READ_ONLY
        return
    with pytest.raises(PostFailed, match=r"403\. Does the job lack a permission, such as comment \(pull-requests"):
        keep_comment(hub, MARKER, str)
    with pytest.raises(PostFailed, match=r"such as status \(statuses: write\)\?"):
        keep_status(hub, PLAN)


@pytest.mark.parametrize("refusal", [LIMITED, PostFailed("GitHub answered 500", 500), PostFailed("no answer")])
def test_any_other_failure_fails_the_step_of_a_fork_too(refusal: PostFailed) -> None:
    """It says nothing of what the token may do."""
    with pytest.raises(PostFailed) as caught:
        keep_comment(FakeHub(pull_request=REQUEST, may_only_read=True, refusal=refusal), MARKER, str)
    assert caught.value is refusal


def test_a_status_holds_the_digest_of_the_plan() -> None:
    """Without a plan it is a failure; outside of a pull request there is no place for it."""
    hub = FakeHub(pull_request=REQUEST)
    assert keep_status(hub, PLAN) == CommitStatus(CONTEXT, "success", f"{PLAN.digest}, 1 to put")
    assert keep_status(hub, None) == CommitStatus(CONTEXT, "failure", "no plan: see the run")
    assert [sha for sha, _ in hub.posted] == ["a" * 40] * 2
    with pytest.raises(InputError, match="GITHUB_EVENT_PATH: holds no pull request"):
        keep_status(FakeHub(), PLAN)


def test_the_reviewed_digest_is_that_of_the_merged_head() -> None:
    """Without a pull request, or a status on its head, nothing was reviewed."""
    assert find_reviewed(FakeHub(merged=REQUEST, digests={f"{'a' * 40} {CONTEXT}": "sha256:1"})) == "sha256:1"
    with pytest.raises(PostFailed, match="no pull request brought this commit"):
        find_reviewed(FakeHub())
    for request in (REQUEST, PullRequest(4, None)):
        with pytest.raises(PostFailed, match="the pull request 4 has no status reconciler/plan with a digest"):
            find_reviewed(FakeHub(merged=request))


def test_the_issue_is_open_while_there_is_drift() -> None:
    """Closed when there is none."""
    hub = FakeHub()
    issue = Issue("t", "x", "c")
    assert keep_drift_issue(hub, ["loja"], issue) is not None
    assert keep_drift_issue(hub, [], issue) is None
    assert hub.posted == [("drift", issue, "reconciler-drift")]
