"""Files that the user names: plans and results to read, plans and pages to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import InputError
from reconciler.formats.json_text import FormatError
from reconciler.io.files import TooLargeError, Utf16Error, is_folder, read_given, without_mark, write_whole

if TYPE_CHECKING:
    from reconciler.formats.any_result import ReadFile

T = TypeVar("T")

MAX_BYTES = 256 * 1024 * 1024  # a plan of a hundred thousand environments takes about half


def read_named(path: Path, limit: int, *, shown: str, key: str, hint: str) -> bytes:
    """Return the content of a file that the user named. `shown` is the path as given, `key` the argument with it.

    Raises InputError for a file that can't be read, or that is larger than `limit` bytes.
    """
    try:
        return read_given(path, limit)
    except TooLargeError:
        raise InputError.of(key, f"{shown} is larger than {limit >> 20} MiB", hint) from None
    except OSError as error:
        raise InputError.of(key, f"{shown} can't be read: {error.strerror}", hint) from error


def read_document(path: Path, decode: Callable[[bytes], T], *, shown: str, key: str, hint: str) -> T:
    """Return the document in a file that the user named.

    Raises InputError for a file that can't be read, is too large, or can't be decoded.
    """
    data = read_named(path, MAX_BYTES, shown=shown, key=key, hint=hint)
    try:
        return decode(without_mark(data))
    except (FormatError, Utf16Error) as error:
        raise InputError.of(key, f"{shown} {error}", hint) from None


def read_result(path: Path) -> ReadFile:
    """Return the result of another command from its JSON. Raises InputError."""
    from reconciler.formats.any_result import decode_any

    hint = "name a file that --format json or --also json=FILE made"
    return read_document(path, decode_any, shown=str(path), key="RESULT", hint=hint)


def write_document(path: Path, text: str, *, shown: str) -> None:
    """Write the file of `--out` atomically: if the disk is full, the old file stays. Raises InputError."""
    reason = "is a folder" if is_folder(path) else ""
    if not reason:
        try:
            return write_whole(path, text)
        except OSError as error:
            reason = f"can't be written: {error.strerror}"
    raise InputError.of("--out", f"{shown} {reason}", "name a file in a folder that can be written")
