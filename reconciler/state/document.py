"""The state document as bytes: canonical JSON, so that a person can review its diff (CONTRACT §7)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from itertools import takewhile
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from pydantic_core import SchemaValidator, ValidationError, core_schema

from reconciler.errors import Corrupt, NewerFormat, StateError
from reconciler.model import EVENTS, Applied, By, Document, Event, Head, HistoryEntry, Intent, Stored
from reconciler.text.escape import for_terminal

FORMAT = "reconciler.state/1"
ENVIRONMENT_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
SUFFIX = ".json"
MAX_SERIAL = 2**53  # what every reader of JSON counts to
_NAME = re.compile(ENVIRONMENT_NAME)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Decode(Protocol[T_co]):
    """`decode_document` or `decode_head`."""

    def __call__(self, data: bytes, /, *, environment: str, where: str) -> T_co: ...


def version_of(data: bytes) -> str:
    """What the stores compare: no two versions of a document share it, as `serial` is in the bytes."""
    return hashlib.sha256(data).hexdigest()


def is_environment_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


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
    return f"{_canonical(value, '')}\n".encode()


def _canonical(value: Any, margin: str) -> str:
    """As `json.dumps(value, sort_keys=True, indent=2)`, which with an indent makes every character in Python."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if not value or not isinstance(value, dict | list):
        return json.dumps(value)
    inner = margin + "  "
    if isinstance(value, list):
        items = [f"{inner}{_canonical(item, inner)}" for item in value]
        return "[\n" + ",\n".join(items) + f"\n{margin}]"
    items = [f"{inner}{encode_basestring_ascii(key)}: {_canonical(value[key], inner)}" for key in sorted(value)]
    return "{\n" + ",\n".join(items) + f"\n{margin}}}"


# --- in --------------------------------------------------------------------------------------------


_SEVEN = itemgetter(*EVENTS)


def _all_seven(webhooks: dict[Event, str]) -> dict[Event, str]:
    """In the order of the vendor's page; no key but an event gets here."""
    if len(webhooks) != len(EVENTS):
        raise ValueError("all seven webhooks are expected")
    return dict(zip(EVENTS, _SEVEN(webhooks), strict=True))


def _within_calendar(instant: datetime) -> datetime:
    """The first and last hours of the calendar have no UTC beside every offset, and UTC is how times are shown."""
    try:
        if instant.year in (MINYEAR, MAXYEAR):
            instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time within the calendar is expected") from None
    return instant


def _in_order(webhooks: dict[Event, str]) -> dict[Event, str]:
    return {event: webhooks[event] for event in EVENTS if event in webhooks}


def _record(kind: type, *hidden: core_schema.DataclassField, **fields: core_schema.CoreSchema) -> Any:
    """The schema of one of the model's dataclasses: its fields and no others, nothing coerced.

    It is written out, and not made from a pydantic model, so that ten thousand documents become what the program
    works with at once, without objects in between. `hidden` fields are checked and then dropped.
    """
    arguments = [*hidden, *(core_schema.dataclass_field(name, field) for name, field in fields.items())]
    return core_schema.dataclass_schema(
        kind,
        core_schema.dataclass_args_schema(kind.__name__, arguments, collect_init_only=True),
        list(fields),
        slots=True,
        config={"extra_fields_behavior": "forbid", "strict": True},
    )


def _optional(field: core_schema.CoreSchema, default: object = None) -> Any:
    """May be left out."""
    return core_schema.with_default_schema(field, default=default)


def _make_schemas() -> tuple[core_schema.CoreSchema, core_schema.CoreSchema]:
    """Of a whole document, and of its head: there the past is checked too, and not kept."""
    some = core_schema.str_schema()
    text = core_schema.str_schema(min_length=1)
    nullable = core_schema.nullable_schema
    webhooks = core_schema.dict_schema(core_schema.enum_schema(Event, list(Event), sub_type="str"), text)
    seven = core_schema.no_info_after_validator_function(_all_seven, webhooks)
    at = core_schema.no_info_after_validator_function(
        _within_calendar, core_schema.datetime_schema(tz_constraint="aware")
    )
    by = _record(By, **dict.fromkeys(("actor", "commit", "run"), _optional(nullable(some))))
    adopted = _optional(core_schema.bool_schema(), default=False)
    applied = _record(
        Applied,
        endpoint=text,
        account=nullable(some),
        webhooks=seven,
        secrets=core_schema.dict_schema(some, some),
        at=at,
        by=by,
        adopted=adopted,
    )
    intent = _record(
        Intent, id=text, webhooks=seven, doubt=core_schema.bool_schema(), at=at, lease_until=nullable(at), by=by
    )
    entry = _record(
        HistoryEntry,
        at=at,
        by=by,
        webhooks=core_schema.no_info_after_validator_function(_in_order, webhooks),
        adopted=adopted,
    )
    history = core_schema.tuple_schema([entry], variadic_item_index=0)
    format_ = core_schema.dataclass_field("format", core_schema.literal_schema([FORMAT]), init_only=True)
    head = {
        "environment": core_schema.str_schema(pattern=f"^{ENVIRONMENT_NAME}$"),
        "lineage": text,
        "serial": core_schema.int_schema(ge=1, le=MAX_SERIAL),
        "applied": nullable(applied),
        "intent": nullable(intent),
    }
    past = core_schema.dataclass_field("history", history, init_only=True)
    return _record(Document, format_, **head, history=history), _record(Head, format_, past, **head)


_DOCUMENT, _HEAD = (SchemaValidator(schema) for schema in _make_schemas())


def decode_document(data: bytes, /, *, environment: str, where: str) -> Stored:
    """The document of `environment` as read from `where` (a path or address, for messages).

    Raises Corrupt for anything that is not a whole document of this environment, NewerFormat for one of a
    later version. It is never taken for empty: that would create what was already applied, or worse.
    """
    document: Document = _decode(_DOCUMENT, data, environment=environment, where=where)
    return Stored(document, version_of(data))


def decode_head(data: bytes, /, *, environment: str, where: str) -> Head:
    """All but the document's past; refuses what `decode_document` refuses."""
    head: Head = _decode(_HEAD, data, environment=environment, where=where)
    return head


def read_each(environments: Iterable[str], read_one: Callable[[str], T | None]) -> dict[str, T]:
    """What `read_one` finds of each environment, those left out of which it finds nothing.

    Raises one error with a line for each that can't be read, of the kind of the first.
    """
    found: dict[str, T] = {}
    faults: list[StateError] = []
    for environment in environments:
        try:
            one = read_one(environment)
        except StateError as fault:
            faults.append(fault)
        else:
            if one is not None:
                found[environment] = one
    if faults:
        raise type(faults[0])("\n".join(str(fault) for fault in faults)) from faults[0]
    return found


def _decode(validator: SchemaValidator, data: bytes, *, environment: str, where: str) -> Any:
    if not is_environment_name(environment):
        raise Corrupt(f"state: {for_terminal(where)}: the name fits no environment. Move it out of the state")
    try:
        decoded: Head = validator.validate_json(data)
    except ValidationError as error:
        raise _explain(data, error, environment=environment, where=where) from error
    if decoded.environment != environment:
        raise Corrupt(
            f"state of {environment}: {where} holds another environment's document, {decoded.environment!r}. "
            "Put the right document back from a backup or the history of the store"
        )
    return decoded


# any other may be anybody's text, a token too (CONTRACT §11)
_KEYS_TO_SHOW = frozenset(
    {"format", *EVENTS, *(one.name for kind in (Document, Applied, Intent, HistoryEntry, By) for one in fields(kind))}
)


def _may_be_shown(part: str | int) -> bool:
    return isinstance(part, int) or part in _KEYS_TO_SHOW


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
        place = ".".join(str(part) for part in takewhile(_may_be_shown, first["loc"]))
        fault = "a key that no document has" if first["type"] == "unexpected_keyword_argument" else str(first["msg"])
        what = f"at {place}: {fault}" if place else fault
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
