"""The repository's GitHub Environments."""

from __future__ import annotations

from reconciler.github.api import GitHub
from reconciler.github.shown import find_text


def list_environments(github: GitHub) -> list[str]:
    """Return the names of all GitHub Environments, in their own spelling. It needs `actions: read`.

    Raises PostFailed.
    """
    found = github.list_all("environments", key="environments")
    return [name for one in found if (name := find_text(one, "name")) is not None]
