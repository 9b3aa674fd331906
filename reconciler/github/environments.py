"""The repository's GitHub Environments."""

from __future__ import annotations

from reconciler.errors import PostFailed
from reconciler.github.api import MAX_PAGES, PAGE, GitHub


def list_environments(github: GitHub) -> frozenset[str]:
    """Return the names of all GitHub Environments, as they were made. Takes `actions: read`.

    Raises: PostFailed, also where there are too many to be looked through.
    """
    found = github.retry(lambda: list(github.pages("environments", key="environments")))
    if len(found) >= MAX_PAGES * PAGE:
        raise PostFailed(f"the repository has {len(found):,} GitHub Environments or more, too many to look through")
    return frozenset(name for one in found if isinstance(name := one.get("name"), str))
