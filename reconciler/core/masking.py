"""Which URLs may show a secret, and what is shown of them: one rule for every output (CONTRACT §8, §11).

The text form of a URL names its secrets, `{secret:NAME}`, and is shown whole. A URL of the same event without such a
place-holder may be the one from before its key became a secret, or one with the key pasted in by hand: only its scheme,
host and port are shown. What the manifest says now is shown as it is written; what the state or Plug says is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.fill import secret_names
from reconciler.model import Desired, Document, Event, Head, Webhooks

_SHOWN_OF_MASKED = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#\\@]*@)?"
    r"(?P<host>(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?)(?=[/?#\\]|\Z)",
    re.ASCII | re.IGNORECASE,
)


def mask_url(url: str) -> str:
    """Return scheme, host and port alone, of any text at all: a dashboard or a hand-edited state takes more than a
    manifest. User information is left out; a text that doesn't begin as a URL is left out whole."""
    match = _SHOWN_OF_MASKED.match(url)
    return f"{match['scheme']}://{match['host']}/…" if match else "…"


def find_secretive_events(webhooks: Iterable[Webhooks]) -> frozenset[Event]:
    """Return the events whose URL holds a secret in any of these."""
    return frozenset(event for urls in webhooks for event, url in urls.items() if secret_names(url))


def show_url(url: str, *, secretive: bool) -> str:
    """Return a URL of the state as it may be shown; `secretive` where its event is among the secretive ones."""
    return mask_url(url) if secretive and not secret_names(url) else url


def show_webhooks(webhooks: Webhooks, secretive: frozenset[Event]) -> Webhooks:
    """Return the webhooks with each URL as it may be shown."""
    if not secretive:
        return webhooks
    return {event: show_url(url, secretive=event in secretive) for event, url in webhooks.items()}


def find_secretive(desired: Desired | None, head: Head | None) -> frozenset[Event]:
    """Return the events of an environment whose URL holds a secret in its manifest or anywhere in its state."""
    known: list[Webhooks] = [desired.webhooks] if desired else []
    if head is not None:
        known += [record.webhooks for record in (head.applied, head.intent) if record is not None]
    if isinstance(head, Document):
        known += [entry.webhooks for entry in head.history]
    return find_secretive_events(known)


def show_document(document: Document, desired: Desired | None = None) -> Document:
    """Return the document with every URL as it may be shown."""
    secretive = find_secretive(desired, document)
    if not secretive:
        return document
    applied, intent = document.applied, document.intent
    return replace(
        document,
        applied=applied and replace(applied, webhooks=show_webhooks(applied.webhooks, secretive)),
        intent=intent and replace(intent, webhooks=show_webhooks(intent.webhooks, secretive)),
        history=tuple(replace(entry, webhooks=show_webhooks(entry.webhooks, secretive)) for entry in document.history),
    )
