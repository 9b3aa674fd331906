"""The state document as bytes: canonical JSON, so that its diff can be reviewed (docs/state.md)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from msgspec.structs import asdict

from reconciler.core.portable import is_environment_name
from reconciler.errors import Corrupt, NewerFormat, SeveralUnreadable, StateError
from reconciler.io.progress import counted
from reconciler.model import Applied, Document, Head, HistoryEntry, Original, Stored
from reconciler.ports import Write
from reconciler.state.canonical import encode_canonically
from reconciler.state.reading import (
    MAX_SERIAL,
    DocumentPart,
    Misfit,
    make_document,
    make_head,
    read_part,
)
from reconciler.text.escape import for_terminal

LATEST = 2  # version of the format; a document of version 1 is read, and its next write makes it the latest
FORMAT = f"reconciler.state/{LATEST}"
SUFFIX = ".json"
MAX_BYTES = 16 * 1024 * 1024  # of a document; eleven versions of seven long URLs take a hundredth of it

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


# --- encoding --------------------------------------------------------------------------------------


def _applied_out(applied: Applied) -> dict[str, Any]:
    out = asdict(applied)
    if not applied.adopted:
        del out["adopted"]
    return out


def _entry_out(entry: HistoryEntry) -> dict[str, Any]:
    out = asdict(entry)
    if not entry.adopted:
        del out["adopted"]
    if entry.endpoint is None:
        del out["endpoint"], out["account"]
    if entry.body is None:
        del out["body"]
    return out


def encode_document(document: Document) -> bytes:
    """Return the document's bytes (see `encode_canonically`); its keys are the names of the model.

    Raises: StateError if this version could not read them again.
    """
    out = asdict(document)
    out["format"] = FORMAT
    out["applied"] = None if document.applied is None else _applied_out(document.applied)
    out["history"] = [_entry_out(entry) for entry in document.history]
    if document.serial > MAX_SERIAL:
        raise _make_unwritable(document, f"its serial would pass {MAX_SERIAL}, the largest that can be read")
    try:
        data = encode_canonically(out)
    except UnicodeEncodeError:
        raise _make_unwritable(document, "a text in it has half a character (an unpaired surrogate)") from None
    if len(data) > MAX_BYTES:
        raise _make_unwritable(document, f"it would take {len(data)} bytes, and only {MAX_BYTES} can be read")
    return data


def _make_unwritable(document: Document, what: str) -> StateError:
    name = document.environment
    return StateError(
        f"state of {name}: the next document could not be read again: {what}. Was the document edited by hand? Fix "
        f"it, or run `reconciler state forget {name}`: the next apply then sends {name} again and begins a new one"
    )


def encode_write(write: Write) -> bytes | None:
    """Return the bytes to store: the document's encoding, or the original's bytes for a copy; None for a removal.

    Raises: StateError if this version could not read them again.
    """
    if write.document is None:
        return None
    return encode_document(write.document) if write.original is None else write.original


def find_write_fault(document: Document) -> str | None:
    """Return why this version could not read the document after it is written; None if it could."""
    try:
        encode_document(document)
    except StateError as fault:
        return str(fault)
    return None


# --- decoding --------------------------------------------------------------------------------------


def decode_document(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Stored:
    """Return the document of `environment` as read from `where` (a path or address, for messages).

    `version` is the store's own, or None if it is `version_of` the bytes. `older` says how to see older versions.

    Raises Corrupt for anything that is not a whole document of this environment, NewerFormat for a document of a later
    version. Bad data never counts as an empty state, which would at least PUT again what was applied.
    """
    document = _decode(make_document, data, environment, where, version, older)
    return Stored(document, version or version_of(data))


def decode_original(
    data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = ""
) -> Original:
    """Return the document with its bytes. Raises the same errors as `decode_document`."""
    document = _decode(make_document, data, environment, where, version, older)
    return Original(document, data)


def decode_head(data: bytes, /, *, environment: str, where: str, version: str | None = None, older: str = "") -> Head:
    """Return a document without its history and last try. Raises the same errors as `decode_document`."""
    return _decode(make_head, data, environment, where, version, older)


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


def _decode(
    make: Callable[[DocumentPart], H], data: bytes, environment: str, where: str, version: str | None, older: str
) -> H:
    if not is_environment_name(environment):
        raise _make_misnamed(where)
    fault = ""
    try:
        part = read_part(data)
        if part.environment == environment:
            return make(part)
        if not is_environment_name(part.environment):
            raise Misfit("at environment: it should be the name of an environment")
        fault = f"holds another environment's document, {part.environment!r}"
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
