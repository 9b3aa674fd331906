"""The workflow run that this process is part of, as the runner's variables and the event's file tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.core.urls import find_base_url_fault
from reconciler.errors import InputError
from reconciler.model import Problem

MAX_EVENT_BYTES = 32 * 1024 * 1024
DEPENDABOT = "dependabot[bot]"  # its runs get a token that may only read, as those of forks do


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """`repository` is `owner/name`; `event` is the webhook's payload that began the run."""

    api_url: str
    server_url: str
    repository: str
    sha: str
    actor: str
    run_id: str
    event: Mapping[str, Any]

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def pull_request(self) -> Mapping[str, Any] | None:
        """Of an event that is about one."""
        found = self.event.get("pull_request")
        return found if isinstance(found, Mapping) else None

    @property
    def default_branch(self) -> str | None:
        found = _dig(self.event, "repository", "default_branch")
        return found if isinstance(found, str) else None

    @property
    def may_only_read(self) -> bool:
        """Whether GitHub gives this run a token that may not write, whatever `permissions:` says."""
        if self.pull_request is None:
            return False
        return self.actor == DEPENDABOT or _dig(self.pull_request, "head", "repo", "full_name") != self.repository


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def find_run(environ: Mapping[str, str]) -> WorkflowRun:
    """Raises InputError outside a workflow, naming the variables that are missing."""
    needed = ("GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_RUN_ID", "GITHUB_EVENT_PATH")
    missing = [name for name in needed if not environ.get(name)]
    if missing:
        hint = "this command runs in a GitHub workflow, which sets them"
        raise InputError(problems=[Problem("", 0, 0, name, "is not set", hint) for name in missing])
    api_url = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    fault = find_base_url_fault(api_url, [urlsplit(api_url).hostname or ""])
    if fault is not None:
        raise InputError(problems=[Problem("", 0, 0, "GITHUB_API_URL", *fault)])
    return WorkflowRun(
        api_url=api_url,
        server_url=environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/"),
        repository=environ["GITHUB_REPOSITORY"],
        sha=environ["GITHUB_SHA"],
        actor=environ.get("GITHUB_ACTOR", ""),
        run_id=environ["GITHUB_RUN_ID"],
        event=_read_event(Path(environ["GITHUB_EVENT_PATH"])),
    )


def _read_event(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            event = json.loads(file.read(MAX_EVENT_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(problems=[Problem("", 0, 0, "GITHUB_EVENT_PATH", f"{path} can't be read")]) from error
    return event if isinstance(event, dict) else {}
