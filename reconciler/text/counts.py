"""Counts and lists of names for use in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAMED = 5


def name_some(names: Sequence[str], most: int = MAX_NAMED) -> str:
    """Return the first `most` names and the number of the others, such as `a, b and 3 more`."""
    named = ", ".join(names[:most])
    more = len(names) - most
    return f"{named} and {number(more)} more" if more > 0 else named


def number(count: int) -> str:
    return f"{count:,}"


def digits(value: float) -> str:
    """Return a number as users write it in a setting, such as `30`, `0.5` or `7776000`: never with an exponent."""
    text = repr(value).removesuffix(".0")
    return text if "e" not in text else f"{value:.9f}".rstrip("0").rstrip(".")  # a setting has no more decimals


def ordinal(count: int) -> str:
    """Return an ordinal number, such as `1st`, `2nd`, `11th`."""
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{number(count)}{ending}"


def counted(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun, such as `1 environment`, `2,412 environments`."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"


def environments(count: int) -> str:
    return counted(count, "environment")
