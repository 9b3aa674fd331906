"""The workflow run that this process is part of, from the runner's variables and the event's file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from reconciler.core.policy import find_pattern_fault
from reconciler.core.urls import find_base_url_fault, host_of
from reconciler.errors import InputError
from reconciler.github.shown import dig, find_commit, find_head, find_number, find_text
from reconciler.io.files import read_regular
from reconciler.io.git.command import COMMIT
from reconciler.io.git.remotes import REPOSITORY
from reconciler.model import Problem
from reconciler.ports import PullRequest

MAX_EVENT_BYTES = 32 * 1024 * 1024
# the values that become a part of an address or a link
_FORMS = {
    "GITHUB_REPOSITORY": REPOSITORY,
    "GITHUB_SHA": COMMIT,
    "GITHUB_RUN_ID": re.compile(r"[0-9]{1,20}", re.ASCII),
}
# refs/heads/gh-readonly-queue/main/pr-104-<commit>
_QUEUE_BRANCH = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-([0-9]{1,10})-[0-9a-f]{40,64}", re.ASCII)
DEPENDABOT = "dependabot[bot]"  # its runs get a token that may only read, as those of forks do


class WorkflowRun(Struct, frozen=True):
    """A workflow run. `repository` is `owner/name`; `event` is the payload of the webhook that began the run."""

    api_url: str
    server_url: str
    repository: str
    sha: str
    actor: str
    run_id: str
    event: Mapping[str, Any]
    ref_name: str = ""  # the branch of the run

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def pull_request(self) -> Mapping[str, Any] | None:
        """Return the pull request that the event is about; None for other events."""
        found = self.event.get("pull_request")
        return found if isinstance(found, Mapping) else None

    @property
    def default_branch(self) -> str | None:
        return find_text(self.event, "repository", "default_branch")

    @property
    def may_only_read(self) -> bool:
        """Return whether GitHub gives this run a token that may not write, whatever `permissions:` says."""
        if self.pull_request is None:
            return False
        return self.actor == DEPENDABOT or dig(self.pull_request, "head", "repo", "full_name") != self.repository


def to_pull_request(shown: Any) -> PullRequest | None:
    """Return a pull request from the event or the API; None for anything else."""
    if not isinstance(shown, Mapping):
        return None
    return PullRequest(find_number(shown, "number"), find_head(shown), shown.get("state") == "open")


class MergeGroup(Struct, frozen=True):
    """An entry of a merge queue: the commit that it is built on, and its pull request, if they are known.

    GitHub names the pull request only in the group's branch.
    """

    base_sha: str | None
    number: int | None


def find_merge_group(event: Mapping[str, Any]) -> MergeGroup | None:
    """Return the merge group that an event is about; None for any other event."""
    shown = event.get("merge_group")
    if not isinstance(shown, Mapping):
        return None
    branch = _QUEUE_BRANCH.fullmatch(find_text(shown, "head_ref") or "")
    return MergeGroup(find_commit(shown, "base_sha"), int(branch[1]) if branch else None)


def find_run(environ: Mapping[str, str]) -> WorkflowRun:
    """Return the workflow run of this process.

    Raises InputError outside a workflow, and names the missing variables.
    """
    needed = ("GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_RUN_ID", "GITHUB_EVENT_PATH")
    missing = [name for name in needed if not environ.get(name)]
    if missing:
        hint = "this command runs in a GitHub workflow, which sets them"
        raise InputError(problems=[Problem.of(name, "is not set", hint) for name in missing])
    hint = "leave it as GitHub's runner sets it"
    malformed = [name for name, form in _FORMS.items() if not form.fullmatch(environ[name])]
    if malformed:
        raise InputError(problems=[Problem.of(name, "is malformed", hint) for name in malformed])
    server_url, api_url = find_addresses(environ)
    return WorkflowRun(
        api_url=api_url,
        server_url=server_url,
        repository=environ["GITHUB_REPOSITORY"],
        sha=environ["GITHUB_SHA"],
        actor=environ.get("GITHUB_ACTOR", ""),
        run_id=environ["GITHUB_RUN_ID"],
        event=_read_event(Path(environ["GITHUB_EVENT_PATH"])),
        ref_name=environ.get("GITHUB_REF_NAME", ""),
    )


def find_addresses(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the addresses of the server and of its API: those of the runner, or else of github.com.

    Raises InputError unless the API is GitHub's, because a token is sent to it. Its host must be api.github.com, the
    server that the runner names, or `api.` before that server. This covers github.com, GHE.com and a company's own
    server.
    """
    server_url = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    api_url = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    server = host_of(server_url)
    own = [] if server.startswith("*") or find_pattern_fault(server) else [server, f"api.{server}"]
    fault = find_base_url_fault(api_url, ["api.github.com", *own])
    if fault is not None:
        hint = "write https:// and the host of GITHUB_SERVER_URL, or that host with api. before it"
        raise InputError.of("GITHUB_API_URL", fault.message, hint)
    return server_url, api_url


def _read_event(path: Path) -> Mapping[str, Any]:
    try:
        event = json.loads(read_regular(path, MAX_EVENT_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError.of("GITHUB_EVENT_PATH", f"{path} can't be read") from error
    return event if isinstance(event, dict) else {}
