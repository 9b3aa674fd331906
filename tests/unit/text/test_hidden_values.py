"""Hidden values are masked wherever they are in a text."""

from __future__ import annotations

import pytest

from reconciler.text.hidden_values import MASK, HiddenValues


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent canary-1 twice: canary-1", f"sent {MASK} twice: {MASK}"),
        ("xcanary-1y", f"x{MASK}y"),
        ("canary-12 is another", f"{MASK} is another"),
        ("canary-", "canary-"),
        ("key=a b/c", f"key={MASK}"),
        ("through http://ana:word@proxy:8080/", f"through http://{MASK}@proxy:8080/"),
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


def test_a_value_that_is_not_utf_8_is_hidden_too() -> None:
    """The value of a variable may be any bytes."""
    hidden = HiddenValues()
    hidden.hide(["canary-\udcff"])
    assert hidden.mask("x canary-\udcff") == f"x {MASK}"
