"""A search for known values in a text, in all spellings that a person or a program may use.

See docs/contract.md#drift.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator

MIN_SEARCHED = 8  # characters of a value that is searched for: a shorter one occurs in many texts by chance
ENOUGH = 24  # a longer spelling is found by this many characters at its end
PART = 32  # characters of a value that are encoded: each code of them is longer than ENOUGH
MIN_CORE = 4  # characters of a code, without those that depend on its neighbours; a shorter code occurs in any text
_HEX = {f"{number:02x}": chr(number) for number in range(256)}
_ONE_ALPHABET = str.maketrans("-_", "+/")  # base64's other alphabet has - and _ for + and /
_OTHER_ALPHABET = str.maketrans("+/", "-_")
_BYTES_OF_CODE = {5: 5, 6: 3}  # bits of a character -> bytes after which characters and bytes end together again


class SpelledValues:
    """Values that are found in any case, reversed, percent-encoded any number of times, and in several encodings.

    The encodings are hex, base32, base64, hex of base64, base64 of hex and base64 of base64. Base64 is found in both
    alphabets, with or without padding, and within the code of a longer text. The time of a search is proportional to
    the length of the text, for one value or ten thousand.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._by_length: dict[int, set[str]] = {}
        for value in values:
            for spelling in _spell(value):
                end = _fold(spelling)[-ENOUGH:]
                self._by_length.setdefault(len(end), set()).add(end)
        self._by_length.pop(0, None)

    def occur_in(self, text: str) -> bool:
        """Return whether any of the values is in the text, in any of the spellings."""
        return any(
            not ends.isdisjoint([view[at : at + length] for at in range(len(view) - length + 1)])
            for view in {_fold(text), _fold(undo_percent(text))}
            for length, ends in self._by_length.items()
        )


def undo_percent(text: str) -> str:
    """Return the text with percent-encoding undone, even if it was applied repeatedly. Linear in the text's length."""
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
    """Yield each spelling of a value, forwards and backwards. A long value is spelled from its last part alone."""
    for text in {value, undo_percent(value)}:
        yield from _spell_part(text[-PART:])
        yield from _encode_rarely(text[-PART:].encode("utf-8", "surrogateescape"))
        for spelling in _spell_part(text[:PART]):
            yield spelling[::-1]


def _spell_part(text: str) -> Iterator[str]:
    """Yield the spellings of a part in its case, lower case and upper case, as the search ignores case."""
    yield text
    for cased in {text, text.lower(), text.upper()}:
        data = cased.encode("utf-8", "surrogateescape")
        yield data.decode("latin-1")  # its UTF-8 bytes as characters, which is what undone percent-encoding gives
        yield data.hex()
        yield from _encode_in_bits(data, base64.b64encode, bits=6)


def _encode_rarely(data: bytes) -> Iterator[str]:
    """Yield the rarer codes of a value, which are searched for in its own case alone, and not backwards."""
    yield from _encode_in_bits(data, base64.b32encode, bits=5)
    codes = {data.hex(), data.hex().upper()}
    for code in _encode_in_bits(data, base64.b64encode, bits=6):
        codes |= {code, code.translate(_OTHER_ALPHABET)}
        yield code.encode().hex()
        yield code.translate(_OTHER_ALPHABET).encode().hex()
    for code in codes:
        yield from _encode_in_bits(code.encode(), base64.b64encode, bits=6)


def _encode_in_bits(data: bytes, encode: Callable[[bytes], bytes], *, bits: int) -> Iterator[str]:
    """Yield the code of the data after each number of bytes, without the characters that depend on its neighbours."""
    for before in range(_BYTES_OF_CODE[bits]):
        code = encode(b"\0" * before + data).decode()
        core = code[-(-before * 8 // bits) : (before + len(data)) * 8 // bits]
        if len(core) >= MIN_CORE:
            yield core
