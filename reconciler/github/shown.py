"""Values in GitHub's answers and events, which may be of any type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import PostFailed
from reconciler.io.git.command import COMMIT


def dig(value: Any, *keys: str) -> Any:
    """Return the value below the keys, one after the other; None if any of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def find_text(value: Any, *keys: str) -> str | None:
    """Return the text below the keys; None for anything else."""
    found = dig(value, *keys)
    return found if isinstance(found, str) else None


def find_objects(value: Any, *keys: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of the list below the keys; none if the list is missing. Raises PostFailed."""
    found = dig(value, *keys)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise PostFailed(f"GitHub's answer has {keys[-1]} that are not a list of objects")
    return found


def find_number(value: Any, *keys: str) -> int | None:
    """Return the whole number below the keys; None for anything else, also for a Boolean, which is an int in Python."""
    found = dig(value, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def find_commit(value: Any, *keys: str) -> str | None:
    """Return the full name of the commit below the keys; None for anything else."""
    found = find_text(value, *keys)
    return found if found is not None and COMMIT.fullmatch(found) else None


def find_head(pull_request: Any) -> str | None:
    """Return the last commit of a pull request, from the event or the API."""
    return find_commit(pull_request, "head", "sha")


def find_instant(value: Any, *keys: str) -> datetime | None:
    """Return the instant below the keys, such as `2026-11-26T12:00:00Z`; None for anything else."""
    try:
        at = datetime.fromisoformat(find_text(value, *keys) or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_instant(value: Any, *keys: str) -> datetime:
    """Return the instant below the keys. Raises PostFailed without one."""
    found = find_instant(value, *keys)
    if found is None:
        raise PostFailed("GitHub's answer does not say when")
    return found
