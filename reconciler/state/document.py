"""The state document as bytes: canonical JSON, so that a person can review its diff (CONTRACT §7)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from reconciler.core.escape import for_terminal
from reconciler.errors import Corrupt, NewerFormat
from reconciler.model import EVENTS, Applied, By, Document, Event, HistoryEntry, Intent, Stored

FORMAT = "reconciler.state/1"
ENVIRONMENT_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
SUFFIX = ".json"


def version_of(data: bytes) -> str:
    """What the stores compare: no two versions of a document share it, as `serial` is in the bytes."""
    return hashlib.sha256(data).hexdigest()


def is_environment_name(name: str) -> bool:
    return re.fullmatch(ENVIRONMENT_NAME, name) is not None


# --- out -------------------------------------------------------------------------------------------


def format_instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _by_out(by: By) -> dict[str, Any]:
    return {"actor": by.actor, "commit": by.commit, "run": by.run}


def _applied_out(applied: Applied) -> dict[str, Any]:
    out: dict[str, Any] = {
        "endpoint": applied.endpoint,
        "account": applied.account,
        "webhooks": dict(applied.webhooks),
        "secrets": dict(applied.secrets),
        "at": format_instant(applied.at),
        "by": _by_out(applied.by),
    }
    if applied.adopted:
        out["adopted"] = True
    return out


def _intent_out(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "webhooks": dict(intent.webhooks),
        "doubt": intent.doubt,
        "at": format_instant(intent.at),
        "lease_until": None if intent.lease_until is None else format_instant(intent.lease_until),
        "by": _by_out(intent.by),
    }


def _entry_out(entry: HistoryEntry) -> dict[str, Any]:
    out: dict[str, Any] = {
        "at": format_instant(entry.at),
        "by": _by_out(entry.by),
        "webhooks": dict(entry.webhooks),
    }
    if entry.adopted:
        out["adopted"] = True
    return out


def encode_document(document: Document) -> bytes:
    """Sorted keys, two spaces, ASCII, a final newline."""
    value = {
        "format": FORMAT,
        "environment": document.environment,
        "lineage": document.lineage,
        "serial": document.serial,
        "applied": None if document.applied is None else _applied_out(document.applied),
        "intent": None if document.intent is None else _intent_out(document.intent),
        "history": [_entry_out(entry) for entry in document.history],
    }
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True) + "\n").encode()


# --- in --------------------------------------------------------------------------------------------


def _all_seven(webhooks: dict[Event, str]) -> dict[Event, str]:
    if len(webhooks) != len(EVENTS):
        raise ValueError("all seven webhooks are expected")
    return webhooks


def _within_calendar(instant: datetime) -> datetime:
    """The first and last hours of the calendar have no UTC beside every offset, and UTC is how times are shown."""
    try:
        instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time within the calendar is expected") from None
    return instant


def _in_order(webhooks: dict[Event, str]) -> dict[Event, str]:
    return {event: webhooks[event] for event in EVENTS if event in webhooks}


Text = Annotated[str, Field(min_length=1)]
Instant = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
Seven = Annotated[dict[Event, Text], AfterValidator(_all_seven), AfterValidator(_in_order)]
Some = Annotated[dict[Event, Text], AfterValidator(_in_order)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _By(_Part):
    actor: str | None = None
    commit: str | None = None
    run: str | None = None

    def value(self) -> By:
        return By(self.actor, self.commit, self.run)


class _Applied(_Part):
    endpoint: Text
    account: str | None
    webhooks: Seven
    secrets: dict[str, str]
    at: Instant
    by: _By
    adopted: bool = False

    def value(self) -> Applied:
        return Applied(
            endpoint=self.endpoint,
            account=self.account,
            webhooks=self.webhooks,
            secrets=self.secrets,
            at=self.at,
            by=self.by.value(),
            adopted=self.adopted,
        )


class _Intent(_Part):
    id: Text
    webhooks: Seven
    doubt: bool
    at: Instant
    lease_until: Instant | None
    by: _By

    def value(self) -> Intent:
        return Intent(self.id, self.webhooks, self.doubt, self.at, self.lease_until, self.by.value())


class _Entry(_Part):
    at: Instant
    by: _By
    webhooks: Some
    adopted: bool = False

    def value(self) -> HistoryEntry:
        return HistoryEntry(self.at, self.by.value(), self.webhooks, self.adopted)


class _Document(_Part):
    format: Literal["reconciler.state/1"]
    environment: Annotated[str, Field(pattern=f"^{ENVIRONMENT_NAME}$")]
    lineage: Text
    serial: Annotated[int, Field(ge=1)]
    applied: _Applied | None
    intent: _Intent | None
    history: list[_Entry]

    def value(self) -> Document:
        return Document(
            environment=self.environment,
            lineage=self.lineage,
            serial=self.serial,
            applied=None if self.applied is None else self.applied.value(),
            intent=None if self.intent is None else self.intent.value(),
            history=tuple(entry.value() for entry in self.history),
        )


def decode_document(data: bytes, *, environment: str, where: str) -> Stored:
    """The document of `environment` as read from `where` (a path or address, for messages).

    Raises Corrupt for anything that is not a whole document of this environment, NewerFormat for one of a
    later version. It is never taken for empty: that would create what was already applied, or worse.
    """
    if not is_environment_name(environment):
        raise Corrupt(f"state: {for_terminal(where)}: the name fits no environment. Move it out of the state")
    try:
        parsed = _Document.model_validate_json(data)
    except ValidationError as error:
        raise _explain(data, error, environment=environment, where=where) from error
    if parsed.environment != environment:
        raise Corrupt(
            f"state of {environment}: {where} holds another environment's document, {parsed.environment!r}. "
            "Put the right document back from a backup or the history of the store"
        )
    return Stored(parsed.value(), version_of(data))


def _explain(data: bytes, error: ValidationError, *, environment: str, where: str) -> Corrupt | NewerFormat:
    newer = _newer_format(data)
    if newer is not None:
        return NewerFormat(
            f"state of {environment}: {where} has the format {newer!r}, newer than {FORMAT}. "
            "Update reconciler; this version leaves the document alone"
        )
    if not data.strip():
        what = "it is empty"
    else:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = f"at {place}: {first['msg']}" if place else str(first["msg"])
    return Corrupt(
        f"state of {environment}: {where} is corrupt: {what}. "
        "Put it back from a backup or the history of the store; only if there is none, and after looking at "
        f"what Plug holds, remove it: the next apply then puts {environment} anew"
    )


def _newer_format(data: bytes) -> str | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    found = value.get("format") if isinstance(value, Mapping) else None
    if not isinstance(found, str):
        return None
    match = re.fullmatch(r"reconciler\.state/([1-9][0-9]{0,5})", found)
    return found if match and int(match[1]) > 1 else None
