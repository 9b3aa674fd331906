"""Python's collector of cycles, which is left as it was found."""

from __future__ import annotations

import gc

import pytest

from reconciler.io.collector import without_collector


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_off_inside_and_as_before_after(was_on: bool) -> None:
    """Also after an error, and where the caller of the library had it off."""
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
