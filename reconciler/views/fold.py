"""Lines that fit a terminal: a long one is broken at a space or within a URL, never in the middle of a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from msgspec import Struct

from reconciler.views.style import RESET, display_width

MIN_ROOM = 24  # columns that must be free for a long word; with fewer, it begins on a new line
HANG = 4  # further columns that a continued line is indented
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_CELL = re.compile(r"(?P<codes>(?:\x1b\[[0-9;]*m)*)(?P<char>[^\x1b]|$)")
_WORD = re.compile(r"[^ ]+")
_PART = re.compile(r"[^/?&=,]*[/?&=,]+|[^/?&=,]+")  # a piece of a URL, with the sign that ends it


class Piece(Struct, frozen=True):
    """A part of one line, `start` to `end` in its characters, shown `indent` columns in."""

    start: int
    end: int
    indent: int


def fold(text: str, width: int) -> str:
    """Break the lines of a text that are longer than `width` columns. The text may be in colour.

    A line of `^` marks below a broken line is broken in the same places.
    """
    lines: list[str] = []
    pieces: list[Piece] = []
    for line in text.split("\n"):
        if pieces and line.strip() and not line.strip(" ^"):
            lines[-len(pieces) :] = _interleave(lines[-len(pieces) :], line, pieces)
            pieces = []
            continue
        plain = _CODE.sub("", line)
        pieces = [] if display_width(plain) <= width else list(_split(plain, width))
        lines += _cut(line, pieces) if pieces else [line]
    return "\n".join(lines)


def _interleave(lines: Sequence[str], marks: str, pieces: Sequence[Piece]) -> list[str]:
    shown = []
    for line, piece in zip(lines, pieces, strict=True):
        shown.append(line)
        marked = marks[piece.start : piece.end].rstrip()
        if marked:
            shown.append(" " * piece.indent + marked)
    return shown


def _split(plain: str, width: int) -> Iterator[Piece]:
    """Yield the pieces of a line. A broken word continues below its own beginning; other words are indented."""
    margin = len(plain) - len(plain.lstrip(" "))
    hang = min(margin + HANG, width // 2)
    start = indent = 0
    for word in _WORD.finditer(plain):
        column = indent + display_width(plain[start : word.start()])
        if column + display_width(word[0]) <= width:
            continue
        parts = list(_PART.finditer(plain, word.start(), word.end()))
        least = display_width(parts[0][0])
        cramped = width - column < max(MIN_ROOM, least) and least <= width - hang
        if cramped and word.start() > max(start, margin):
            yield Piece(start, word.start(), indent)
            start, indent, column = word.start(), hang, hang
        for part in parts:
            if part.start() > word.start() and indent + display_width(plain[start : part.end()]) > width:
                yield Piece(start, part.start(), indent)
                start, indent = part.start(), column
    yield Piece(start, len(plain), indent)


def _cut(line: str, pieces: Sequence[Piece]) -> list[str]:
    """Cut a line into its pieces, each with the colour that its characters have."""
    cells: list[tuple[str, str]] = []
    colour = ""
    for found in _CELL.finditer(line):
        colour = (colour + found["codes"]).rpartition(RESET)[2]
        cells.append((colour, found["char"]))
    shown = []
    for piece in pieces:
        text = " " * piece.indent
        for colour, run in groupby(cells[piece.start : piece.end], key=itemgetter(0)):
            part = "".join(char for _, char in run)
            text += f"{colour}{part}{RESET}" if colour else part
        shown.append(text.rstrip(" "))
    return shown
