"""Hidden values are masked wherever they are in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.text.hidden_values import MASK, START, HiddenValues


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent canary-1 twice: canary-1", f"sent {MASK} twice: {MASK}"),
        ("xcanary-1y", f"x{MASK}y"),
        ("canary-12 is another", f"{MASK} is another"),
        ("canary-", "canary-"),
        ("key=a b/c", f"key={MASK}"),
        ("through http://ana:word@proxy:8080/", f"through http://{MASK}@proxy:8080/"),
        ("through http://ana:wo@rd@proxy/a@b", f"through http://{MASK}@proxy/a@b"),
        ("http://ana:w?o#rd@a http://b@c", f"http://{MASK}@a http://{MASK}@c"),
        ("a short one: abc", "a short one: abc"),
        ("", ""),
    ],
)
def test_a_hidden_value_is_masked(text: str, shown: str) -> None:
    """The longest value is masked first. The user info of every URL is masked too."""
    hidden = HiddenValues()
    hidden.hide(["canary-1", "canary-12", "a b/c", "abc", ""])
    assert hidden.mask(text) == shown


def test_values_with_the_same_beginning_are_all_found() -> None:
    """Ten thousand JWTs begin in the same way."""
    hidden = HiddenValues()
    values = [f"eyJhbGciOi.{number:05d}" for number in range(100)]
    hidden.hide(values)
    assert hidden.mask(" ".join(values)) == " ".join([MASK] * 100)


@given(st.lists(st.text(alphabet="ab", max_size=8), max_size=20), st.text(alphabet="ab", max_size=40))
def test_the_longest_value_at_each_position_is_masked(values: list[str], text: str) -> None:
    """The result is that of a comparison with each value."""
    hidden = HiddenValues()
    hidden.hide(values)
    known = sorted((value for value in values if len(value) >= START), key=len, reverse=True)
    shown, rest = "", text
    while rest:
        found = next((value for value in known if rest.startswith(value)), "")
        shown += MASK if found else rest[0]
        rest = rest[len(found) or 1 :]
    assert hidden.mask(text) == shown


def test_a_value_that_is_not_utf_8_is_hidden_too() -> None:
    """The value of a variable may be any bytes."""
    hidden = HiddenValues()
    hidden.hide(["canary-\udcff"])
    assert hidden.mask("x canary-\udcff") == f"x {MASK}"
