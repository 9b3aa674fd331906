"""The port `Hub` over GitHub's REST API, for the workflow run that the runner's variables describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from reconciler.core.workflow.endings import RunJob
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import Marker
from reconciler.core.workflow.schedule import ApplyRun
from reconciler.errors import InputError, PostFailed
from reconciler.github import environments, merged, posts, runs
from reconciler.github.api import GitHub
from reconciler.github.labels import find_lifting_label
from reconciler.github.run import WorkflowRun, find_run, to_pull_request
from reconciler.io.http.proxy import find_proxy
from reconciler.ports import Issue, MergedPull, Posted, PullRequest


@contextmanager
def open_hub(environ: Mapping[str, str]) -> Iterator[RunHub]:
    """Yield the hub of this workflow run. Raises InputError outside a workflow, and without a token."""
    run = find_run(environ)
    token = environ.get("GITHUB_TOKEN", "")
    if not token:
        raise InputError.of("GITHUB_TOKEN", "is not set", "env: {GITHUB_TOKEN: ${{ github.token }}}")
    with GitHub(run, token, proxy=find_proxy(run.api_url, environ)) as client:
        yield RunHub(run, client)


class RunHub:
    """The repository of one workflow run."""

    def __init__(self, run: WorkflowRun, client: GitHub) -> None:
        self._run = run
        self._client = client

    @property
    def run_url(self) -> str:
        return self._run.url

    @property
    def pull_request(self) -> PullRequest | None:
        return to_pull_request(self._run.pull_request)

    @property
    def may_only_read(self) -> bool:
        return self._run.may_only_read

    def list_pulls(self, sha: str) -> tuple[MergedPull, ...]:
        return merged.list_pulls(self._client, sha, self._run.repository, self._run.default_branch)

    def read_pull(self, number: int) -> PullRequest:
        found = to_pull_request(self._client.get(f"pulls/{number}"))
        if found is None:
            raise PostFailed(f"GitHub's answer to GET pulls/{number} is not an object")
        return found

    def find_label(self, number: int, label: Label) -> LabelSetting | None:
        return find_lifting_label(self._client, number, label)

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        return posts.put_comment(self._client, number, marker, text)

    def list_jobs(self, attempt: int) -> Sequence[RunJob]:
        return runs.list_jobs(self._client, self._run.run_id, attempt)

    def list_merged(self, since: datetime) -> Sequence[MergedPull]:
        return merged.list_merged(self._client, self.branch, since)

    def find_markers(self, name: str, since: datetime) -> Mapping[int, Marker]:
        return merged.find_markers(self._client, name, since)

    def count_commits(self, pull: MergedPull) -> int:
        return merged.count_commits(self._client, pull)

    def list_apply_runs(self, head: str) -> Sequence[ApplyRun]:
        return runs.list_apply_runs(self._client, self.branch, head)

    @property
    def branch(self) -> str:
        """Return the default branch. An event that doesn't name it, such as a schedule, runs on that branch."""
        return self._run.default_branch or self._run.ref_name

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        text = issue.text if is_open else None
        return posts.keep_issue(self._client, name, issue.title, text, label=label, closing=issue.closing)

    def list_environments(self) -> list[str]:
        return environments.list_environments(self._client)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        posts.dispatch(self._client, workflow, ref, inputs)
