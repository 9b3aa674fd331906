"""The state document as bytes: canonical JSON, so that its diff can be reviewed (docs/state.md)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, fields
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from functools import cache
from itertools import takewhile
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import Annotated, Any, Literal, Protocol, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    with_config,
)

from reconciler.core.json_keys import has_repeated_key
from reconciler.errors import Corrupt, NewerFormat, SeveralUnreadable, StateError
from reconciler.io.watch import counted
from reconciler.model import (
    EVENTS,
    Applied,
    By,
    Document,
    Event,
    Head,
    HistoryEntry,
    Intent,
    LastTry,
    Original,
    Stored,
)
from reconciler.ports import Write
from reconciler.text.escape import for_terminal

LATEST = 2  # of the format; one of 1 is read, and written as the latest at its next write
FORMAT = f"reconciler.state/{LATEST}"
ENVIRONMENT_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
SUFFIX = ".json"
MAX_BYTES = 16 * 1024 * 1024  # of a document: seven URLs, eleven times over, take a hundredth of it
MAX_SERIAL = 2**53  # the largest integer that every reader of JSON knows exactly
INDENTED_FACTOR = 4  # an indented document is at most this many times as long as the same one on a single line
_NAME = re.compile(ENVIRONMENT_NAME)


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Decode(Protocol[T_co]):
    """`decode_document`, `decode_original` or `decode_head`."""

    def __call__(
        self, data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
    ) -> T_co: ...


def version_of(data: bytes) -> str:
    """Return the version that the stores compare. Each write has another one, as `serial` is in the bytes."""
    return hashlib.sha256(data).hexdigest()


def make_too_large(environment: str, where: str, version: str, older: str = "") -> Corrupt:
    """Return the error of a document that is larger than MAX_BYTES, which no store reads.

    `version` is what the store compares in place of that of the content; `older` as in `decode_document`.
    """
    if not is_environment_name(environment):
        return _make_misnamed(where)
    what = f"is larger than {MAX_BYTES >> 20} MiB, so it is not a document of this program, and was not read"
    return _make_corrupt(environment, where, what, version, older)


def _make_misnamed(where: str) -> Corrupt:
    """Return the error of a document that no command names, so that only a person can move it away."""
    return Corrupt(f"state: {for_terminal(where)}: not a valid environment name. Move the document out of the state")


def _make_corrupt(environment: str, where: str, what: str, version: str, older: str) -> Corrupt:
    shown = f" ({older})" if older else ""
    return Corrupt(
        f"state of {environment}: {where} {what}. Restore it from a backup or the history of the store{shown}. Only if "
        f"neither has it, and after you checked what Plug holds: `reconciler state forget {environment}`; the next "
        f"apply then sends all webhooks of {environment}",
        version,
    )


def is_environment_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


# --- out -------------------------------------------------------------------------------------------


def format_instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _instant_out(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _by_out(by: By) -> dict[str, Any]:
    return {"actor": by.actor, "commit": by.commit, "run": by.run}


def _applied_out(applied: Applied) -> dict[str, Any]:
    out: dict[str, Any] = {
        "endpoint": applied.endpoint,
        "account": applied.account,
        "webhooks": dict(applied.webhooks),
        "secrets": dict(applied.secrets),
        "body": applied.body.value,
        "token_expires_at": _instant_out(applied.token_expires_at),
        "at": format_instant(applied.at),
        "by": _by_out(applied.by),
    }
    if applied.adopted:
        out["adopted"] = True
    return out


def _intent_out(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "endpoint": intent.endpoint,
        "account": intent.account,
        "webhooks": dict(intent.webhooks),
        "doubt": intent.doubt,
        "at": format_instant(intent.at),
        "lease_until": _instant_out(intent.lease_until),
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
    if entry.endpoint is not None:
        out |= {"endpoint": entry.endpoint, "account": entry.account}
    if entry.body is not None:
        out["body"] = entry.body.value
    return out


def _last_out(last: LastTry) -> dict[str, Any]:
    return {
        "outcome": last.outcome.value,
        "status": last.status,
        "message": last.message,
        "at": format_instant(last.at),
        "by": _by_out(last.by),
    }


def _document_out(document: Document) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "environment": document.environment,
        "lineage": document.lineage,
        "serial": document.serial,
        "applied": None if document.applied is None else _applied_out(document.applied),
        "intent": None if document.intent is None else _intent_out(document.intent),
        "last": None if document.last is None else _last_out(document.last),
        "history": [_entry_out(entry) for entry in document.history],
    }


def encode_document(document: Document) -> bytes:
    """Sorted keys, two spaces, ASCII, a final newline."""
    return f"{_canonical(_document_out(document), '')}\n".encode()


def encode_write(write: Write) -> bytes | None:
    """Return the bytes that a store is to hold: the document's own encoding, or those of a copy; None: nothing.

    Raises: StateError where this version could not read them again.
    """
    if write.document is None:
        return None
    data = encode_document(write.document) if write.original is None else write.original
    fault = _find_fault(write.document, len(data))
    if fault is not None:
        raise StateError(fault)
    return data


def find_write_fault(document: Document) -> str | None:
    """Return why this version could not read the document once it is written; None where it could."""
    if INDENTED_FACTOR * len(json.dumps(_document_out(document))) <= MAX_BYTES:  # many times as fast as the encoder
        return _find_fault(document, 0)
    return _find_fault(document, len(encode_document(document)))


def _find_fault(document: Document, size_bytes: int) -> str | None:
    name = document.environment
    if document.serial > MAX_SERIAL:
        what = f"its serial would pass {MAX_SERIAL}, the largest that can be read"
    elif size_bytes > MAX_BYTES:
        what = f"it would take {size_bytes} bytes, and only {MAX_BYTES} can be read"
    else:
        return None
    return (
        f"state of {name}: the next document could not be read again: {what}. Was the document edited by hand? Fix "
        f"it, or run `reconciler state forget {name}`: the next apply then sends {name} again and begins a new one"
    )


def _canonical(value: Any, margin: str) -> str:
    """Return `json.dumps(value, sort_keys=True, indent=2)`, which is slow: with an indent it doesn't use C."""
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


def _take_seven(webhooks: dict[Event, str]) -> dict[Event, str]:
    """Return all seven in the order of the vendor's page. Every key is an event."""
    if len(webhooks) != len(EVENTS):
        raise ValueError("all seven webhooks are expected")
    return dict(zip(EVENTS, _SEVEN(webhooks), strict=True))


def _take_changed(webhooks: dict[Event, str]) -> dict[Event, str]:
    return {event: webhooks[event] for event in EVENTS if event in webhooks}


def _check_calendar(instant: datetime) -> datetime:
    """Refuse a time of the calendar's first or last hours that has no UTC: times are shown in UTC."""
    try:
        if instant.year in (MINYEAR, MAXYEAR):
            instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time within the calendar is expected") from None
    return instant


_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Name: TypeAlias = Annotated[str, Field(pattern=f"^{ENVIRONMENT_NAME}$")]
_Serial: TypeAlias = Annotated[int, Field(ge=1, le=MAX_SERIAL)]
_At: TypeAlias = Annotated[AwareDatetime, AfterValidator(_check_calendar)]
_Seven: TypeAlias = Annotated[dict[Event, _Text], AfterValidator(_take_seven)]
_Changed: TypeAlias = Annotated[dict[Event, _Text], AfterValidator(_take_changed)]


def _as(kind: type) -> GetPydanticSchema:
    """Mark a class of keys as the schema of a class of the model: pydantic makes an object of the model's class.

    So the model has no knowledge of its JSON, and reading ten thousand documents makes no objects in between.
    """

    def replace_class(source: Any, handler: GetCoreSchemaHandler) -> Any:
        schema = {**handler.resolve_ref_schema(handler(source)), "cls": kind}
        return {key: value for key, value in schema.items() if key != "ref"}

    return GetPydanticSchema(replace_class)


# What the former format did not have is null where it is missing, so both are read by one schema.
_Format: TypeAlias = Literal["reconciler.state/1", "reconciler.state/2"]

# Other keys are refused, and nothing is converted: `"1"` is not a serial.
_STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class _ByKeys(By):
    pass


_By: TypeAlias = Annotated[_ByKeys, _as(By)]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _AppliedKeys(Applied):
    endpoint: _Text
    webhooks: _Seven
    secrets: dict[str, str]
    at: _At
    by: _By
    token_expires_at: _At | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _IntentKeys(Intent):
    id: _Text
    webhooks: _Seven
    at: _At
    lease_until: _At | None
    by: _By
    endpoint: _Text | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _EntryKeys(HistoryEntry):
    at: _At
    by: _By
    webhooks: _Changed
    endpoint: _Text | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _LastKeys(LastTry):
    at: _At
    by: _By


_Applied: TypeAlias = Annotated[_AppliedKeys, _as(Applied)]
_Intent: TypeAlias = Annotated[_IntentKeys, _as(Intent)]
_Entry: TypeAlias = Annotated[_EntryKeys, _as(HistoryEntry)]
_Last: TypeAlias = Annotated[_LastKeys, _as(LastTry)]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _HeadKeys(Head):
    """The keys of a whole document: `format`, the history and the last try are checked, and not kept."""

    format: InitVar[_Format]
    environment: _Name
    lineage: _Text
    serial: _Serial
    applied: _Applied | None
    intent: _Intent | None
    history: InitVar[tuple[_Entry, ...]]
    last: InitVar[_Last | None] = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentKeys(Document):
    format: InitVar[_Format]
    environment: _Name
    lineage: _Text
    serial: _Serial
    applied: _Applied | None
    intent: _Intent | None
    history: tuple[_Entry, ...]
    last: _Last | None = None


@cache  # made when the first document is read, as it takes as long as reading a few hundred of them
def _whole_document() -> TypeAdapter[Document]:
    return TypeAdapter(Annotated[_DocumentKeys, _as(Document)])


@cache
def _head_alone() -> TypeAdapter[Head]:
    return TypeAdapter(Annotated[_HeadKeys, _as(Head)])


def decode_document(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Stored:
    """Return the document of `environment` as read from `where` (a path or address, for messages).

    `version` is the store's own, None where that is `version_of` the bytes. `older` says how to look at older versions.

    Raises Corrupt for anything that is not a whole document of this environment, NewerFormat for one of a later
    version. Bad data is never taken for an empty state, which would at least PUT again what was applied.
    """
    document: Document = _decode(_whole_document(), data, environment, where, version, older)
    return Stored(document, version or version_of(data))


def decode_original(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Original:
    """The document with its own bytes; refuses what `decode_document` refuses."""
    document: Document = _decode(_whole_document(), data, environment, where, version, older)
    return Original(document, data)


def decode_head(data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = "") -> Head:
    """Return a document without its history and last try. Raises where `decode_document` raises."""
    head: Head = _decode(_head_alone(), data, environment, where, version, older)
    return head


def read_each(environments: Iterable[str], read_one: Callable[[str], T | None]) -> dict[str, T]:
    """Return what `read_one` finds for each environment; one for which it finds nothing is left out.

    Every environment is read. Raises the error of the one that can't be read, SeveralUnreadable for more than one.
    """
    found: dict[str, T] = {}
    faults: list[StateError] = []
    wanted = list(environments)
    for environment in counted(wanted, len(wanted)):
        try:
            one = read_one(environment)
        except StateError as fault:
            faults.append(fault)
        else:
            if one is not None:
                found[environment] = one
    if faults:
        raise faults[0] if len(faults) == 1 else SeveralUnreadable(faults)
    return found


def _decode(
    adapter: TypeAdapter[Any], data: bytes, environment: str, where: str, version: str | None, older: str
) -> Any:
    if not is_environment_name(environment):
        raise _make_misnamed(where)
    try:
        decoded: Head = adapter.validate_json(data)
    except ValidationError as error:
        newer = _newer_format(data)
        if newer is not None:
            raise NewerFormat(
                f"state of {environment}: {where} has the format {newer!r}, newer than {FORMAT}. "
                "Update reconciler; this version does not change the document"
            ) from error
        what = f"is corrupt: {_explain_first(error) if data.strip() else 'it is empty'}"
        raise _make_corrupt(environment, where, what, version or version_of(data), older) from error
    if has_repeated_key(data):
        what = "is corrupt: a key appears twice in it, so it was edited by hand"
        raise _make_corrupt(environment, where, what, version or version_of(data), older)
    if decoded.environment != environment:
        what = f"holds another environment's document, {decoded.environment!r}"
        raise _make_corrupt(environment, where, what, version or version_of(data), older)
    return decoded


# any other key may be any text, a token too (docs/contract.md#what-no-output-does)
_KEYS_TO_SHOW = frozenset(
    {
        "format",
        *EVENTS,
        *(one.name for kind in (Document, Applied, Intent, HistoryEntry, LastTry, By) for one in fields(kind)),
    }
)


def _may_be_shown(part: str | int) -> bool:
    return isinstance(part, int) or part in _KEYS_TO_SHOW


def _explain_first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in takewhile(_may_be_shown, first["loc"]))
    fault = "a key that no document has" if first["type"] == "unexpected_keyword_argument" else str(first["msg"])
    return f"at {place}: {fault}" if place else fault


def _newer_format(data: bytes) -> str | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    found = value.get("format") if isinstance(value, Mapping) else None
    if not isinstance(found, str):
        return None
    match = re.fullmatch(r"reconciler\.state/([1-9][0-9]{0,5})", found)
    return found if match and int(match[1]) > LATEST else None
