"""Files that a command is given or asked for: plans, results, pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import InputError
from reconciler.formats.json_text import FormatError
from reconciler.io.files import is_file, is_folder, write_whole

if TYPE_CHECKING:
    from reconciler.core.workflow import JobReport
    from reconciler.formats.any_result import ReadFile

T = TypeVar("T")

MAX_BYTES = 256 * 1024 * 1024  # a plan of a hundred thousand environments takes about half


def read_document(path: Path, decode: Callable[[bytes], T], *, shown: str, key: str, hint: str) -> T:
    """The document in a file. `shown` is the path as it was given, `key` the argument that named it.

    Raises InputError for what can't be read, is too large, or is not what `decode` takes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError.of(key, f"{shown} can't be read: {error.strerror}", hint) from error
    if len(data) > MAX_BYTES:
        raise InputError.of(key, f"{shown} is larger than 256 MiB", hint)
    try:
        return decode(data)
    except FormatError as error:
        raise InputError.of(key, f"{shown} {error}", hint) from None


def read_result(path: Path) -> ReadFile:
    """A result of another command, from its JSON. Raises InputError."""
    from reconciler.formats.any_result import decode_any

    hint = "name a file that --format json or --also json=FILE made"
    return read_document(path, decode_any, shown=str(path), key="RESULT", hint=hint)


def read_job_reports(folder: Path) -> list[JobReport]:
    """What the jobs of an apply left, one folder each; a folder without a result is left out. Raises InputError."""
    from reconciler.core.workflow import JobReport
    from reconciler.formats.result_file import ResultFile, result_of

    reports = []
    for job in sorted(folder.iterdir()) if is_folder(folder) else []:
        found = read_result(job / "result.json") if is_file(job / "result.json") else None
        if isinstance(found, ResultFile):
            reports.append(JobReport(job.name, result_of(found)))
        elif is_file(job / "result.md"):
            reports.append(JobReport(job.name, text=(job / "result.md").read_text(encoding="utf-8")))
    return reports


def read_text(path: str, key: str) -> str:
    """A text that an earlier step left; bytes that are not UTF-8 are shown as such. Raises InputError."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        hint = "name a file of an earlier step"
        raise InputError.of(key, f"{path} can't be read: {error.strerror}", hint) from error


def write_document(path: Path, text: str, *, shown: str) -> None:
    """The file of `--out`, written atomically: a full disk leaves no half a file. Raises InputError."""
    reason = "is a folder" if is_folder(path) else ""
    if not reason:
        try:
            return write_whole(path, text)
        except OSError as error:
            reason = f"can't be written: {error.strerror}"
    raise InputError.of("--out", f"{shown} {reason}", "name a file in a folder that can be written")
