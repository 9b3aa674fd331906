"""Edits of the state by hand: adopt, forget, unlock, each one compare-and-swap; copy (CONTRACT §4)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from reconciler.core import record
from reconciler.errors import InputError, Locked, StateError
from reconciler.model import By, Desired, Document, Fingerprint, Stored
from reconciler.ports import CredentialChecks, StateStore, Write
from reconciler.text.counts import name_some
from reconciler.text.lock import describe_lock


def find_stored(store: StateStore, environment: str) -> Stored:
    """Return the document of an environment that is in the state. Raises InputError where it is not, StateError."""
    stored = store.read([environment]).get(environment)
    if stored is None:
        raise InputError.of("ENV", f"{environment!r} is not in the state", "`reconciler state list` shows what is")
    return stored


def refuse_live(stored: Stored | None, now: datetime, *, doing: str) -> None:
    """Raise Locked where another run has a live intent: its PUT may be under way."""
    intent = stored.document.intent if stored else None
    if stored is not None and intent is not None and intent.is_live(now):
        name = stored.document.environment
        advice = f"Wait for it before you {doing}; if that run is dead: `reconciler state unlock {name}`"
        raise Locked(name, intent, f"{name}: {describe_lock(intent, now)}. {advice}")


def find_adoptable(
    environment: str, desired: Iterable[Desired], store: StateStore, credentials: CredentialChecks, now: datetime
) -> Desired:
    """Return the manifest of an environment that may be adopted.

    Raises InputError (no such manifest, a malformed token), Locked, and what the store raises.
    """
    wanted = next((one for one in desired if one.environment == environment), None)
    if wanted is None:
        raise InputError.of("ENV", f"{environment!r} is in no manifest", "adopt records what a manifest wants")
    malformed = credentials.find_malformed_tokens([wanted])
    if malformed:
        raise InputError(problems=malformed)
    refuse_live(store.read([environment]).get(environment), now, doing="adopt")
    return wanted


def adopt(store: StateStore, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By) -> Document:
    """Record the desired webhooks as applied without a PUT, as the user vouches for them. Ends doubt."""
    stored = store.read([desired.environment]).get(desired.environment)
    refuse_live(stored, now, doing="adopt")
    document = record.adopt(
        stored.document if stored else None, desired, fingerprint, now, by, lineage=uuid.uuid4().hex
    )
    _write(store, Write(desired.environment, document, stored.version if stored else None))
    return document


def forget(store: StateStore, stored: Stored, now: datetime) -> None:
    """Delete the environment's document. Plug is not called: its webhooks stay as they are."""
    refuse_live(stored, now, doing="forget")
    _write(store, Write(stored.document.environment, None, stored.version))


def unlock(store: StateStore, stored: Stored) -> bool:
    """Release a lease; the intent stays, in doubt. Return False where there was no lease."""
    intent = stored.document.intent
    if intent is None or intent.lease_until is None:
        return False
    _write(store, Write(stored.document.environment, record.doubt(stored.document), stored.version))
    return True


def copy(source: StateStore, target: StateStore, now: datetime) -> int:
    """Copy every document as it is to an empty store, and return their number.

    Raises Locked where a run has a live intent (its outcome would be written to the old store), StateError where the
    target is not empty, and what the stores raise. When a write fails, the documents that were copied stay in the
    target: the next try needs another one.
    """
    stored = source.read(sorted(source.names()))
    for one in stored.values():
        refuse_live(one, now, doing="copy")
    present = sorted(target.names())
    if present:
        raise StateError(
            f"{target.location} is not empty: it holds {name_some(present)}. Copy to a place without a state, "
            "or forget these first"
        )
    results = target.write([Write(name, one.document, None) for name, one in stored.items()])
    for result in results:
        if result.error is not None:
            raise result.error
    return len(results)


def _write(store: StateStore, write: Write) -> None:
    result = store.write([write])[0]
    if result.error is not None:
        raise result.error
