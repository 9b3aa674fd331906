"""Merged pull requests, and our comments on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.core.protocol.markers import Marker, parse_marker
from reconciler.github.api import PAGE, GitHub
from reconciler.github.run import dig, find_commit, find_head
from reconciler.github.runs import read_instant
from reconciler.ports import MergedPull
from reconciler.text.instants import instant

_ISSUE = re.compile(r".*/issues/([0-9]{1,12})", re.DOTALL | re.ASCII)


def list_merged(github: GitHub, branch: str, since: datetime) -> list[MergedPull]:
    """Return the pull requests merged into the branch since then, the latest first. Raises PostFailed."""

    def read() -> list[MergedPull]:
        found: list[tuple[datetime, MergedPull]] = []
        params = {"state": "closed", "base": branch, "sort": "updated", "direction": "desc"}
        for shown in github.pages("pulls", params):
            if read_instant(shown.get("updated_at")) < since:
                break  # a merge is an update, so all that follow were merged before
            pull = _parse(shown, branch)
            if pull is not None and (merged_at := read_instant(shown.get("merged_at"))) >= since:
                found.append((merged_at, pull))
        return [pull for _, pull in sorted(found, key=lambda one: (one[0], one[1].number), reverse=True)]

    return github.retry(read)


def _parse(shown: Mapping[str, Any], branch: str) -> MergedPull | None:
    number, head, merge = shown.get("number"), find_head(shown), find_commit(shown.get("merge_commit_sha"))
    if not shown.get("merged_at") or dig(shown, "base", "ref") != branch or not isinstance(number, int):
        return None
    return None if head is None or merge is None else MergedPull(number, head, merge)


def find_markers(github: GitHub, name: str, since: datetime, *, author: str) -> dict[int, Marker]:
    """Return the markers of our comments of this name on all pull requests, since then. Raises PostFailed."""

    def read() -> dict[int, Marker]:
        found: dict[int, Marker] = {}
        params = {"since": instant(since) or "", "sort": "created", "direction": "desc"}
        for shown in github.pages("issues/comments", params):
            body, place = shown.get("body"), shown.get("issue_url")
            number = _ISSUE.fullmatch(place) if isinstance(place, str) else None
            if number is None or not isinstance(body, str) or dig(shown, "user", "login") != author:
                continue
            marker = parse_marker(body, name)
            if marker is not None:
                found[int(number[1])] = marker  # the oldest counts, as it is the one that is kept
        return found

    return github.retry(read)


def count_commits(github: GitHub, pull: MergedPull) -> int:
    """Return how many commits of the first-parent line are the pull request's. Raises PostFailed.

    A rebase merge copies each commit with its message, except merges of the base into the branch. GitHub does not say
    which kind of merge it was, but a merge commit has other parents, and the commit of a squash another message.
    """
    listed = github.retry(lambda: list(github.pages(f"pulls/{pull.number}/commits")))
    own = [one for one in listed if _count_parents(one) <= 1]
    if len(own) <= 1 or len(own) > PAGE:
        return 1
    params = {"sha": pull.merge_sha, "per_page": str(len(own))}
    line = github.retry(lambda: github.request("GET", "commits", params=params))
    if not isinstance(line, list) or any(_count_parents(one) != 1 for one in line):
        return 1
    messages = [dig(one, "commit", "message") for one in own]
    return len(own) if messages == [dig(one, "commit", "message") for one in reversed(line)] else 1


def _count_parents(shown: object) -> int:
    parents = dig(shown, "parents")
    return len(parents) if isinstance(parents, list) else 0
