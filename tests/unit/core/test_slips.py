"""Wrong letters in names, and secrets in the syntax of other tools."""

from __future__ import annotations

import pytest

from reconciler.core.slips import (
    TOKEN_HINT,
    find_foreign_secret,
    find_meant_variable,
    is_one_letter_off,
    make_environment_name,
)


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


PREFIXES = ("PLUG_SECRET_", "PLUG_TOKEN")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        *(
            ("${{ secrets.CHAVE }}", "CHAVE, and"),
            ("${{secrets.CHAVE}}", "CHAVE, and"),
            ("{secrets.CHAVE}", "CHAVE, and"),
        ),
        *(("{{ secrets.chave }}", "CHAVE, and"), ("${{ secrets['CHAVE'] }}", "CHAVE, and"), ("{ secret.A }", "A, and")),
        *(("{{PLUG_SECRET_X}}", "X"), ("{{ PLUG_SECRET_X }}", "X"), ("${PLUG_SECRET_X}", "X"), ("$PLUG_SECRET_X", "X")),
        *(("${{ secrets.PLUG_SECRET_X }}", "X"), ("{{ env.PLUG_SECRET_X }}", "X"), ("$env:PLUG_SECRET_X", "X")),
        *(("%PLUG_SECRET_X%", "X"), ("<PLUG_SECRET_X>", "X"), ("%(PLUG_SECRET_X)s", "X"), ("$(PLUG_SECRET_X)", "X")),
        *(("$plug_secret_x", "X"), ("{{secret:PLUG_SECRET_X}}", "X"), ("${{secret:PLUG_SECRET_X}}", "X")),
        *(("{ PLUG_SECRET_X }", "X"), ("{env:PLUG_SECRET_X}", "X"), ("{Secret:PLUG_SECRET_X}", "X")),
        *(("$(vault kv get PLUG_SECRET_X)", "X"), ("{{ secrets.s3cr3tValue }}", "NAME, and")),
    ],
)
def test_a_secret_in_the_syntax_of_another_tool_is_answered_with_its_name(written: str, hint: str) -> None:
    """It would be sent as it is written. A name unlike a variable's may be the value."""
    name, comma, _ = hint.partition(",")
    fault = find_foreign_secret(f"https://a.b/{{environment}}?k={written}&l=m", *PREFIXES)
    assert fault is not None
    assert fault.message == f"{written} is not filled in: the receiver would get it as it is written"
    assert fault.hint == f"write {{secret:PLUG_SECRET_{name}}}{', and give the secret this name' if comma else ''}"


@pytest.mark.parametrize("written", ["$PLUG_TOKEN_A", "${{ secrets.PLUG_TOKEN }}", "{{PLUG_TOKEN_A}}", "%plug_token%"])
def test_a_token_in_the_syntax_of_another_tool_is_answered_with_where_tokens_come_from(written: str) -> None:
    fault = find_foreign_secret(f"https://a.b/?k={written}", *PREFIXES)
    assert fault is not None
    assert fault.hint == TOKEN_HINT


@pytest.mark.parametrize(
    "written",
    [
        *("{secret:PLUG_SECRET_X}", "${secret:PLUG_SECRET_X}", "{{{secret:PLUG_SECRET_X}}}", "{PLUG_SECRET_X}"),
        *(
            "$x{secret:PLUG_SECRET_X}",
            "{{secret:PLUG_A}}",
            "{{ secrets }}",
            "<secret key>",
            "$secrets",
            "${A}{secret:B}",
        ),
        *("PLUG_SECRET_X", "/secrets.json", "%28secret%29", "$(cat secret.txt)", "{secret.A", "$" * 50 + "SECRET"),
    ],
)
def test_any_other_text_names_no_secret(written: str) -> None:
    """Examples are placeholders of this tool, which are checked as such, and other templates, which are a warning."""
    assert find_foreign_secret(f"https://a.b/?k={written}", *PREFIXES) is None


def test_without_prefixes_only_secrets_of_a_tool_are_found() -> None:
    """An empty prefix is at the beginning of every name."""
    assert find_foreign_secret("https://a.b/?secret=$x", "", "") is None
    assert find_foreign_secret("https://a.b/?k=${{ secrets.A }}", "", "") is not None
