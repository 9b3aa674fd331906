"""Files that somebody else may have laid there: a pipe, a device or a flood must not make a run hang."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from pathlib import Path

CHUNK = 1024 * 1024  # bytes


def is_folder(path: Path) -> bool:
    """Also False for what can't be looked at, where pathlib raises: closed to us, or of a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Also False for what can't be looked at."""
    return os.path.isfile(path)  # noqa: PTH113


def read_regular(path: Path, limit: int) -> tuple[bytes, int]:
    """The content, at most one byte more than `limit`, and the mode. Raises OSError, also for no regular file."""
    # without O_NONBLOCK opening a pipe would wait for a writer that never comes
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise (
                OSError(errno.EISDIR, os.strerror(errno.EISDIR))
                if stat.S_ISDIR(mode)
                else OSError(errno.EINVAL, "it is no regular file")
            )
        data = b""
        while len(data) <= limit and (more := os.read(descriptor, min(CHUNK, limit + 1 - len(data)))):
            data += more
        return data, mode
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Atomically, so that a full disk leaves no half a file. Raises OSError, and leaves what stood there.

    A device or a pipe (`--out /dev/stderr`) is written to, never replaced; of a link it is the file that is replaced.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
