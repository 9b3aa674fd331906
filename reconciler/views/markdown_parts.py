"""The parts of every Markdown page: tables, lists of names, and the bound on its length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct

from reconciler.text.alike import Filled
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_markdown, for_markdown_code
from reconciler.views import words

MAX_CHARS = 65_000  # GitHub takes 65,536 in a comment; the rest is for what a workflow puts around it
NOTE_CHARS = 200  # room for the line that counts what was left out


def page(head: Sequence[str], body: Sequence[str], tail: Sequence[str]) -> str:
    """Return the paragraphs with a blank line between them, and a final newline."""
    return "\n\n".join(part for part in (*head, *body, *tail) if part) + "\n"


def fit(parts: Iterable[tuple[str, int]], room: int, *, between: int) -> tuple[list[str], int]:
    """Return the parts that fit into `room` characters with `between` after each, and the count of the others.

    Each part comes with the number that it counts for, for example its environments. A part that is too long doesn't
    keep a later, shorter one out.
    """
    taken: list[str] = []
    left_out = 0
    for text, count in parts:
        if len(text) + between <= room:
            taken.append(text)
            room -= len(text) + between
        else:
            left_out += count
    return taken, left_out


def row(*cells: str) -> str:
    """Return a row of a table. The cells are escaped already."""
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], rows: Sequence[tuple[str, int]], more: str, *, room: int) -> list[str]:
    """Return the rows that fit into `room` characters as a table, and a line that counts what the others stand for."""
    if not rows:
        return []
    top = [row(*header), row(*("---" for _ in header))]
    taken, left_out = fit(rows, room - sum(map(len, top)) - NOTE_CHARS, between=1)
    parts = ["\n".join([*top, *taken])] if taken else []
    return [*parts, f"… and {number(left_out)} {more}"] if left_out else parts


def names(every: Sequence[str], most: int = words.NAMES_SHOWN) -> str:
    """Return at most `most` names as inline code; the others are counted."""
    shown = ", ".join(for_markdown_code(name) for name in every[:most])
    if len(every) > most:
        shown += f" and {number(len(every) - most)} more"
    return shown


def next_steps(texts: Sequence[str]) -> list[str]:
    """Return a paragraph with the heading and a list of what to do next; nothing without texts."""
    return ["What to do next:\n\n" + "\n".join(f"- {for_markdown(text)}" for text in texts)] if texts else []


def host_list(hosts: Sequence[words.HostRow], shown: int, most_names: int, *, indent: str = "") -> list[str]:
    """Return the first `shown` hosts, each with its number of environments, and with their names if unusual."""
    lines = []
    for what, use in hosts[:shown]:
        named = words.host_environments(use, partial(names, most=most_names)) if most_names else ""
        label = f"{what} {words.host_label(use, for_markdown_code)}".lstrip()
        lines.append(f"{indent}- {label}: {environments(len(use.environments))}{named and f': {named}'}")
    left_out = len(hosts) - len(lines)
    return [*lines, f"{indent}- … and {counted(left_out, 'more host')}"] if left_out else lines


def value_list(values: Sequence[Filled], room: int) -> list[str]:
    """Return a folded list of the values that the placeholders of a group stand for; nothing without values.

    It has at most `room` characters. The environments that don't fit are counted.
    """
    if not values:
        return []
    placeholders = ", ".join(for_markdown_code(name, in_html=True) for name in words.placeholders(values))
    top = f"<details>\n<summary>values of {placeholders}</summary>\n"
    lines = [(_value_line(one), len(one.environments)) for one in values]
    taken, left_out = fit(lines, room - len(top) - NOTE_CHARS, between=1)
    where = "see the summary of the check, or run `reconciler plan --format json`"
    more = [f"- … and {counted(left_out, 'more environment')}: {where}"] if left_out else []
    return ["\n".join([top, *taken, *more, "\n</details>"])]


def _value_line(one: Filled) -> str:
    return f"- {words.filled(one, for_markdown_code)}: {', '.join(map(for_markdown_code, one.environments))}"


class Block(Struct, frozen=True):
    """A part of a page. Only its last hosts and names may be left out; the rest is shown whole."""

    render: Callable[[int, int], str]  # takes the number of hosts, and the most names of each; returns the text
    hosts: int  # the number of hosts; one is always shown
    least_chars: int = 0  # the block is never shorter


class FittedBlocks:
    """The blocks that fit into `room` characters, with at most `most_names` names of each host.

    With `may_cut`, a block that doesn't fit shows as many hosts as do. Otherwise nothing is added after the first block
    that doesn't fit, because the caller starts again with fewer names.
    """

    def __init__(self, room: int, most_names: int, *, may_cut: bool) -> None:
        self.texts: list[str] = []
        self.room = room
        self.is_cut = False
        self._most_names = most_names
        self._may_cut = may_cut

    def add(self, blocks: Iterable[Block], *, reserve: int = 0) -> list[int | None]:
        """Add the blocks, and return how many hosts of each are shown; None for a block that is left out.

        `reserve` characters stay free for later blocks. A block that can't fit is not rendered.
        """
        self.room -= reserve
        shown = [self._add_one(block) for block in blocks]
        self.room += reserve
        return shown

    def _add_one(self, block: Block) -> int | None:
        if self.room <= block.least_chars or (self.is_cut and not self._may_cut):
            self.is_cut = True
            return None
        count = self._find_fitting(block)
        if count is None:
            return None
        text = block.render(count, self._most_names)
        self.texts.append(text)
        self.room -= len(text) + 2
        return count

    def _find_fitting(self, block: Block) -> int | None:
        """Return the number of hosts with which the block fits; None if it doesn't fit."""

        def fits(count: int) -> bool:
            return len(block.render(count, self._most_names)) + 2 <= self.room

        if fits(block.hosts):
            return block.hosts
        self.is_cut = True
        if block.hosts <= 1 or not self._may_cut or not fits(1):
            return None
        fewest, most = 1, block.hosts  # one fits, all don't
        while most - fewest > 1:
            middle = (fewest + most) // 2
            fewest, most = (middle, most) if fits(middle) else (fewest, middle)
        return fewest
