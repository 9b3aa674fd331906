"""Typing errors of one letter."""

from __future__ import annotations

import pytest

from reconciler.core.slips import find_meant_variable, is_one_letter_off, make_environment_name


@pytest.mark.parametrize("name", ["yaml", "yml", "yamll", "aml", "ymal", "yamx"])
def test_one_different_letter_is_a_typing_error(name: str) -> None:
    assert is_one_letter_off(name, "yaml")


@pytest.mark.parametrize("name", ["", "ya", "yamlll", "lmay", "yaxx", "yam~"])
def test_a_larger_difference_is_another_name(name: str) -> None:
    """The backup of an editor is another name too."""
    assert not is_one_letter_off(name, "yaml")


@pytest.mark.parametrize("name", ["", "PLUG_SECERT_", "HOME", "PLUG_SECERT_a-b", "PLUG_SECERT_é", "X" * 10_000])
def test_a_text_that_is_not_a_name_is_never_repeated(name: str) -> None:
    """A text that is not a variable's name may be a secret value."""
    assert find_meant_variable(name, "PLUG_SECRET_") is None
    assert find_meant_variable(name, "") is None


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *(("Clínica Sorriso", "clinica-sorriso"), ("São João – filial_2", "sao-joao-filial_2"), (" a ", "a")),
        *(("_loja.", "loja"), ("Über", "uber"), ("x" * 70, "x" * 63), ("x" * 127, None), ("日本", None), ("", None)),
    ],
)
def test_a_text_becomes_a_name_of_an_environment(written: str, name: str | None) -> None:
    """It keeps the letters without their accents."""
    assert make_environment_name(written) == name
