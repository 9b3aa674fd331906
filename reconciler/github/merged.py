"""Merged pull requests, and our comments on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.core.workflow.markers import Marker, parse_marker
from reconciler.errors import PostFailed
from reconciler.github.api import PAGE, GitHub
from reconciler.github.posts import AUTHOR
from reconciler.github.shown import dig, find_commit, find_head, find_number, find_text, read_instant
from reconciler.ports import MergedPull
from reconciler.text.instants import instant

_ISSUE = re.compile(r".*/issues/([0-9]{1,12})", re.DOTALL | re.ASCII)


def list_pulls(github: GitHub, sha: str, repository: str, default_branch: str | None) -> tuple[MergedPull, ...]:
    """Return the pull requests with this commit that were merged into the repository's default branch.

    For a commit of a rebase merge they may be missing: GitHub documents its answer only for the last one. Raises
    PostFailed.
    """
    if default_branch is None:
        raise PostFailed("the event of this run does not name the default branch, so no pull request can be looked up")
    found = []
    for shown in github.list_all(f"commits/{sha}/pulls"):
        if _is_of(shown, repository) and _is_merged_into(shown, default_branch):
            pull = _parse(shown)
            if pull is None:
                raise PostFailed("GitHub shows a merged pull request without its number or without its commits")
            found.append(pull)
    return tuple(found)


def _is_of(shown: Mapping[str, Any], repository: str) -> bool:
    """Return whether a pull request may be one of this repository.

    A repository shares its commits with its forks, and the owner of a fork may merge anything there.
    """
    place = find_text(shown, "base", "repo", "full_name")
    return place is None or place.casefold() == repository.casefold()


def list_merged(github: GitHub, branch: str, since: datetime) -> list[MergedPull]:
    """Return the pull requests merged into the branch since then, the latest first. Raises PostFailed."""

    def read() -> list[MergedPull]:
        found: list[tuple[datetime, MergedPull]] = []
        params = {"state": "closed", "base": branch, "sort": "updated", "direction": "desc"}
        for shown in github.pages("pulls", params):
            if read_instant(shown, "updated_at") < since:
                break  # a merge is an update, so all that follow were merged before
            pull = _parse(shown) if _is_merged_into(shown, branch) else None
            if pull is not None and (merged_at := read_instant(shown, "merged_at")) >= since:
                found.append((merged_at, pull))
        return [pull for _, pull in sorted(found, key=lambda one: (one[0], one[1].number), reverse=True)]

    return github.retry(read)


def _is_merged_into(shown: Mapping[str, Any], branch: str) -> bool:
    return bool(shown.get("merged_at")) and dig(shown, "base", "ref") == branch


def _parse(shown: Mapping[str, Any]) -> MergedPull | None:
    """Return a merged pull request; None without its number or its commits."""
    number, head = find_number(shown, "number"), find_head(shown)
    merge = find_commit(shown, "merge_commit_sha")
    return None if number is None or head is None or merge is None else MergedPull(number, head, merge)


def find_markers(github: GitHub, name: str, since: datetime) -> dict[int, Marker]:
    """Return the markers of our comments of this name on all pull requests, since then. Raises PostFailed."""

    def read() -> dict[int, Marker]:
        found: dict[int, Marker] = {}
        params = {"since": instant(since), "sort": "created", "direction": "desc"}
        for shown in github.pages("issues/comments", params):
            body, number = find_text(shown, "body"), _ISSUE.fullmatch(find_text(shown, "issue_url") or "")
            if number is None or body is None or dig(shown, "user", "login") != AUTHOR:
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
    listed = github.list_all(f"pulls/{pull.number}/commits")
    own = [one for one in listed if _count_parents(one) <= 1]
    if len(own) <= 1 or len(own) > PAGE:
        return 1
    params = {"sha": pull.merge_sha, "per_page": str(len(own))}
    line = github.get("commits", params)
    if not isinstance(line, list) or any(_count_parents(one) != 1 for one in line):
        return 1
    messages = [dig(one, "commit", "message") for one in own]
    return len(own) if messages == [dig(one, "commit", "message") for one in reversed(line)] else 1


def _count_parents(shown: object) -> int:
    parents = dig(shown, "parents")
    return len(parents) if isinstance(parents, list) else 0
