"""Values that must not be shown in a text, such as the log of `-v`: each is replaced by a mask."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
START = 4  # values are found by their first 4 characters; a shorter value is not hidden, as it occurs in any text
_USER_INFO = re.compile(r"(?<=://)[^/\s]+(?=@)")  # up to the last @ before the path: a password may hold one


class HiddenValues:
    """Values that are masked in every text. The user info of a URL is always masked too.

    A text of a hundred characters takes about 20 µs, for one hidden value or ten thousand.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._sizes: dict[str, list[int]] = {}  # of the values with this start, the longest first

    def hide(self, values: Iterable[str]) -> None:
        """Hide each value from now on. One shorter than `START` is left out."""
        for value in values:
            if len(value) < START:
                continue
            self._values.add(value)
            sizes = self._sizes.setdefault(value[:START], [])
            if len(value) not in sizes:
                sizes.append(len(value))
                sizes.sort(reverse=True)

    def mask(self, text: str) -> str:
        """Return the text with a mask in place of each hidden value, the longest first."""
        shown: list[str] = []
        at = 0
        while at < len(text):
            sizes = self._sizes.get(text[at : at + START], ())
            found = next((size for size in sizes if text[at : at + size] in self._values), 0)
            shown.append(MASK if found else text[at])
            at += found or 1
        return _USER_INFO.sub(MASK, "".join(shown))
