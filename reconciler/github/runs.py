"""Workflow runs and their jobs, from GitHub's lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from reconciler.core.workflow.endings import RunJob
from reconciler.core.workflow.names import APPLY_WORKFLOW
from reconciler.core.workflow.schedule import ACTIVE, COMPLETED, PUSH, ApplyRun
from reconciler.errors import PostFailed
from reconciler.github.api import GitHub
from reconciler.github.posts import AUTHOR
from reconciler.github.shown import dig, find_number, find_text, read_instant

ENDED_RUNS = 50  # the last ended runs are enough, because the one that was begun last counts
_PAGE_ADDRESS = re.compile(r"https?://[!-~]+")  # the characters that would end a link in Markdown are removed below


def list_jobs(github: GitHub, run_id: str, attempt: int) -> list[RunJob]:
    """Return the jobs of one attempt of a run. Raises PostFailed."""
    path = f"actions/runs/{run_id}/attempts/{attempt}/jobs"
    jobs = github.list_all(path, key="jobs")
    return [RunJob(_text(one, "name"), _text_or_none(one, "conclusion"), _find_page(one)) for one in jobs]


def list_apply_runs(github: GitHub, branch: str, head: str) -> list[ApplyRun]:
    """Return the apply runs on the default branch that are in progress, were begun for `head`, or ended last.

    The states are listed in the order in which a run passes through them, and ended runs last, so a run that changes
    meanwhile is found in its later state. Raises PostFailed.
    """
    path = f"actions/workflows/{APPLY_WORKFLOW}/runs"
    found: dict[int, ApplyRun] = {}

    def ask(most: int | None = None, **params: str) -> None:
        def read() -> list[Any]:
            return list(islice(github.pages(path, {"branch": branch, **params}, key="workflow_runs"), most))

        found.update((run.run_id, run) for run in map(_parse_run, github.retry(read)))

    for status in ACTIVE:
        ask(status=status)
    ask(ENDED_RUNS, status=COMPLETED)
    ask(head_sha=head)
    return sorted(found.values(), key=lambda run: run.run_id)


def _parse_run(shown: Mapping[str, Any]) -> ApplyRun:
    run_id = find_number(shown, "id")
    if run_id is None:
        raise PostFailed("GitHub's answer does not say the id of a run")
    event = _text(shown, "event")
    return ApplyRun(
        run_id=run_id,
        head_sha=_text(shown, "head_sha"),
        status=_text(shown, "status"),
        conclusion=_text_or_none(shown, "conclusion"),
        # a new attempt of an old run counts from its own start
        begun_at=read_instant(shown, "run_started_at" if shown.get("run_started_at") else "created_at"),
        # a run that a user begins by hand may be narrowed by its inputs, which no call shows
        whole=event == PUSH or dig(shown, "actor", "login") == AUTHOR,
        url=_find_page(shown),
    )


def _find_page(shown: Mapping[str, Any]) -> str:
    """Return the address of an item's page, in a form that is safe in a link; empty if it has none."""
    found = find_text(shown, "html_url")
    if found is None or not _PAGE_ADDRESS.fullmatch(found):
        return ""
    return re.sub(r"[()<>\[\]\\`|]", "", found)


def _text(shown: Mapping[str, Any], key: str) -> str:
    found = find_text(shown, key)
    if found is None:
        raise PostFailed(f"GitHub's answer does not say the {key} of a run or job")
    return found


def _text_or_none(shown: Mapping[str, Any], key: str) -> str | None:
    return None if shown.get(key) is None else _text(shown, key)
