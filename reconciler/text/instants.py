"""Instants and ages as every output shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

CLOCKS_DIFFER = timedelta(minutes=1)  # at most, between machines whose clocks are right


@overload
def instant(at: datetime) -> str: ...


@overload
def instant(at: None) -> None: ...


def instant(at: datetime | None) -> str | None:
    """Return an instant such as `2026-11-23T12:00:00Z`."""
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def is_in_future(at: datetime, now: datetime) -> bool:
    """Return whether a recorded instant is later than any right clock can have written it."""
    return at - now > CLOCKS_DIFFER


def age(at: datetime | None, now: datetime) -> str:
    """Return how long ago `at` was, in the largest unit that fits: 40 s, 12 min, 5 h, 3 d. A clock may be wrong."""
    if at is None:
        return "-"
    if is_in_future(at, now):
        return "in the future"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
