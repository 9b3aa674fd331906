"""Durations as users write them (docs/settings.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.settings.values import parse_seconds


@given(st.integers(1, 10_000), st.sampled_from(["s", "m", "h", "d", ""]))
def test_a_duration_is_a_number_and_a_unit(amount: int, unit: str) -> None:
    """Without a unit it is in seconds."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}[unit]
    assert parse_seconds(f"{amount}{unit}") == amount * seconds


@pytest.mark.parametrize("value", ["", "1w", "1h30m", "-5", "s", "1e3", True, None, float("nan"), [1], -1, "9" * 301])
def test_anything_else_is_not_a_duration(value: object) -> None:
    """The error says how to write one."""
    with pytest.raises(ValueError, match="90s"):
        parse_seconds(value)


@pytest.mark.parametrize("value", ["36501d", "99999999999d", "9" * 300 + "d", float("inf"), 10**400])
def test_a_duration_of_more_than_a_hundred_years_is_called_too_long(value: object) -> None:
    """Its form is right, so a hint at the form would mislead."""
    with pytest.raises(ValueError, match="is longer than a hundred years"):
        parse_seconds(value)
