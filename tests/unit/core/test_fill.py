"""Templates in URLs: they are filled in once, and no other text changes."""

from __future__ import annotations

import pytest

from reconciler.core.fill import TemplateFault, fill_secrets, fill_vars, parse_template, secret_names


def fill(template: str, **variables: str) -> str:
    return fill_vars(parse_template(template), "production", variables)


def test_vars_are_filled_in_and_secrets_are_kept() -> None:
    """The text form has the values of vars and placeholders for secrets."""
    text = fill("https://{host}/{environment}?k={secret:PLUG_SECRET_A}", host="h.acme.com.br")
    assert text == "https://h.acme.com.br/production?k={secret:PLUG_SECRET_A}"


def test_literal_braces_stay_doubled_in_the_text_form_and_are_single_when_sent() -> None:
    """Only on the wire are doubled braces single."""
    text = fill("https://{host}/{{{environment}}}", host="h.acme.com.br")
    assert text == "https://h.acme.com.br/{{production}}"
    assert fill_secrets(text, str) == "https://h.acme.com.br/{production}"
    assert (fill_secrets("https://a.b/{{", str), fill_secrets("https://a.b/}}", str)) == (
        "https://a.b/{",
        "https://a.b/}",
    )


def test_percent_signs_are_literal() -> None:
    """Percent-encoding and %s are not changed."""
    assert fill("https://a.b/%20%s/{host}", host="%(x)s") == "https://a.b/%20%s/%(x)s"


def test_an_unknown_name_is_named() -> None:
    """The error has the name that is missing."""
    with pytest.raises(KeyError, match="hots"):
        fill("https://{hots}/")


@pytest.mark.parametrize("template", ["{", "}", "a{b", "a}b", "{{{", "}}}", "{}", "{a b}", "{1}", "{a{b}}", "{secret:}",
                                      "{secret:A-B}", "{ host }"])  # fmt: skip
def test_a_bad_template_is_refused_with_a_hint(template: str) -> None:
    """The faults of unmatched braces and invalid names say what would be right."""
    with pytest.raises(TemplateFault) as caught:
        parse_template(template)
    assert caught.value.message
    assert caught.value.hint


def test_a_secret_that_looks_like_a_template_is_not_filled_again() -> None:
    """The value of a secret is filled in as it is."""
    values = {"PLUG_SECRET_A": "{secret:PLUG_SECRET_B}{{x}}", "PLUG_SECRET_B": "never"}
    sent = fill_secrets("https://a.b/{secret:PLUG_SECRET_A}", values.__getitem__)
    assert sent == "https://a.b/{secret:PLUG_SECRET_B}{{x}}"


def test_secret_names_are_listed_once_and_literal_braces_are_not_secrets() -> None:
    """The text `{{secret:A}}` is literal."""
    assert secret_names("https://a.b/{secret:B}{secret:A}{secret:B}{{secret:C}}") == ("A", "B")
