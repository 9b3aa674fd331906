"""The texts of a fleet, each kept once: seventy thousand URLs are a few dozen templates and the names in them.

A text of an environment is kept with a mark in place of each value of its own: its name, and its vars. A mark is a
character of the private use area, U+E000 for the name; the page's script puts the values back. Such characters in
the data are shown escaped, so that none is taken for a mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.text.escape import for_page

FIRST_MARK = 0xE000
MAX_MARKS = 32
MIN_LENGTH = 2  # of a value: in place of a shorter one a mark saves nothing
_MARKS = re.compile(f"[{chr(FIRST_MARK)}-{chr(FIRST_MARK + MAX_MARKS - 1)}]")


def visible(text: str) -> str:
    """As the page shows it."""
    return _MARKS.sub(lambda match: f"\\u{ord(match[0]):04x}", for_page(text))


class Texts:
    """Hands out a number for each text; `table` holds them in that order."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._places: dict[str, int] = {}  # of a var's name: which mark stands for its value

    @property
    def table(self) -> list[str]:
        return list(self._numbers)

    def number(self, shown: str) -> int:
        return self._numbers.setdefault(shown, len(self._numbers))

    def of(self, environment: str, variables: Mapping[str, str]) -> EnvironmentTexts:
        values = {0: visible(environment)}
        for name, value in variables.items():
            place = self._places.setdefault(name, len(self._places) + 1)
            if place < MAX_MARKS:
                values[place] = visible(value)
        return EnvironmentTexts(self, values)


class EnvironmentTexts:
    """The numbers of one environment's texts."""

    def __init__(self, texts: Texts, values: Mapping[int, str]) -> None:
        self._texts = texts
        self._values = values
        self._longest_first = sorted(
            ((value, chr(FIRST_MARK + place), place) for place, value in values.items() if len(value) >= MIN_LENGTH),
            key=lambda one: (-len(one[0]), one[2]),
        )
        self._used: set[int] = {0}
        self._known: dict[str, int] = {}

    @property
    def values(self) -> list[str]:
        """What stands for each mark, the first (the name) left out; empty where a mark isn't used."""
        return [self._values.get(place, "") if place in self._used else "" for place in range(1, max(self._used) + 1)]

    def number(self, text: str) -> int:
        """Of any text of this environment, in whatever form it was given."""
        known = self._known.get(text)
        if known is None:
            shown = visible(text)
            for value, mark, place in self._longest_first:
                if value in shown:
                    shown = shown.replace(value, mark)
                    self._used.add(place)
            known = self._known[text] = self._texts.number(shown)
        return known
