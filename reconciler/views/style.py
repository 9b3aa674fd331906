"""Colour for a terminal, and the part in which two texts differ."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from msgspec import Struct

from reconciler.core.host_uses import HostUse
from reconciler.text.counts import environments, number
from reconciler.text.escape import for_terminal
from reconciler.views import words

RESET = "\x1b[0m"


class Style(Struct, frozen=True):
    """Wraps text in colour, or leaves it unchanged. The caller decides whether to use colour."""

    colour: bool

    def _wrap(self, codes: str, text: str) -> str:
        return f"\x1b[{codes}m{text}{RESET}" if self.colour and text else text

    def bold(self, text: str) -> str:
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        return self._wrap("2", text)

    def red(self, text: str) -> str:
        return self._wrap("31", text)

    def green(self, text: str) -> str:
        return self._wrap("32", text)

    def yellow(self, text: str) -> str:
        return self._wrap("33", text)

    def cyan(self, text: str) -> str:
        return self._wrap("36", text)

    def error(self, text: str) -> str:
        return self._wrap("1;31", text)

    def warning(self, text: str) -> str:
        return self._wrap("1;33", text)

    def removed(self, text: str) -> str:
        return self._wrap("1;4;31", text)

    def added(self, text: str) -> str:
        return self._wrap("1;4;32", text)


class Difference(Struct, frozen=True):
    """The spans (start, end) in which two texts differ. Outside of them the texts are equal."""

    before: tuple[int, int]
    after: tuple[int, int]


def find_difference(before: str, after: str) -> Difference:
    """Return the one part in which two texts differ, widened to whole words: `hooks` and `hooks2`, not only `2`."""
    if before == after:
        return Difference((len(before), len(before)), (len(after), len(after)))
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    while start > 0 and before[start - 1].isalnum():
        start -= 1
    while end > 0 and before[len(before) - end].isalnum():
        end -= 1
    return Difference((start, len(before) - end), (start, len(after) - end))


def carets(span: tuple[int, int], indent: int) -> str:
    """Return a line of `^` below a span of a text that starts at column `indent`; empty for an empty span."""
    start, end = span
    return " " * (indent + start) + "^" * (end - start) if end > start else ""


def display_width(text: str) -> int:
    """Return how many columns of a terminal an escaped text takes. It has no control characters."""
    if text.isascii():
        return len(text)
    import unicodedata  # late: most texts are ASCII

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def compare(first: tuple[str, str], second: tuple[str, str], style: Style) -> tuple[list[str], list[str]]:
    """Return the lines of two differing texts, each behind its label: the first in red, the second in green."""
    (label, before), (other_label, after) = first, second
    before, after = for_terminal(before), for_terminal(after)
    difference = find_difference(before, after)
    if style.colour:
        start, end = difference.before
        removed = style.red(before[:start]) + style.removed(before[start:end]) + style.red(before[end:])
        start, end = difference.after
        added = style.green(after[:start]) + style.added(after[start:end]) + style.green(after[end:])
        return [label + removed], [other_label + added]
    marks = carets(difference.before, len(label)), carets(difference.after, len(other_label))
    return [line for line in (label + before, marks[0]) if line], [
        line for line in (other_label + after, marks[1]) if line
    ]


def wrap(text: str, *, indent: str, width: int) -> list[str]:
    """Return an escaped text in lines of at most `width` columns. A longer word keeps its own line."""
    room = max(width - len(indent), 20)
    lines = textwrap.wrap(text, width=room, break_long_words=False, break_on_hyphens=False)
    return [indent + for_terminal(line) for line in lines]  # escaped again, as a new line may begin with "::"


def next_lines(texts: Iterable[str], style: Style, *, width: int) -> list[str]:
    """Return a heading and the lines of what to do next; nothing without texts."""
    lines = [line for text in texts for line in wrap(text, indent="  ", width=width)]
    return [style.bold("What to do next:"), *lines] if lines else []


def name_lines(names: Sequence[str], *, indent: str, width: int, whole: bool = False) -> list[str]:
    """Return the names in wrapped lines. Those after the fiftieth are counted, unless `whole` is True."""
    shown = len(names) if whole else words.NAMES_SHOWN
    text = ", ".join(for_terminal(name) for name in names[:shown])
    if len(names) > shown:
        text += f" and {number(len(names) - shown)} more"
    return wrap(text, indent=indent, width=width)


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the rows as lines with aligned columns, two spaces apart. The last column may have any length."""
    table = [tuple(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in table]


def host_lines(hosts: Iterable[words.HostRow], style: Style, *, indent: str, width: int) -> list[str]:
    """Return a heading for each kind of hosts, and below it each host with its number of environments.

    A host that is unusual also shows the names of its environments.
    """
    lines: list[str] = []
    for kind, of_one_kind in groupby(hosts, lambda row: row[0]):
        uses = [use for _, use in of_one_kind]
        lines.append(f"{indent}hosts {kind}".rstrip())
        rows = columns((words.host_label(use, for_terminal), environments(len(use.environments))) for use in uses)
        for use, row in zip(uses, rows, strict=True):
            lines += _host_line(use, f"{indent}  {row}", style, indent=f"{indent}      ", width=width)
    return lines


def _host_line(use: HostUse, line: str, style: Style, *, indent: str, width: int) -> list[str]:
    more: list[str] = []
    named = words.host_environments(use, lambda names: ", ".join(map(for_terminal, names)))
    if named:
        if len(line) + len(named) + 2 <= width:
            line += f": {named}"
        else:
            line, more = f"{line}:", wrap(named, indent=indent, width=width)
    return [style.yellow(line) if use.is_new else line, *more]
