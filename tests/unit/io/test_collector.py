"""Python's collector of reference cycles, which is restored after use."""

from __future__ import annotations

import gc

import pytest

from reconciler.io.collector import without_collector


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_off_within_the_block_and_restored_after_it(was_on: bool) -> None:
    """It is restored also after an error, and if the caller had switched it off."""
    try:
        if not was_on:
            gc.disable()
        with pytest.raises(ZeroDivisionError), without_collector():
            assert not gc.isenabled()
            _ = 1 / 0
        assert gc.isenabled() == was_on
    finally:
        gc.enable()
        gc.unfreeze()
