"""The decoder of a state document: from JSON to objects of the model. It refuses what no version could have written.

Nothing is converted: `"1"` is not a serial. Unknown keys are refused too, because their meaning is unknown.

This module does without postponed annotations, as msgspec would take 1 ms to evaluate those of the parts.
"""

import json
import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import astuple

from reconciler.core.json_keys import has_repeated_key
from reconciler.model import (
    EVENTS,
    Applied,
    BodyForm,
    By,
    Document,
    Head,
    HistoryEntry,
    Intent,
    LastTry,
    Outcome,
)
from reconciler.state.canonical import encode_canonically

MAX_SERIAL = 2**53  # up to here, every JSON parser reads integers exactly
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_NO_TIME = "it should be a time such as 2026-11-23T12:00:00Z"
_NO_DAY = "it should be a time within the calendar"


class Misfit(ValueError):
    """Raised for a document that no version could have written. The message has keys of the format and no content."""


# --- the parts, as JSON has them -------------------------------------------------------------------

if TYPE_CHECKING:
    Instant = datetime
else:

    class _Datetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class Instant(metaclass=_Datetime):
        """A datetime that `_take_instant` returns, as msgspec itself accepts times that no version writes."""


NonEmpty = Annotated[str, Meta(min_length=1)]


class StoredPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object of a document. What is written only in some cases may be UNSET, so that it is encoded as it was read.

    Keys that format 1 did not have are optional, so the same parts read both formats.
    """


_Seven: Any = msgspec.defstruct("_Seven", [(str(event), NonEmpty) for event in EVENTS], bases=(StoredPart,))
_Changed: Any = msgspec.defstruct(
    "_Changed", [(str(event), NonEmpty | UnsetType, UNSET) for event in EVENTS], bases=(StoredPart,)
)


class ByPart(StoredPart, frozen=True):
    actor: str | None = None
    commit: str | None = None
    run: str | None = None


class AppliedPart(StoredPart, frozen=True):
    endpoint: NonEmpty
    account: str | None
    webhooks: _Seven
    secrets: dict[str, str]
    at: Instant
    by: ByPart
    adopted: bool | UnsetType = UNSET
    body: BodyForm = BodyForm.FLAT
    token_expires_at: Instant | None = None


class IntentPart(StoredPart, frozen=True):
    id: NonEmpty
    webhooks: _Seven
    doubt: bool
    at: Instant
    lease_until: Instant | None
    by: ByPart
    endpoint: NonEmpty | None = None
    account: str | None = None


class EntryPart(StoredPart, frozen=True):
    at: Instant
    by: ByPart
    webhooks: _Changed
    adopted: bool | UnsetType = UNSET
    endpoint: NonEmpty | UnsetType | None = UNSET
    account: str | UnsetType | None = UNSET
    body: BodyForm | UnsetType | None = UNSET


class LastPart(StoredPart, frozen=True):
    outcome: Outcome
    status: Annotated[int, Meta(ge=0, le=MAX_SERIAL)] | None
    message: str
    at: Instant
    by: ByPart


class DocumentPart(StoredPart, frozen=True):
    format: Literal["reconciler.state/1", "reconciler.state/2"]
    environment: str  # compared with the expected one
    lineage: NonEmpty
    serial: Annotated[int, Meta(ge=1, le=MAX_SERIAL)]
    applied: AppliedPart | None
    intent: IntentPart | None
    history: tuple[EntryPart, ...]
    last: LastPart | None = None


@lru_cache(maxsize=1024)  # the documents of one apply share a few instants
def _take_instant(_kind: type, value: Any) -> datetime:
    """Return an instant. One in the calendar's first or last hours, which can't be shown in UTC, is refused."""
    if type(value) is not str or not _INSTANT.fullmatch(value):
        raise ValueError(_NO_TIME)
    try:
        instant = datetime.fromisoformat(value)
        if instant.year in (MINYEAR, MAXYEAR):
            instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_NO_DAY) from None
    return instant


_PARTS = (DocumentPart, AppliedPart, IntentPart, EntryPart, LastPart, ByPart, _Seven)
_KEYS = {key for part in _PARTS for key in part.__struct_fields__}


# --- to the model ----------------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # documents that one run wrote share one object
def _make_by(part: ByPart) -> By:
    return By(part.actor, part.commit, part.run)


def _make_applied(part: AppliedPart) -> Applied:
    return Applied(
        endpoint=part.endpoint,
        account=part.account,
        webhooks=dict(zip(EVENTS, astuple(part.webhooks), strict=True)),
        secrets=part.secrets,
        at=part.at,
        by=_make_by(part.by),
        adopted=part.adopted is True,
        body=part.body,
        token_expires_at=part.token_expires_at,
    )


def _make_intent(part: IntentPart) -> Intent:
    return Intent(
        id=part.id,
        webhooks=dict(zip(EVENTS, astuple(part.webhooks), strict=True)),
        doubt=part.doubt,
        at=part.at,
        lease_until=part.lease_until,
        by=_make_by(part.by),
        endpoint=part.endpoint,
        account=part.account,
    )


def _make_entry(part: EntryPart) -> HistoryEntry:
    changed = zip(EVENTS, astuple(part.webhooks), strict=True)
    return HistoryEntry(
        at=part.at,
        by=_make_by(part.by),
        webhooks={event: url for event, url in changed if url is not UNSET},
        adopted=part.adopted is True,
        endpoint=part.endpoint or None,
        account=None if part.account is UNSET else part.account,
        body=part.body or None,
    )


def _make_last(part: LastPart) -> LastTry:
    return LastTry(part.outcome, part.status, part.message, part.at, _make_by(part.by))


def make_head(part: DocumentPart) -> Head:
    """Make a document without the parts that a plan does not read. They were checked too."""
    return Head(
        environment=part.environment,
        lineage=part.lineage,
        serial=part.serial,
        applied=None if part.applied is None else _make_applied(part.applied),
        intent=None if part.intent is None else _make_intent(part.intent),
    )


def make_document(part: DocumentPart) -> Document:
    head = make_head(part)
    return Document(
        *(head.environment, head.lineage, head.serial, head.applied, head.intent),
        history=tuple(_make_entry(entry) for entry in part.history),
        last=None if part.last is None else _make_last(part.last),
    )


# --- reading ---------------------------------------------------------------------------------------


@cache
def _make_decoder() -> msgspec.json.Decoder[DocumentPart]:
    return msgspec.json.Decoder(DocumentPart, dec_hook=_take_instant)


def read_part(data: bytes) -> DocumentPart:
    """Return a document as JSON has it, in whatever layout. Raises Misfit."""
    try:
        part = _make_decoder().decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _check_json(data)
        if isinstance(error, msgspec.ValidationError):
            raise Misfit(_describe(str(error))) from None
        raise Misfit("it is not valid JSON in UTF-8") from None
    # The decoder keeps the last of repeated keys. Bytes that are the encoding of what was decoded have no other key.
    if encode_canonically(part) != data:
        _check_json(data)
    return part


def _check_json(data: bytes) -> None:
    """Raise Misfit unless `data` is JSON in UTF-8 in which no object has a key twice."""
    try:
        if has_repeated_key(data):
            raise Misfit("a key appears twice in it, so it was edited by hand")
    except json.JSONDecodeError as error:
        raise Misfit(f"it is not valid JSON, from line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise Misfit("it is not valid JSON in UTF-8") from None
    except RecursionError:
        raise Misfit("it is nested too deeply") from None


_FAULTS = {
    "Object contains unknown field": "a key that no document has",
    "Object missing required field": "it is missing",
    "Invalid enum value": "a value that this version does not know",
    "Expected `str` of length": "it should be a text that is not empty",
    **{fault: fault for fault in (_NO_TIME, _NO_DAY)},
}
_TYPES = {
    "array": "a list",
    "bool": "true or false",
    "int": "a whole number",
    "object": "an object",
    "str": "a text",
}


def _describe(error: str) -> str:
    """Return an error of msgspec in plain words, without the keys and values of the document that it may repeat."""
    found = re.search(r" - at `\$([.\w\[\]]+)`\Z", error)
    path = re.findall(r"\w+", found[1]) if found else []
    missing = re.match(r"Object missing required field `(\w+)`", error)
    if missing:
        path.append(missing[1])
    # an unknown key can look like a place
    known = all(part in _KEYS or re.fullmatch("[0-9]{1,4}", part) for part in path)
    return f"at {'.'.join(path)}: {_describe_fault(error)}" if path and known else _describe_fault(error)


def _describe_fault(error: str) -> str:
    for begin, fault in _FAULTS.items():
        if error.startswith(begin):
            return fault
    expected = re.match(r"Expected `([a-z |]+)`( [<>]= \d+)?", error)
    if expected is None:
        return "a value that no version writes"
    types = " or ".join(_TYPES.get(name, name) for name in expected[1].split(" | "))
    return f"it should be {types}{expected[2] or ''}"
