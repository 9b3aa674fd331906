"""Edits of the state by hand: adopt, forget, unlock, each one compare-and-swap; copy (CONTRACT §4)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from reconciler.core import record
from reconciler.errors import Conflict, InputError, Locked
from reconciler.model import By, Desired, Document, Fingerprint, Original, Stored
from reconciler.ports import CredentialChecks, StateStore, Write
from reconciler.text.counts import name_some
from reconciler.text.lock import describe_lock


def find_stored(store: StateStore, environment: str) -> Stored:
    """Raises InputError where the state has no such environment, StateError where it can't be read."""
    stored = store.read([environment]).get(environment)
    if stored is None:
        raise InputError.of("ENV", f"{environment!r} is not in the state", "`reconciler state list` shows what is")
    return stored


def refuse_live(stored: Stored | Original | None, now: datetime, *, doing: str) -> None:
    """Raises Locked where another run has a live intent: its PUT may be under way."""
    intent = stored.document.intent if stored else None
    if stored is not None and intent is not None and intent.is_live(now):
        raise Locked(
            f"{stored.document.environment}: {describe_lock(intent, now)}. Wait for it before you {doing}; "
            f"if that run is dead: `reconciler state unlock {stored.document.environment}`"
        )


def find_adoptable(
    environment: str, desired: Iterable[Desired], store: StateStore, credentials: CredentialChecks, now: datetime
) -> Desired:
    """The manifest of an environment that may be adopted.

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
    """Records the desired as applied without a PUT: a person vouches for it. Ends doubt."""
    stored = store.read([desired.environment]).get(desired.environment)
    refuse_live(stored, now, doing="adopt")
    document = record.adopt(
        stored.document if stored else None, desired, fingerprint, now, by, lineage=uuid.uuid4().hex
    )
    _write(store, Write(desired.environment, document, stored.version if stored else None))
    return document


def forget(store: StateStore, stored: Stored, now: datetime) -> None:
    """Drops the environment's document. Plug keeps what it holds."""
    refuse_live(stored, now, doing="forget")
    _write(store, Write(stored.document.environment, None, stored.version))


def unlock(store: StateStore, stored: Stored) -> bool:
    """Releases a lease; the intent stays, in doubt. False where there was none to release."""
    intent = stored.document.intent
    if intent is None or intent.lease_until is None:
        return False
    _write(store, Write(stored.document.environment, record.doubt(stored.document), stored.version))
    return True


def copy(source: StateStore, target: StateStore, now: datetime) -> int:
    """Copy every document to an empty store, byte for byte; return how many.

    Raises Locked where a run holds a live intent (its outcome would go to the old store), Conflict where the target
    is not empty, and whatever the stores raise. What was copied when a write fails stays: copy to another place then.
    """
    stored = source.read_originals(sorted(source.names()))
    for one in stored.values():
        refuse_live(one, now, doing="copy")
    standing = sorted(target.names())
    if standing:
        raise Conflict(
            f"{target.location} is not empty: it holds {name_some(standing)}. Copy to a place without a state, "
            "or forget these first"
        )
    results = target.write([Write(name, one.document, None, one.data) for name, one in stored.items()])
    for result in results:
        if result.error is not None:
            raise result.error
    return len(results)


def _write(store: StateStore, write: Write) -> None:
    result = store.write([write])[0]
    if result.error is not None:
        raise result.error
