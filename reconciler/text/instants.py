"""Instants and ages as every output shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def instant(at: datetime) -> str: ...


@overload
def instant(at: None) -> None: ...


def instant(at: datetime | None) -> str | None:
    """Return an instant such as `2026-11-23T12:00:00Z`."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(at: datetime | None, now: datetime) -> str:
    """Return how long ago `at` was, in the largest unit that fits: 40 s, 12 min, 5 h, 3 d."""
    if at is None:
        return "-"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
