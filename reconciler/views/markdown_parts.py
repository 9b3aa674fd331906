"""What every Markdown page is made of: tables, lists of names, and the bound on its length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.text.counts import number
from reconciler.text.escape import for_markdown_code
from reconciler.views import words

MAX_CHARS = 65_000  # GitHub takes 65,536 in a comment; the rest is for what a workflow puts around it
NOTE_CHARS = 200  # room for the line that counts what was left out


def page(head: Sequence[str], body: Sequence[str], tail: Sequence[str]) -> str:
    """Paragraphs, a blank line between them, and a final newline."""
    return "\n\n".join(part for part in (*head, *body, *tail) if part) + "\n"


def fit(parts: Iterable[tuple[str, int]], room: int, *, between: int) -> tuple[list[str], int]:
    """The parts that fit into `room` characters with `between` after each, and how much the others stand for.

    Each part comes with what it stands for. A part that is too long doesn't keep a later, shorter one out.
    """
    taken: list[str] = []
    left_out = 0
    for text, stands_for in parts:
        if len(text) + between <= room:
            taken.append(text)
            room -= len(text) + between
        else:
            left_out += stands_for
    return taken, left_out


def row(*cells: str) -> str:
    """A row of a table; the cells are escaped already."""
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], rows: Sequence[tuple[str, int]], more: str, *, room: int) -> list[str]:
    """The table, as far as it fits into `room` characters, and how many environments or findings it lacks."""
    if not rows:
        return []
    top = [row(*header), row(*("---" for _ in header))]
    taken, left_out = fit(rows, room - sum(map(len, top)) - NOTE_CHARS, between=1)
    parts = ["\n".join([*top, *taken])] if taken else []
    return [*parts, f"… and {number(left_out)} {more}"] if left_out else parts


def names(environments: Sequence[str], most: int = words.NAMES_SHOWN) -> str:
    """As inline code; those beyond so many are counted."""
    shown = ", ".join(for_markdown_code(name) for name in environments[:most])
    if len(environments) > most:
        shown += f" and {number(len(environments) - most)} more"
    return shown
