"""The merged pull requests that GitHub names for a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.errors import PostFailed
from reconciler.github.api import GitHub
from reconciler.github.run import dig, find_commit
from reconciler.ports import MergedPull


def list_pulls(github: GitHub, sha: str, repository: str, default_branch: str | None) -> tuple[MergedPull, ...]:
    """Return the pull requests with this commit that were merged into the repository's default branch.

    For a commit of a rebase merge they may be missing: GitHub documents its answer only for the last one. Raises
    PostFailed.
    """
    if default_branch is None:
        raise PostFailed("the event of this run does not name the default branch, so no pull request can be looked up")
    shown = github.retry(lambda: list(github.pages(f"commits/{sha}/pulls")))
    return tuple(pull for one in shown if (pull := _parse(one, repository, default_branch)) is not None)


def _parse(shown: Mapping[str, Any], repository: str, default_branch: str) -> MergedPull | None:
    """Return a merged pull request; None if it is not merged, or into another branch or repository.

    A repository shares its commits with its forks, and the owner of a fork may merge anything there.
    """
    place = dig(shown, "base", "repo", "full_name")
    if isinstance(place, str) and place.casefold() != repository.casefold():
        return None
    if not shown.get("merged_at") or dig(shown, "base", "ref") != default_branch:
        return None
    number = shown.get("number")
    head, merge = find_commit(dig(shown, "head", "sha")), find_commit(shown.get("merge_commit_sha"))
    if not isinstance(number, int) or isinstance(number, bool) or head is None or merge is None:
        raise PostFailed("GitHub shows a merged pull request without its number or without its commits")
    return MergedPull(number, head, merge)
