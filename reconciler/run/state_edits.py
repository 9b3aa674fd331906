"""Edits of the state by the user: forget, unlock, rename and copy, by compare-and-swap (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from reconciler.core import record
from reconciler.errors import InputError, Locked, StateError
from reconciler.model import Document, Original, Stored
from reconciler.ports import StateStore, Write
from reconciler.text.counts import name_some
from reconciler.text.lock import describe_lock


class Renaming(Struct, frozen=True):
    """The writes of a rename. `replaced` is the document that the new name has now."""

    old: Stored
    document: Document
    replaced: Stored | None


def find_stored(store: StateStore, environment: str) -> Stored:
    """Return the document of an environment. Raises InputError if it is not in the state, and StateError."""
    stored = store.read([environment]).get(environment)
    if stored is None:
        raise InputError.of("ENV", f"{environment!r} is not in the state", "`reconciler state list` shows what is")
    return stored


def read_healthy(store: StateStore, environments: Collection[str]) -> tuple[dict[str, Stored], list[StateError]]:
    """Return the documents of those environments, and an error for each one that can't be read. Raises StateError."""
    try:
        return store.read(environments), []
    except StateError:
        # All documents are read again only to find the bad one. A store that does not answer raises again.
        found = store.read_changes().faults
    faults = {name: found[name] for name in environments if name in found}
    return store.read([name for name in environments if name not in faults]), list(faults.values())


def refuse_live(stored: Stored | Original | None, now: datetime, *, doing: str) -> None:
    """Raise Locked if another run has a live intent: its PUT may be in flight."""
    intent = stored.document.intent if stored else None
    if stored is not None and intent is not None and intent.is_live(now):
        name = stored.document.environment
        advice = f"Wait for it before you {doing}; if that run is dead: `reconciler state unlock {name}`"
        raise Locked(name, intent, f"{name}: {describe_lock(intent, now)}. {advice}")


def forget(store: StateStore, stored: Stored, now: datetime) -> None:
    """Delete the environment's document. Plug is not called: its webhooks stay as they are."""
    refuse_live(stored, now, doing="forget")
    _write(store, Write(stored.document.environment, None, stored.version))


def forget_unread(store: StateStore, environment: str, version: str) -> None:
    """Delete a document that can't be read, if it still has the version that its error carries."""
    _write(store, Write(environment, None, version))


def unlock(store: StateStore, stored: Stored) -> bool:
    """Release a lease; the intent stays, in doubt. Return False if there was no lease."""
    intent = stored.document.intent
    if intent is None or intent.lease_until is None:
        return False
    _write(store, Write(stored.document.environment, record.mark_in_doubt(stored.document), stored.version))
    return True


def copy(source: StateStore, target: StateStore, now: datetime) -> int:
    """Copy every document to an empty store, byte for byte, and return their number.

    A copy that was interrupted is completed: a document that is in the target already counts if it equals the source's.

    Raises Locked if a run has a live intent (its outcome would be written to the old store), StateError if the target
    holds anything else, and what the stores raise, with the number of copied documents.
    """
    stored = source.read_originals(sorted(source.names()))
    for one in stored.values():
        refuse_live(one, now, doing="copy")
    held = target.names()
    copied = target.read(sorted(held & stored.keys()))
    other = held - {name for name, one in copied.items() if one.document == stored[name].document}
    if other:
        raise StateError(
            f"{target.location} is not empty: it holds {name_some(sorted(other))}. Copy to a place without a state, "
            "or forget these first"
        )
    results = target.write(
        [Write(name, one.document, None, one.data) for name, one in stored.items() if name not in held]
    )
    faults = [result.error for result in results if result.error is not None]
    if faults:
        done = len(stored) - len(faults)
        raise StateError(
            f"{faults[0]}\ncopied {done} of {len(stored)} documents to {target.location}. Keep using the old state, "
            "fix the cause and run the same `reconciler state copy` again: it copies what is missing"
        ) from faults[0]
    return len(stored)


def check_rename(store: StateStore, names: tuple[str, str], manifests: Collection[str], now: datetime) -> Renaming:
    """Return what a rename of `names` (old, new; both valid names) would do. Writes nothing.

    `manifests` are the names in the manifests, also of those with faults.

    Raises InputError if a manifest still names the old environment, if the new name has a record of its own, or if
    there is nothing to rename; Locked for another run's live intent; and what the store raises.
    """
    old, new = names
    if old == new:
        raise InputError.of("NEW", f"{new!r} is the old name too", "name what the environment is called now")
    if old in manifests:
        raise InputError.of("OLD", f"a manifest still names {old!r}", "rename it in the manifests first")
    found = store.read(names)
    if old not in found:
        hint = "`reconciler state list` shows what is. If an earlier rename was interrupted, it is complete now"
        raise InputError.of("OLD", f"{old!r} is not in the state", hint)
    refuse_live(found[old], now, doing="rename")
    renamed, replaced = record.rename(found[old].document, new), found.get(new)
    if replaced is not None and replaced.document != renamed:
        refuse_live(replaced, now, doing="rename")
        if replaced.document.applied is not None or replaced.document.intent is not None:
            raise InputError.of(
                "NEW",
                f"{new!r} has an applied record or an intent of its own",
                f"keep it and drop the old one with `reconciler state forget {old}`, or forget {new} first",
            )
    return Renaming(found[old], renamed, replaced)


def rename(store: StateStore, renaming: Renaming) -> None:
    """Carry the record of an environment over: the new document is written before the old one is deleted.

    After a crash in between both exist, and the same rename again removes the old one. Raises what the store raises.
    """
    replaced, document = renaming.replaced, renaming.document
    if replaced is None or replaced.document != document:
        _write(store, Write(document.environment, document, replaced.version if replaced else None))
    _write(store, Write(renaming.old.document.environment, None, renaming.old.version))


def _write(store: StateStore, write: Write) -> None:
    result = store.write([write])[0]
    if result.error is not None:
        raise result.error
