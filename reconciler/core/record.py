"""The life of one environment's state: document -> document.

See docs/contract.md#intent-put-outcome, docs/contract.md#outcomes, docs/contract.md#lost-intents, docs/state.md.

    nothing or settled ── begin_intent ──> intent live ── confirm ──> settled, applied anew
                                                │  └───── clear ────> settled, applied as before
                                                └──────── doubt ────> in doubt (lease released)
                                                └──────── renew ────> intent live, the same one, for longer
    in doubt or dead   ── begin_intent ──> intent live, doubt inherited: only confirm or adopt ends it

Every function here makes the document of one compare-and-swap; `serial` grows by one with each, so that no
two versions of a document are ever alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.model import (
    Applied,
    By,
    Desired,
    Document,
    Event,
    Fingerprint,
    HistoryEntry,
    Intent,
    LastTry,
    Outcome,
)

HISTORY_LENGTH = 10
MESSAGE_LENGTH = 500  # characters of a last try's message
SERIAL_ROOM = 1000  # writes that one intent may need: its outcome, and a renewed lease for each long wait


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run signs an intent with. `lineage` is used where there is no document yet."""

    intent_id: str
    lineage: str
    now: datetime
    lease_s: float
    by: By
    account: str | None = None  # of the token that the PUT will be sent with


def make_last(outcome: Outcome, status: int | None, message: str, at: datetime, by: By) -> LastTry:
    """A last try whose message fits into a document, whatever it was made from."""
    # a lone surrogate, from a name of the system, is text that no reader of JSON takes
    told = message[:MESSAGE_LENGTH].encode("utf-8", "replace").decode()
    return LastTry(outcome=outcome, status=status, message=told, at=at, by=by)


def begin_intent(document: Document | None, desired: Desired, claim: Claim) -> Document:
    """The document that announces a PUT. The caller has made sure that no live intent of another stands there.

    An intent that replaces an unfinished one inherits its doubt, whatever that one knew of itself: its run
    died somewhere between the first byte and the record.
    """
    intent = Intent(
        id=claim.intent_id,
        webhooks=dict(desired.webhooks),
        doubt=document is not None and document.intent is not None,
        at=claim.now,
        lease_until=claim.now + timedelta(seconds=claim.lease_s),
        by=claim.by,
        endpoint=desired.endpoint,
        account=claim.account,
    )
    if document is None:
        return Document(environment=desired.environment, lineage=claim.lineage, serial=1, intent=intent)
    return replace(document, serial=document.serial + 1, intent=intent)


def renew(document: Document, now: datetime, lease_s: float) -> Document:
    """Our own intent with a lease from now on: it was spent on waiting for a slot, and nothing else has changed."""
    if document.intent is None:
        raise ValueError("there is no intent to renew")
    intent = replace(document.intent, lease_until=now + timedelta(seconds=lease_s))
    return replace(document, serial=document.serial + 1, intent=intent)


def find_following(document: Document, desired: Desired, fingerprint: Fingerprint) -> tuple[Document, ...]:
    """Return the largest documents that may be written after the one with our intent, whatever its PUT brings."""
    if document.intent is None:
        raise ValueError("there is no intent to follow")
    at, by = document.intent.at, document.intent.by
    last = make_last(Outcome.UNCERTAIN, 599, "\U0010ffff" * MESSAGE_LENGTH, at, by)
    later = replace(document, serial=document.serial + SERIAL_ROOM - 1)
    return confirm(later, desired, fingerprint, at, by, last), doubt(later, last)


def confirm(
    document: Document,
    desired: Desired,
    fingerprint: Fingerprint,
    now: datetime,
    by: By,
    last: LastTry | None = None,
) -> Document:
    """After a 2xx: what was sent is the applied record, and there is no intent. `last` as of `clear`."""
    return _record(_tried(document, last), desired, fingerprint, now, by, adopted=False)


def adopt(
    document: Document | None, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By, *, lineage: str
) -> Document:
    """A person vouches that Plug holds the desired: recorded as applied without a PUT; ends doubt."""
    before = document or Document(environment=desired.environment, lineage=lineage, serial=0)
    return _record(before, desired, fingerprint, now, by, adopted=True)


def _record(
    document: Document, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By, *, adopted: bool
) -> Document:
    applied = Applied(
        endpoint=desired.endpoint,
        account=fingerprint.account,
        webhooks=dict(desired.webhooks),
        secrets=dict(fingerprint.secrets),
        at=now,
        by=by,
        adopted=adopted,
        body=desired.body,
        token_expires_at=fingerprint.token_expires_at,
    )
    before: Mapping[Event, str] = document.applied.webhooks if document.applied else {}
    changed = {event: url for event, url in applied.webhooks.items() if before.get(event) != url}
    entry = HistoryEntry(at=now, by=by, webhooks=changed, adopted=adopted)
    return replace(
        document,
        serial=document.serial + 1,
        applied=applied,
        intent=None,
        history=(entry, *_keep_difference(document, applied))[:HISTORY_LENGTH],
    )


def _keep_difference(document: Document, applied: Applied) -> tuple[HistoryEntry, ...]:
    """Return the history, whose newest entry gets what `applied` has otherwise: endpoint and account, and body."""
    before, history = document.applied, document.history
    if before is None or not history:
        return history
    newest = history[0]
    if (before.endpoint, before.account) != (applied.endpoint, applied.account):
        newest = replace(newest, endpoint=before.endpoint, account=before.account)
    if before.body is not applied.body:
        newest = replace(newest, body=before.body)
    return (newest, *history[1:])


def _tried(document: Document, last: LastTry | None) -> Document:
    return document if last is None else replace(document, last=last)


def clear(document: Document, last: LastTry | None = None) -> Document:
    """After a rejection or a failure without doubt: Plug was not changed, so the intent is taken back.

    `last` says how the run's try ended; without one, as nothing was tried, the one before stays.
    """
    return replace(_tried(document, last), serial=document.serial + 1, intent=None)


def doubt(document: Document, last: LastTry | None = None) -> Document:
    """Nobody knows what the PUT did: the intent stays, in doubt, and its lease is released. `last` as of `clear`."""
    if document.intent is None:
        raise ValueError("there is no intent to doubt")
    intent = replace(document.intent, doubt=True, lease_until=None)
    return replace(_tried(document, last), serial=document.serial + 1, intent=intent)


def doubt_holder(document: Document, theirs: Intent) -> Document | None:
    """Another environment's PUT will overwrite what this one put: make sure that the next apply reasserts.

    `theirs` says what that PUT sends. The document has no live intent. None: it is in doubt already, and no run can
    end that doubt with what it read before.
    """
    intent = document.intent
    if intent is None:
        overwritten = replace(theirs, doubt=True, lease_until=None)
        return replace(document, serial=document.serial + 1, intent=overwritten)
    return None if intent.doubt and intent.lease_until is None else doubt(document)


def rename(document: Document, environment: str) -> Document:
    """The same memory under another name: everything goes along, and the serial rises."""
    return replace(document, environment=environment, serial=document.serial + 1)


def impose_doubt(document: Document | None, ours: Document, now: datetime, last: LastTry | None = None) -> Document:
    """Our intent is gone, and our PUT may have landed last: make sure that the next apply reasserts.

    `last` as of `clear`.

    `document` is what stands there now, `ours` what we wrote. Another run's live intent keeps its id and
    lease, so that its PUT stays alone, and is put in doubt: it will find that and not call itself certain.
    """
    if ours.intent is None:
        raise ValueError("there was no intent of ours")
    orphaned = replace(ours.intent, doubt=True, lease_until=None)
    if document is None:
        return Document(
            environment=ours.environment, lineage=ours.lineage, serial=ours.serial + 1, intent=orphaned, last=last
        )
    standing = document.intent
    intent = orphaned
    if standing is not None and standing.is_live(now) and standing.id != orphaned.id:
        intent = replace(standing, doubt=True)
    return replace(_tried(document, last), serial=document.serial + 1, intent=intent)
