"""The comparison of a store's documents with an earlier snapshot, shared by all stores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.errors import StateError
from reconciler.io.progress import counted
from reconciler.model import Head, Snapshot
from reconciler.ports import Changes, Shrink, keep_head

# a head with the mark of the version that was read, or why it can't be read; None if the document is gone
Found: TypeAlias = tuple[Head, Hashable] | StateError | None


def find_changes(
    since: Snapshot | None,
    marks: Mapping[str, Hashable],
    epoch: int | None,
    read: Callable[[Sequence[str]], Iterable[Found]],
    shrink: Shrink = keep_head,
) -> Changes:
    """Read the documents that differ from a snapshot. `read` returns one result for each name, in the same order.

    Each head is shrunk before the next one is taken, so `read` should yield them one by one.

    `marks` has each document's mark as it is now, or None if the mark is known only after the document is read.
    `epoch` must have been taken before the marks.
    """
    before = since.marks if since else {}
    changed = sorted(name for name, mark in marks.items() if mark is None or before.get(name) != mark)
    now, heads, faults = dict(marks), {}, {}
    gone = {name for name in before if name not in marks}
    for name, found in zip(changed, counted(read(changed), len(changed)), strict=True):
        if found is None:
            gone.add(name)
        elif isinstance(found, StateError):
            faults[name] = found
        else:
            heads[name], now[name] = shrink(found[0]), found[1]
    return Changes(Snapshot(now, epoch), heads, frozenset(gone), faults)
