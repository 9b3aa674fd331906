"""The repository's GitHub Environments."""

from __future__ import annotations

from reconciler.errors import PostFailed
from reconciler.github.api import MAX_PAGES, PAGE, GitHub


def list_environments(github: GitHub) -> frozenset[str]:
    """Return the names of all GitHub Environments, in their own spelling. It needs `actions: read`.

    Raises: PostFailed, also if there are too many to read.
    """
    found = github.retry(lambda: list(github.pages("environments", key="environments")))
    if len(found) >= MAX_PAGES * PAGE:
        raise PostFailed(f"the repository has {len(found):,} GitHub Environments or more, too many to read")
    return frozenset(name for one in found if isinstance(name := one.get("name"), str))
