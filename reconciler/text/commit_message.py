"""The message of a commit that stores a batch of state writes (docs/state.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reconciler.model import By, Document
from reconciler.text.counts import name_some
from reconciler.text.escape import for_commit

MAX_LINES = 1000


def describe_commit(changes: Sequence[tuple[str, Document | None, Document | None]]) -> str:
    """Return a subject, a line for each environment, and who made the change. `changes`: name, before, after."""
    words = [(name, describe_change(before, after)) for name, before, after in changes]
    counts = Counter(word for _, word in words)
    if len(counts) == 1:
        subject = f"{next(iter(counts))}: {name_some(sorted(name for name, _ in words))}"
    else:
        subject = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    by = next((found for _, before, after in changes if (found := _by(before, after)) is not None), By())
    lines = [f"{name}: {word}" for name, word in sorted(words)[:MAX_LINES]]
    if len(words) > MAX_LINES:
        lines.append(f"and {len(words) - MAX_LINES} more")
    who = [
        f"{key}: {for_commit(value)}"
        for key, value in (("actor", by.actor), ("commit", by.commit), ("run", by.run))
        if value
    ]
    return "\n\n".join(part for part in (subject, "\n".join(lines), "\n".join(who)) if part) + "\n"


def describe_change(before: Document | None, after: Document | None) -> str:
    """Return one or two words for what a write did to an environment's document."""
    if after is None:
        # the intent of a run that ended before its PUT, or of a dead run that a person forgot: nothing was applied
        begun = before is not None and before.applied is None and before.intent is not None and not before.intent.doubt
        return "removed" if begun else "forgotten"
    if after.intent is not None:
        return "intent" if after.intent.lease_until is not None else "uncertain"
    if after.applied is not None and (
        before is None or after.applied != before.applied or _has_new_entry(before, after)
    ):
        return "adopted" if after.applied.adopted else "applied"
    return "not applied"


def _has_new_entry(before: Document, after: Document) -> bool:
    return after.history[:1] != before.history[:1]


def _by(before: Document | None, after: Document | None) -> By | None:
    for document in (after, before):
        if document is None:
            continue
        if document.intent is not None:
            return document.intent.by
        if document.applied is not None and document is after:
            return document.applied.by
    return None
