"""Numbers as users read and write them."""

from __future__ import annotations

import pytest

from reconciler.text.counts import digits


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (30.0, "30"),
        (0.5, "0.5"),
        (7_776_000.0, "7776000"),
        (1e16, "10000000000000000"),
        (1e-7, "0.0000001"),
        (0.0, "0"),
    ],
)
def test_a_number_can_be_pasted_into_a_setting(value: float, shown: str) -> None:
    """It has all its digits and no exponent."""
    assert digits(value) == shown
