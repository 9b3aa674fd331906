"""The items of `doctor`, as a checklist for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import assert_never

from reconciler.model import Area, Item, ItemState
from reconciler.text.counts import number
from reconciler.text.escape import for_terminal
from reconciler.views.style import Style

SHOWN_OK = 10  # items of an area that are in order
SHOWN_FAILING = 50
HEADINGS = {Area.PARTNER: "partner token", Area.GITHUB: "GitHub"}


def render_doctor(items: Sequence[Item], *, colour: bool) -> str:
    """Return a line for each item, advice below each one that is not in order, and the counts as the last line."""
    style = Style(colour)
    lines: list[str] = []
    for area, of_area in groupby(items, lambda item: item.area):
        lines += [style.bold(HEADINGS.get(area, area.value)), *_area_lines(list(of_area), style), ""]
    counts = Counter(item.state for item in items)
    summary = ", ".join(f"{number(counts[state])} {state.value}" for state in ItemState if counts[state])
    failing = any(item.fails for item in items)
    lines.append((style.red if failing else style.green)(f"Doctor: {summary}."))
    return "\n".join(lines) + "\n"


def _area_lines(items: Sequence[Item], style: Style) -> Iterator[str]:
    shown: Counter[bool] = Counter()
    for item in items:
        is_ok = item.state is ItemState.OK
        shown[is_ok] += 1
        if shown[is_ok] <= (SHOWN_OK if is_ok else SHOWN_FAILING):
            yield from _item_lines(item, style)
    if shown[False] > SHOWN_FAILING:
        yield f"  … and {number(shown[False] - SHOWN_FAILING)} more that are not in order: --format json lists all"
    if shown[True] > SHOWN_OK:
        yield f"  … and {number(shown[True] - SHOWN_OK)} more in order"


def _item_lines(item: Item, style: Style) -> Iterator[str]:
    yield f"  {_mark(item.state, style)} {for_terminal(f'{item.name}: {item.message}')}"
    if item.hint:
        yield f"    {style.cyan(for_terminal(item.hint))}"


def _mark(state: ItemState, style: Style) -> str:
    match state:
        case ItemState.OK:
            return style.green("✓")
        case ItemState.UNKNOWN:
            return style.yellow("!")
        case ItemState.MISSING | ItemState.WRONG:
            return style.error("✗")
        case _:
            assert_never(state)
