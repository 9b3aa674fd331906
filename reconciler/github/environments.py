"""The repository's GitHub Environments."""

from __future__ import annotations

from reconciler.github.api import GitHub


def list_environments(github: GitHub) -> list[str]:
    """Return the names of all GitHub Environments, in their own spelling. It needs `actions: read`.

    Raises PostFailed.
    """
    found = github.list_all("environments", key="environments")
    return [name for one in found if isinstance(name := one.get("name"), str)]
