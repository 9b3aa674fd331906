"""Names that are not possible on Windows, or on a system that ignores case."""

from __future__ import annotations

import pytest

from reconciler.core.portable import find_reserved_fault, make_comparison_key


@pytest.mark.parametrize("name", ["con", "NUL", "com1.yaml", "Lpt9.a.b", "aux .yaml", "com¹", "conin$"])
def test_the_name_of_a_device_is_reserved_with_any_extension(name: str) -> None:
    """Windows opens the device and ignores the text behind the first dot."""
    assert find_reserved_fault(name) == "is reserved by Windows for a device"


@pytest.mark.parametrize(("name", "end"), [("a.", "dot"), ("a.yaml ", "blank")])
def test_a_dot_or_a_blank_at_the_end_is_dropped_by_windows(name: str, end: str) -> None:
    """The file would get another name there."""
    assert find_reserved_fault(name) == f"ends in a {end}, which Windows drops"


@pytest.mark.parametrize("name", ["production", "icon.yaml", "com10", "con-sul", "a.con", "compras"])
def test_other_names_are_not_reserved(name: str) -> None:
    """A name that only contains a device's name is valid."""
    assert find_reserved_fault(name) is None


def test_names_that_differ_in_case_or_in_the_form_of_an_accent_have_one_key() -> None:
    """macOS and Windows compare names in this way."""
    assert make_comparison_key("São.yaml") == make_comparison_key("SA\u0303O.YAML")
    assert make_comparison_key("straße") == make_comparison_key("STRASSE")
    assert make_comparison_key("a") != make_comparison_key("b")
