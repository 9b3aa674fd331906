"""The decoder of a state document: from JSON to objects of the model. It refuses what no version could have written.

Nothing is converted: `"1"` is not a serial. Unknown keys are refused too, because their meaning is unknown. The checks
are plain functions: to build a library's schema would take as long as reading five hundred documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from reconciler.core.json_keys import RepeatedKey
from reconciler.model import (
    EVENTS,
    Applied,
    BodyForm,
    By,
    Document,
    Event,
    Head,
    HistoryEntry,
    Intent,
    LastTry,
    Outcome,
)

T = TypeVar("T")
Check: TypeAlias = Callable[[Any], T]
"""Returns the model's object for a JSON value. Raises Misfit, RepeatedKey."""

FORMATS = frozenset({"reconciler.state/1", "reconciler.state/2"})
ENVIRONMENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MAX_SERIAL = 2**53  # up to here, every JSON parser reads integers exactly
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_SEVEN = itemgetter(*EVENTS)
_NAMES = frozenset(map(str, EVENTS))


class Misfit(ValueError):
    """Raised for a part that no version could have written. The message names its place by keys of the format only."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault
        self.path: list[str] = []

    def within(self, part: str | int) -> Misfit:
        """Return this error with the member or item that it was found in added to its path."""
        self.path.insert(0, str(part))
        return self

    def __str__(self) -> str:
        return f"at {'.'.join(self.path)}: {self.fault}" if self.path else self.fault


def _refuse_constant(_name: str) -> None:
    raise ValueError


# An object becomes a tuple of its keys and values, so that the checks can see repeated keys.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse_constant)


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8, each object as a tuple of pairs. Raises Misfit."""
    try:
        value = _DECODER.decode(data.decode())
        if b"\\ud" in data or b"\\uD" in data:
            json.dumps(value, ensure_ascii=False).encode()  # fails for an unpaired surrogate
    except json.JSONDecodeError as error:
        raise Misfit(f"it is not valid JSON, from line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):
        raise Misfit("it is not valid JSON in UTF-8") from None
    return value


# --- values ----------------------------------------------------------------------------------------


def _take_text(value: Any) -> str:
    if type(value) is not str:
        raise Misfit("it should be a text")
    return value


def _take_non_empty(value: Any) -> str:
    if type(value) is not str or not value:
        raise Misfit("it should be a text that is not empty")
    return value


def _take_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Misfit("it should be true or false")
    return value


def _take_number(value: Any) -> int:
    if type(value) is not int:
        raise Misfit("it should be a whole number")
    return value


def _take_serial(value: Any) -> int:
    if not 1 <= _take_number(value) <= MAX_SERIAL:
        raise Misfit(f"it should be from 1 to {MAX_SERIAL}")
    return int(value)


def _take_name(value: Any) -> str:
    if not ENVIRONMENT_NAME.fullmatch(_take_text(value)):
        raise Misfit("it should be the name of an environment")
    return str(value)


def _take_format(value: Any) -> str:
    if _take_text(value) not in FORMATS:
        raise Misfit("it should be a format that this version reads")
    return str(value)


def _take_instant(value: Any) -> datetime:
    return _parse_instant(_take_text(value))


@lru_cache(maxsize=1024)  # the documents of one apply share a few instants
def _parse_instant(value: str) -> datetime:
    """Return an instant. One in the calendar's first or last hours, which can't be shown in UTC, is refused."""
    if not _INSTANT.fullmatch(value):
        raise Misfit("it should be a time such as 2026-11-23T12:00:00Z")
    try:
        instant = datetime.fromisoformat(value)
        if instant.year in (MINYEAR, MAXYEAR):
            instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misfit("it should be a time within the calendar") from None
    return instant


def _take_one_of(kind: type[StrEnum]) -> Check[StrEnum]:
    known = {str(member): member for member in kind}

    def take(value: Any) -> StrEnum:
        found = known.get(value) if type(value) is str else None
        if found is None:
            raise Misfit(f"it should be {' or '.join(known)}")
        return found

    return take


def _or_null(check: Check[T]) -> Check[T | None]:
    return lambda value: None if value is None else check(value)


# --- objects ---------------------------------------------------------------------------------------


def _take_members(value: Any) -> dict[str, Any]:
    if type(value) is not tuple:
        raise Misfit("it should be an object")
    members = dict(value)
    if len(members) != len(value):
        raise RepeatedKey
    return members


def _take_texts(value: Any) -> dict[str, str]:
    """Return names with texts. Messages don't repeat a name, because it may be any text."""
    members = _take_members(value)
    if not all(type(text) is str for text in members.values()):
        raise Misfit("each value should be a text")
    return members


def _take_webhooks(value: Any) -> dict[str, str]:
    members = _take_members(value)
    for name, url in members.items():
        if name not in _NAMES:
            raise Misfit("a name that is not an event")
        if type(url) is not str or not url:
            raise Misfit("it should be a text that is not empty").within(name)
    return members


def _take_changed(value: Any) -> dict[Event, str]:
    """Return the webhooks of a history entry, which may be fewer than seven, in the order of the vendor's page."""
    found = _take_webhooks(value)
    return _in_order(found) if len(found) == len(EVENTS) else {one: found[one] for one in EVENTS if one in found}


def _take_seven(value: Any) -> dict[Event, str]:
    found = _take_webhooks(value)
    if len(found) != len(EVENTS):
        raise Misfit("all seven webhooks are expected")
    return _in_order(found)


def _in_order(seven: Mapping[str, str]) -> dict[Event, str]:
    return dict(zip(EVENTS, _SEVEN(seven), strict=True))


def _take_object(make: Callable[..., T], needed: Mapping[str, Check[Any]], **optional: Check[Any]) -> Check[T]:
    """Return the check of an object that has all `needed` keys, and may have the optional ones."""
    known = {**needed, **optional}
    all_needed = needed.keys()

    def take(value: Any) -> T:
        if type(value) is not tuple:
            raise Misfit("it should be an object")
        found = {}
        for key, inner in value:
            if key not in known:
                raise Misfit("a key that no document has")
            try:
                found[key] = known[key](inner)
            except Misfit as misfit:
                raise misfit.within(key) from None
        if len(found) != len(value):
            raise RepeatedKey
        if not all_needed <= found.keys():
            raise Misfit("it is missing").within(next(key for key in needed if key not in found))
        return make(**found)

    return take


def _take_list(check: Check[T]) -> Check[tuple[T, ...]]:
    def take(value: Any) -> tuple[T, ...]:
        if type(value) is not list:
            raise Misfit("it should be a list")
        found = []
        for place, item in enumerate(value):
            try:
                found.append(check(item))
            except Misfit as misfit:
                raise misfit.within(place) from None
        return tuple(found)

    return take


def _make_document(format: str, **members: Any) -> Document:  # noqa: A002 - the key's name
    return Document(**members)


def _make_head(format: str, history: object, last: object = None, **members: Any) -> Head:  # noqa: A002
    """Make a document without the parts that a plan does not read. They were checked too."""
    return Head(**members)


_make_by = _take_object(By, {}, actor=_or_null(_take_text), commit=_or_null(_take_text), run=_or_null(_take_text))
_find_by = lru_cache(maxsize=1024)(_make_by)  # documents that one run wrote share one object


def _take_by(value: Any) -> By:
    try:
        return _find_by(value)
    except TypeError:  # a value that can't be hashed, such as a list
        return _make_by(value)


_take_applied = _take_object(
    Applied,
    {
        "endpoint": _take_non_empty,
        "account": _or_null(_take_text),
        "webhooks": _take_seven,
        "secrets": _take_texts,
        "at": _take_instant,
        "by": _take_by,
    },
    adopted=_take_bool,
    body=_take_one_of(BodyForm),
    token_expires_at=_or_null(_take_instant),
)
_take_intent = _take_object(
    Intent,
    {
        "id": _take_non_empty,
        "webhooks": _take_seven,
        "doubt": _take_bool,
        "at": _take_instant,
        "lease_until": _or_null(_take_instant),
        "by": _take_by,
    },
    endpoint=_or_null(_take_non_empty),
    account=_or_null(_take_text),
)
_take_entry = _take_object(
    HistoryEntry,
    {"at": _take_instant, "by": _take_by, "webhooks": _take_changed},
    adopted=_take_bool,
    endpoint=_or_null(_take_non_empty),
    account=_or_null(_take_text),
    body=_or_null(_take_one_of(BodyForm)),
)
_take_last = _take_object(
    LastTry,
    {
        "outcome": _take_one_of(Outcome),
        "status": _or_null(_take_number),
        "message": _take_text,
        "at": _take_instant,
        "by": _take_by,
    },
)
_MEMBERS: Mapping[str, Check[Any]] = {
    "format": _take_format,
    "environment": _take_name,
    "lineage": _take_non_empty,
    "serial": _take_serial,
    "applied": _or_null(_take_applied),
    "intent": _or_null(_take_intent),
    "history": _take_list(_take_entry),
}
# Keys that format 1 did not have are optional, so the same checks read both formats.
take_document = _take_object(_make_document, _MEMBERS, last=_or_null(_take_last))
take_head = _take_object(_make_head, _MEMBERS, last=_or_null(_take_last))
