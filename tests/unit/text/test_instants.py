"""Instants have one form in every output, and ages are never misleading, even if a clock was wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.text.instants import age, instant
from tests.fakes import START


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (86400, "1 d"),
        (86399, "23 h"),
        (60, "1 min"),
        (59, "59 s"),
        (0, "0 s"),
        (-60, "0 s"),
        (-61, "in the future"),
    ],
)
def test_the_age_of_a_record_from_the_future_is_not_zero(seconds: int, shown: str) -> None:
    """The clocks of two machines that are right may differ a little."""
    assert age(START - timedelta(seconds=seconds), START) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 11, 23, 9, 0, 0, 999_999, timezone(timedelta(hours=-3))), "2026-11-23T12:00:00Z"),
        (datetime(1, 6, 1, tzinfo=UTC), "0001-06-01T00:00:00Z"),
        (None, None),
    ],
)
def test_an_instant_is_shown_in_utc_and_whole_seconds(at: datetime | None, shown: str | None) -> None:
    """A state document may have any year of the calendar, which must stay a valid time in JSON."""
    assert instant(at) == shown
