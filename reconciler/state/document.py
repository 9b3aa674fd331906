"""The state document as bytes: canonical JSON, so that its diff can be reviewed (docs/state.md)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Protocol, TypeVar

from reconciler.core.json_keys import RepeatedKey
from reconciler.errors import Corrupt, NewerFormat, SeveralUnreadable, StateError
from reconciler.io.watch import counted
from reconciler.model import Applied, By, Document, Head, HistoryEntry, Intent, LastTry, Original, Stored
from reconciler.ports import Write
from reconciler.state.reading import ENVIRONMENT_NAME, MAX_SERIAL, Check, Misfit, parse_json, take_document, take_head
from reconciler.text.escape import for_terminal

LATEST = 2  # version of the format; a document of version 1 is read, and its next write makes it the latest
FORMAT = f"reconciler.state/{LATEST}"
SUFFIX = ".json"
MAX_BYTES = 16 * 1024 * 1024  # of a document; eleven versions of seven long URLs take a hundredth of it
INDENTED_FACTOR = 4  # an indented document is at most this many times as long as the same one on a single line


T = TypeVar("T")
H = TypeVar("H", bound=Head)
T_co = TypeVar("T_co", covariant=True)


class Decode(Protocol[T_co]):
    """`decode_document`, `decode_original` or `decode_head`."""

    def __call__(
        self, data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
    ) -> T_co: ...


def version_of(data: bytes) -> str:
    """Return the version that the stores compare. No two writes have the same one, as `serial` is in the bytes."""
    return hashlib.sha256(data).hexdigest()


def make_too_large(environment: str, where: str, version: str, older: str = "") -> Corrupt:
    """Return the error for a document that is larger than MAX_BYTES, which no store reads.

    `version` is what the store compares, as there is no version of the content; `older` is as in `decode_document`.
    """
    if not is_environment_name(environment):
        return _make_misnamed(where)
    what = f"is larger than {MAX_BYTES >> 20} MiB, so it is not a document of this program, and was not read"
    return _make_corrupt(environment, where, what, version, older)


def _make_misnamed(where: str) -> Corrupt:
    """Return the error for a document whose name no command accepts, so that the user must move it away."""
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
    return ENVIRONMENT_NAME.fullmatch(name) is not None


# --- encoding --------------------------------------------------------------------------------------


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
    """Return the document's bytes: JSON in ASCII with sorted keys, an indent of two spaces and a final newline."""
    return f"{_canonical(_document_out(document), '')}\n".encode()


def encode_write(write: Write) -> bytes | None:
    """Return the bytes to store: the document's encoding, or the original's bytes for a copy; None for a removal.

    Raises: StateError if this version could not read them again.
    """
    if write.document is None:
        return None
    data = encode_document(write.document) if write.original is None else write.original
    fault = _find_fault(write.document, len(data))
    if fault is not None:
        raise StateError(fault)
    return data


def find_write_fault(document: Document) -> str | None:
    """Return why this version could not read the document after it is written; None if it could."""
    if INDENTED_FACTOR * len(json.dumps(_document_out(document))) <= MAX_BYTES:  # many times faster than the encoder
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


_CONSTANTS = {None: "null", True: "true", False: "false"}


def _canonical(value: Any, margin: str) -> str:
    """Return the same text as `json.dumps(value, sort_keys=True, indent=2)`, which is slow with an indent."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if not value or not isinstance(value, dict | list):
        return json.dumps(value)
    inner = margin + "  "
    if isinstance(value, list):
        items = [f"{inner}{_canonical(item, inner)}" for item in value]
        return "[\n" + ",\n".join(items) + f"\n{margin}]"
    items = [f"{inner}{encode_basestring_ascii(key)}: {_canonical(value[key], inner)}" for key in sorted(value)]
    return "{\n" + ",\n".join(items) + f"\n{margin}}}"


# --- decoding --------------------------------------------------------------------------------------


def decode_document(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Stored:
    """Return the document of `environment` as read from `where` (a path or address, for messages).

    `version` is the store's own, or None if it is `version_of` the bytes. `older` says how to see older versions.

    Raises Corrupt for anything that is not a whole document of this environment, NewerFormat for a document of a later
    version. Bad data never counts as an empty state, which would at least PUT again what was applied.
    """
    document = _decode(take_document, data, environment, where, version, older)
    return Stored(document, version or version_of(data))


def decode_original(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Original:
    """Return the document with its bytes. Raises the same errors as `decode_document`."""
    document = _decode(take_document, data, environment, where, version, older)
    return Original(document, data)


def decode_head(data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = "") -> Head:
    """Return a document without its history and last try. Raises the same errors as `decode_document`."""
    return _decode(take_head, data, environment, where, version, older)


def read_each(environments: Iterable[str], read_one: Callable[[str], T | None]) -> dict[str, T]:
    """Return the result of `read_one` for each environment; those with None are left out.

    All environments are read, even after an error. Raises the error of the one that can't be read, or
    SeveralUnreadable for more than one.
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


def _decode(take: Check[H], data: bytes, environment: str, where: str, version: str | None, older: str) -> H:
    if not is_environment_name(environment):
        raise _make_misnamed(where)
    fault = ""
    try:
        decoded = take(parse_json(data))
        if decoded.environment == environment:
            return decoded
        fault = f"holds another environment's document, {decoded.environment!r}"
    except RepeatedKey:
        fault = "is corrupt: a key appears twice in it, so it was edited by hand"
    except Misfit as error:
        newer = _newer_format(data)
        if newer is not None:
            raise NewerFormat(
                f"state of {environment}: {where} has the format {newer!r}, newer than {FORMAT}. "
                "Update reconciler; this version does not change the document"
            ) from error
        fault = f"is corrupt: {error if data.strip() else 'it is empty'}"
    raise _make_corrupt(environment, where, fault, version or version_of(data), older)


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
