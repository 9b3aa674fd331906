"""Filling in changes no literal text, and fills nothing in twice."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fill import TemplateFault, fill_secrets, fill_vars, parse_template, secret_names

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
LITERALS = st.text(max_size=12)
VALUES = st.text(st.characters(exclude_characters="{}"), max_size=12)


def doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


@given(LITERALS)
def test_a_literal_is_sent_as_it_was_written(literal: str) -> None:
    """Only braces have to be doubled in a literal text, and they are single again when it is sent."""
    text = fill_vars(parse_template(doubled(literal)), "e", {})
    assert text == doubled(literal)
    assert fill_secrets(text, lambda name: "never") == literal


@given(st.lists(st.tuples(LITERALS, NAMES.filter(lambda name: name != "environment"), VALUES), max_size=5), LITERALS)
def test_a_var_is_replaced_by_its_value_and_nothing_else_changes(parts: list[tuple[str, str, str]], tail: str) -> None:
    """The text form is the template with values instead of names."""
    values = {name: value for _, name, value in parts}
    template = "".join(f"{doubled(literal)}{{{name}}}" for literal, name, _ in parts) + doubled(tail)
    expected = "".join(doubled(literal) + values[name] for literal, name, _ in parts) + doubled(tail)
    assert fill_vars(parse_template(template), "e", values) == expected


@given(LITERALS, NAMES, st.text(max_size=20), LITERALS)
def test_a_secret_is_filled_in_as_it_is(before: str, name: str, value: str, after: str) -> None:
    """There is one pass: a value that holds braces or a placeholder isn't filled in again."""
    text = f"{doubled(before)}{{secret:{name}}}{doubled(after)}"
    assert secret_names(text) == (name,)
    assert fill_secrets(text, lambda asked: value) == before + value + after


PIECES = st.sampled_from(["{", "}", "{{", "}}", "{a}", "{b-c}", "{secret:A}", "{ }", "x", "\n", "é/"])


@given(st.lists(PIECES, max_size=8).map("".join))
def test_braces_are_read_from_the_left(text: str) -> None:
    """Pairs are literal braces, a name between single ones is a placeholder, and anything else is refused."""
    parts = [""]
    valid = True
    for piece in re.findall(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+", text):
        if piece in ("{a}", "{b-c}"):
            parts += [piece[1:-1], ""]
        else:
            valid = valid and (piece in ("{{", "}}", "{secret:A}") or not {*piece} & {*"{}"})
            parts[-1] += piece
    try:
        assert parse_template(text).parts == tuple(parts)
        assert valid
    except TemplateFault:
        assert not valid
