"""`state list` and `state history` as JSON (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from reconciler.formats.json_text import dump
from reconciler.model import By, Document, LastTry
from reconciler.text.instants import instant

STATE_LIST_FORMAT = "reconciler.state-list/1"
STATE_HISTORY_FORMAT = "reconciler.state-history/1"


def encode_state_list(documents: Iterable[Document], now: datetime) -> str:
    """Encode `state list --format json`, sorted by name. `now` decides which leases are live."""
    ordered = sorted(documents, key=lambda document: document.environment)
    return dump({"format": STATE_LIST_FORMAT, "environments": [_document_out(one, now) for one in ordered]})


def _document_out(document: Document, now: datetime) -> dict[str, Any]:
    applied, intent = document.applied, document.intent
    by = applied.by if applied else By()
    return {
        "environment": document.environment,
        "serial": document.serial,
        "lineage": document.lineage,
        "applied_at": instant(applied.at) if applied else None,
        "adopted": applied.adopted if applied else False,
        "actor": by.actor,
        "commit": by.commit,
        "run": by.run,
        "doubt": document.is_in_doubt(now),
        "lease_until": instant(intent.lease_until) if intent else None,
        "locked": document.is_locked(now),
        "token_expires_at": instant(applied.token_expires_at) if applied else None,
        "last_outcome": document.last.outcome.value if document.last else None,
        "last_at": instant(document.last.at) if document.last else None,
    }


def encode_state_history(document: Document) -> str:
    """Encode `state history --format json`, newest first."""
    return dump(
        {
            "format": STATE_HISTORY_FORMAT,
            "environment": document.environment,
            "last": None if document.last is None else _last_out(document.last),
            "history": [
                {
                    "at": instant(entry.at),
                    "adopted": entry.adopted,
                    "by": _by_out(entry.by),
                    "endpoint": entry.endpoint,
                    "account": entry.account,
                    "body": None if entry.body is None else entry.body.value,
                    "webhooks": {event.value: url for event, url in entry.webhooks.items()},
                }
                for entry in document.history
            ],
        }
    )


def _last_out(last: LastTry) -> dict[str, Any]:
    return {
        "outcome": last.outcome.value,
        "status": last.status,
        "message": last.message,
        "at": instant(last.at),
        "by": _by_out(last.by),
    }


def _by_out(by: By) -> dict[str, str | None]:
    return {"actor": by.actor, "commit": by.commit, "run": by.run}
