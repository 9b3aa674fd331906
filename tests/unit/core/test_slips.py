"""Slips of one letter."""

from __future__ import annotations

import pytest

from reconciler.core.slips import find_meant_variable, is_one_letter_off


@pytest.mark.parametrize("name", ["yaml", "yml", "yamll", "aml", "ymal", "yamx"])
def test_one_letter_is_a_slip(name: str) -> None:
    assert is_one_letter_off(name, "yaml")


@pytest.mark.parametrize("name", ["", "ya", "yamlll", "lmay", "yaxx", "yam~"])
def test_more_is_another_name(name: str) -> None:
    """So is the backup of an editor."""
    assert not is_one_letter_off(name, "yaml")


@pytest.mark.parametrize("name", ["", "PLUG_SECERT_", "HOME", "PLUG_SECERT_a-b", "PLUG_SECERT_é", "X" * 10_000])
def test_nothing_else_is_repeated(name: str) -> None:
    """What is not a variable's name may be a value."""
    assert find_meant_variable(name, "PLUG_SECRET_") is None
    assert find_meant_variable(name, "") is None
