"""Names that Windows, or a system that ignores case, can't hold."""

from __future__ import annotations

import pytest

from reconciler.core.portable import find_reserved_fault, make_comparison_key


@pytest.mark.parametrize("name", ["con", "NUL", "com1.yaml", "Lpt9.a.b", "aux .yaml", "com¹", "conin$"])
def test_the_name_of_a_device_is_reserved_with_any_ending(name: str) -> None:
    """Windows opens the device, whatever follows the first dot."""
    assert find_reserved_fault(name) == "is reserved by Windows for a device"


@pytest.mark.parametrize(("name", "end"), [("a.", "dot"), ("a.yaml ", "blank")])
def test_a_dot_or_a_blank_at_the_end_is_dropped_by_windows(name: str, end: str) -> None:
    """The file would have another name there."""
    assert find_reserved_fault(name) == f"ends in a {end}, which Windows drops"


@pytest.mark.parametrize("name", ["production", "icon.yaml", "com10", "con-sul", "a.con", "compras"])
def test_other_names_are_free(name: str) -> None:
    """A name that only contains one of a device is fine."""
    assert find_reserved_fault(name) is None


def test_names_that_differ_in_case_or_in_the_form_of_an_accent_are_comparable() -> None:
    """As macOS and Windows compare them."""
    assert make_comparison_key("São.yaml") == make_comparison_key("SA\u0303O.YAML")
    assert make_comparison_key("straße") == make_comparison_key("STRASSE")
    assert make_comparison_key("a") != make_comparison_key("b")
