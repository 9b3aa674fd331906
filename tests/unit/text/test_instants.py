"""Ages are never misleading: not even if a clock was wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.text.instants import age
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
