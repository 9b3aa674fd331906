"""Finds known values in a text in whatever spelling a person or a program may have given them (CONTRACT §8)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

ENOUGH = 24  # characters at a spelling's end that are searched for: a longer one is found by these
PART = 32  # characters of a value: each code of so many is longer than ENOUGH
MIN_CORE = 4  # characters of a value in base64, without those that its neighbours share; fewer occur in any text
_HEX = {f"{number:02x}": chr(number) for number in range(256)}
_ONE_ALPHABET = str.maketrans("-_", "+/")  # of base64: the other alphabet writes these two for those


class SpelledValues:
    """Values that are found as they are, in any case, reversed, percent-encoded any number of times, in hex and base64.

    Base64 is found in both alphabets, with or without padding, and within the code of a longer text. The time of a
    search is proportional to the length of the text, whether one value is searched for or ten thousand.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._by_length: dict[int, set[str]] = {}
        for value in values:
            for spelling in _spell(value):
                end = _fold(spelling)[-ENOUGH:]
                self._by_length.setdefault(len(end), set()).add(end)
        self._by_length.pop(0, None)

    def occur_in(self, text: str) -> bool:
        """Whether any of the values is in the text, in any of the spellings."""
        return any(
            view[at : at + length] in ends
            for view in {_fold(text), _fold(undo_percent(text))}
            for length, ends in self._by_length.items()
            for at in range(len(view) - length + 1)
        )


def undo_percent(text: str) -> str:
    """Return the text without percent-encoding, however often it was applied. Linear in the text's length."""
    if "%" not in text:
        return text
    undone: list[str] = []
    for char in text:
        undone.append(char)
        while len(undone) > 2 and undone[-3] == "%" and (code := (undone[-2] + undone[-1]).lower()) in _HEX:
            undone[-3:] = _HEX[code]
    return "".join(undone)


def _fold(text: str) -> str:
    return text.lower().translate(_ONE_ALPHABET)


def _spell(value: str) -> Iterator[str]:
    """Return each spelling, and each backwards; of a long value from the part that its end comes from."""
    for text in {value, undo_percent(value)}:
        yield from _spell_part(text[-PART:])
        for spelling in _spell_part(text[:PART]):
            yield spelling[::-1]


def _spell_part(text: str) -> Iterator[str]:
    """The search folds case, so the codes of both cases are spellings too."""
    yield text
    for cased in {text, text.lower(), text.upper()}:
        yield from _encode(cased)


def _encode(value: str) -> Iterator[str]:
    """The value in hex, in base64, and as its bytes are, which percent-encoding leads to."""
    data = value.encode("utf-8", "surrogateescape")
    yield data.decode("latin-1")
    yield data.hex()
    for before in range(3):
        # three bytes make four characters: where the value begins within three, its neighbours share the first ones
        code = base64.b64encode(b"\0" * before + data).decode()
        core = code[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        if len(core) >= MIN_CORE:
            yield core
