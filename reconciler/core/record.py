"""The transitions of one environment's state document.

See docs/contract.md#intent-put-outcome, docs/contract.md#outcomes, docs/contract.md#lost-intents, docs/state.md.

    nothing or settled ── begin_intent ──> intent live ── confirm ──────────> settled, with a new applied record
                                                ├──────── clear ────────────> settled, with the applied record of before
                                                ├──────── mark_in_doubt ────> in doubt (lease released)
                                                └──────── renew ────────────> intent live, with a longer lease
    in doubt or dead   ── begin_intent ──> intent live, doubt inherited: only confirm or adopt ends it

Every function here makes the document for one compare-and-swap. `serial` grows by one with each, so that no two
versions of a document are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

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


class Claim(Struct, frozen=True):
    """The data with which a run begins an intent. `lineage` is used if there is no document yet."""

    intent_id: str
    lineage: str
    now: datetime
    lease_s: float
    by: By
    account: str | None = None  # of the token that the PUT will be sent with


def make_last(outcome: Outcome, status: int | None, message: str, at: datetime, by: By) -> LastTry:
    """Return a last try whose message fits into a document."""
    # a lone surrogate, which may be in a file's name, is not valid in UTF-8
    shown = message[:MESSAGE_LENGTH].encode("utf-8", "replace").decode()
    return LastTry(outcome=outcome, status=status, message=shown, at=at, by=by)


def begin_intent(document: Document | None, desired: Desired, claim: Claim) -> Document:
    """Return the document with the intent of a PUT. The caller has checked that no other run's intent is live.

    An intent that replaces an unfinished one is always in doubt: the earlier run died between the first byte of its
    PUT and the record of the outcome.
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
    """Return the document with a new lease for this run's intent, which has waited for a slot."""
    if document.intent is None:
        raise ValueError("there is no intent to renew")
    intent = replace(document.intent, lease_until=now + timedelta(seconds=lease_s))
    return replace(document, serial=document.serial + 1, intent=intent)


def find_following(document: Document, desired: Desired, fingerprint: Fingerprint) -> tuple[Document, ...]:
    """Return the largest documents that may follow the one with this run's intent, one for each kind of outcome."""
    if document.intent is None:
        raise ValueError("there is no intent to follow")
    at, by = document.intent.at, document.intent.by
    last = make_last(Outcome.UNCERTAIN, 599, "\U0010ffff" * MESSAGE_LENGTH, at, by)
    later = replace(document, serial=document.serial + SERIAL_ROOM - 1)
    return confirm(later, desired, fingerprint, at, by, last), mark_in_doubt(later, last)


def confirm(
    document: Document,
    desired: Desired,
    fingerprint: Fingerprint,
    now: datetime,
    by: By,
    last: LastTry | None = None,
) -> Document:
    """Return the document after a 2xx: with the sent webhooks as applied record and no intent. `last`: see `clear`."""
    return _record(_with_last(document, last), desired, fingerprint, now, by, adopted=False)


def adopt(
    document: Document | None, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By, *, lineage: str
) -> Document:
    """Return the document with the desired webhooks recorded as applied without a PUT. It is no longer in doubt."""
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
    """Return the history. Its newest entry gets the endpoint, account and body that differ from those of `applied`."""
    before, history = document.applied, document.history
    if before is None or not history:
        return history
    newest = history[0]
    if (before.endpoint, before.account) != (applied.endpoint, applied.account):
        newest = replace(newest, endpoint=before.endpoint, account=before.account)
    if before.body is not applied.body:
        newest = replace(newest, body=before.body)
    return (newest, *history[1:])


def _with_last(document: Document, last: LastTry | None) -> Document:
    return document if last is None else replace(document, last=last)


def clear(document: Document, last: LastTry | None = None) -> Document:
    """Return the document without its intent, after a rejection or a failure without doubt: Plug was not changed.

    `last` says how the run's try ended. Without it, as nothing was tried, the earlier one stays.
    """
    return replace(_with_last(document, last), serial=document.serial + 1, intent=None)


def mark_in_doubt(document: Document, last: LastTry | None = None) -> Document:
    """Return the document with its intent in doubt and the lease released, as the effect of the PUT is unknown.

    `last`: see `clear`.
    """
    if document.intent is None:
        raise ValueError("there is no intent to doubt")
    intent = replace(document.intent, doubt=True, lease_until=None)
    return replace(_with_last(document, last), serial=document.serial + 1, intent=intent)


def mark_holder_in_doubt(document: Document, theirs: Intent) -> Document | None:
    """Return the document in doubt, so that its next apply reasserts: another environment's PUT will overwrite it.

    `theirs` is an intent in doubt with that PUT's webhooks. The document has no live intent. None: it is in doubt
    already, and no run can end that doubt with a document that it read before.
    """
    intent = document.intent
    if intent is None:
        return replace(document, serial=document.serial + 1, intent=theirs)
    return None if intent.doubt and intent.lease_until is None else mark_in_doubt(document)


def rename(document: Document, environment: str) -> Document:
    """Return the same document for another name, with the next serial."""
    return replace(document, environment=environment, serial=document.serial + 1)


def impose_doubt(document: Document | None, ours: Document, now: datetime, last: LastTry | None = None) -> Document:
    """Return the stored document in doubt, so that the next apply reasserts.

    This run's intent was replaced, but its PUT may have been the last one that Plug received. `document` is the stored
    one, `ours` the one that this run wrote. Another run's live intent keeps its id and lease, so that no third run
    sends, and is put in doubt: that run finds the doubt and does not report a certain outcome. `last`: see `clear`.
    """
    if ours.intent is None:
        raise ValueError("there was no intent of ours")
    orphaned = replace(ours.intent, doubt=True, lease_until=None)
    if document is None:
        return Document(
            environment=ours.environment, lineage=ours.lineage, serial=ours.serial + 1, intent=orphaned, last=last
        )
    stored = document.intent
    intent = orphaned
    if stored is not None and stored.is_live(now) and stored.id != orphaned.id:
        intent = replace(stored, doubt=True)
    return replace(_with_last(document, last), serial=document.serial + 1, intent=intent)
