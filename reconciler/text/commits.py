"""Commits as every output shows them."""

from __future__ import annotations

COMMIT_LENGTH = 12  # of the forty digits of a commit; enough to be unique in any repository


def shorten_commit(commit: str) -> str:
    """Return the first digits. A final `+`, which means that a file differed from the commit, is kept."""
    return commit[:COMMIT_LENGTH] + ("+" if commit.endswith("+") and len(commit) > COMMIT_LENGTH else "")
