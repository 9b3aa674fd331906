"""The masking of URLs that may contain a secret, for every output.

See docs/contract.md#drift, docs/contract.md#what-no-output-does.

The text form of a URL names its secrets, `{secret:NAME}`, and is shown whole. Another URL of the same event without
such a placeholder may be older than the secret, or somebody may have pasted the key into it: only its scheme, host and
port are shown. The manifest's URLs are shown as they are written; those of the state and of Plug are masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from reconciler.core.fill import has_secret
from reconciler.model import Applied, Desired, Document, Event, Head, HistoryEntry, Intent, Webhooks

Record = TypeVar("Record", Applied, Intent, HistoryEntry)

_SHOWN_OF_MASKED = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#\\@]*@)?"
    r"(?P<host>(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?)(?=[/?#\\]|\Z)",
    re.ASCII | re.IGNORECASE,
)


_QUERY_PART = re.compile(r"[^&;]+")
_USER_INFO = re.compile(r"(?<=://)[^/\\]*(?=@)")


def mask_url(url: str) -> str:
    """Return scheme, host and port alone, without user information; "…" for a text that doesn't begin like a URL.

    It takes any text, as a dashboard or a state that was edited by hand accepts more than a manifest.
    """
    match = _SHOWN_OF_MASKED.match(url)
    return f"{match['scheme']}://{match['host']}/…" if match else "…"


def mask_query(url: str) -> str:
    """Return an observed URL with `…` for each value of its query, its fragment and its user information.

    These may contain a key even if the manifest's URL has no secret.
    """
    rest, hash_sign, _ = url.partition("#")
    address, question_mark, query = rest.partition("?")
    values = _QUERY_PART.sub(lambda part: _mask_value(part[0]), query)
    return _USER_INFO.sub("…", address) + question_mark + values + (f"{hash_sign}…" if hash_sign else "")


def _mask_value(part: str) -> str:
    name, equals, value = part.partition("=")
    if not name or not equals:
        return "…"
    return f"{name}={'…' if value else ''}"


def find_secretive_events(webhooks: Iterable[Webhooks]) -> frozenset[Event]:
    """Return the events whose URL contains a secret in any of these webhooks."""
    return frozenset(event for urls in webhooks for event, url in urls.items() if has_secret(url))


def show_url(url: str, *, secretive: bool) -> str:
    """Return a URL of the state as it may be shown. `secretive`: its event is among the secretive ones."""
    return mask_url(url) if secretive and not has_secret(url) else url


def show_webhooks(webhooks: Webhooks, secretive: frozenset[Event]) -> Webhooks:
    """Return the webhooks with each URL as it may be shown."""
    masked = {
        event: mask_url(webhooks[event]) for event in secretive if event in webhooks and not has_secret(webhooks[event])
    }
    return {**webhooks, **masked} if masked else webhooks


def find_secretive(desired: Desired | None, head: Head | None) -> frozenset[Event]:
    """Return the events of an environment whose URL contains a secret in its manifest or anywhere in its state."""
    known: list[Webhooks] = [desired.webhooks] if desired else []
    if head is not None:
        known += [record.webhooks for record in (head.applied, head.intent) if record is not None]
    if isinstance(head, Document):
        known += [entry.webhooks for entry in head.history]
    return find_secretive_events(known)


def show_document(document: Document, desired: Desired | None = None) -> Document:
    """Return the document with every URL as it may be shown."""
    secretive = find_secretive(desired, document)
    return replace(
        document,
        applied=document.applied and _show_record(document.applied, secretive),
        intent=document.intent and _show_record(document.intent, secretive),
        history=tuple(_show_record(entry, secretive) for entry in document.history),
    )


def _show_record(record: Record, secretive: frozenset[Event]) -> Record:
    webhooks = show_webhooks(record.webhooks, secretive)
    return record if webhooks is record.webhooks else replace(record, webhooks=webhooks)
