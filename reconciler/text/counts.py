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


def decimal(amount: float) -> str:
    """Return a number that can be written into a setting: without an exponent, to a millionth."""
    return f"{amount:.6f}".rstrip("0").rstrip(".")


def ordinal(count: int) -> str:
    """Return an ordinal number, such as `1st`, `2nd`, `11th`."""
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{number(count)}{ending}"


def counted(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun, such as `1 environment`, `2,412 environments`."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"


def environments(count: int) -> str:
    return counted(count, "environment")
