"""Files: the only module that opens, writes or replaces them. It handles the differences between systems.

Names are strings or paths. Everything is read and written as bytes, so no system translates line ends; text is UTF-8
with "\\n". A read has a limit and never waits for a pipe or a device in place of a file. A file that is
written whole is durable before it gets its name.

Systems differ by what `os` offers, not by their names. Without O_DIRECTORY a folder can't be synced (Windows, whose
NTFS journals names). Without getuid a file has no owner and no mode, and a file that another program has open can't
be replaced or removed: such a call is tried again for a while (`Patience`).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

try:
    import fcntl
except ImportError:  # Windows does not have it
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
PATIENCE_S = 10.0  # an editor, a virus scanner or a sync client closes a file much sooner
PAUSE_S = 0.05

HAS_MODES = hasattr(os, "getuid")
"""True if a file's mode says who may use it. On Windows every file looks readable by all."""

_EVERYWHERE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Without O_NONBLOCK, opening a pipe would wait for a writer that may never come.
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _EVERYWHERE
_TO_READ_PATIENTLY = os.O_RDONLY | _EVERYWHERE
_TO_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _EVERYWHERE
_TO_WRITE_INTO = os.O_WRONLY | _EVERYWHERE
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_MARK = b"\xef\xbb\xbf"


class NotRegularError(OSError):
    """A pipe, a device or a folder is in place of a file."""


class PipeError(NotRegularError):
    """A pipe is in place of a file."""


class TooLargeError(OSError):
    """A file is larger than its limit."""


class Utf16Error(ValueError):
    """A file is UTF-16. Its text is the end of a sentence that names the file."""


class InUseError(PermissionError):
    """Another program has had the file open for longer than we wait."""


# --- kinds of files ----------------------------------------------------------------------------------


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder. It is False for a path that can't be accessed, where pathlib would raise."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | Path) -> bool:
    """Return whether a path is a file. It is False for a path that can't be accessed."""
    return os.path.isfile(path)  # noqa: PTH113


def is_link(path: str | Path) -> bool:
    """Return whether a path is a symbolic link or, on Windows since Python 3.12, a junction."""
    return os.path.islink(path) or getattr(os.path, "isjunction", _is_not)(path)  # noqa: PTH114


def is_link_entry(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry of a folder is a link, as `is_link` does."""
    return entry.is_symlink() or getattr(entry, "is_junction", _is_not)()


def is_on_read_only_disk(path: str | Path) -> bool:
    """Return whether a path's file system is mounted for reading alone. It is False if the system can't tell."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY) if hasattr(os, "statvfs") else False
    except OSError:
        return False


def is_own(path: str | Path) -> bool:
    """Return whether this user owns a path, and so may change its mode. Without owners it is True."""
    try:
        return not HAS_MODES or os.stat(path).st_uid == os.geteuid()  # noqa: PTH116
    except OSError:
        return False


def leads_nowhere(path: str | Path) -> bool:
    """Return whether a path is missing because it, or a folder above it, is a link to a missing file or folder."""
    here, above = os.fspath(path), os.path.dirname(path)  # noqa: PTH120 - pathlib takes longer than the system calls
    while not os.path.lexists(here):
        if above in ("", here):
            return False
        here, above = above, os.path.dirname(above)  # noqa: PTH120
    return not os.path.exists(here)  # noqa: PTH110


def _is_not(_path: object = None) -> bool:
    return False


# --- waiting for other programs ----------------------------------------------------------------------


class Patience:
    """The time that one operation spends, over all its files, on waiting for other programs to close them.

    It waits only on systems where an open file can't be replaced.
    """

    def __init__(self, limit_s: float = PATIENCE_S) -> None:
        self._left_s = limit_s

    def call(self, action: Callable[..., T], *arguments: object) -> T:
        """Call `action` until it succeeds. Raises InUseError when the time is over, and any other OSError at once."""
        while True:
            try:
                return action(*arguments)
            except PermissionError as error:
                if HAS_MODES and not hasattr(error, "winerror"):
                    raise
                if self._left_s <= 0:
                    raise _in_use(error) from error
                logger.info("%s: waiting, as another program may have it open", arguments[-1])
            time.sleep(PAUSE_S)
            self._left_s -= PAUSE_S


def _in_use(error: PermissionError) -> InUseError:
    # 32 and 33 are Windows' sharing and lock violations; 5 has other causes too
    certain = getattr(error, "winerror", None) in (32, 33)
    reason = "another program has it open" + ("" if certain else ", or you have no permission to change it")
    return InUseError(errno.EACCES, reason, error.filename)


# --- reading -----------------------------------------------------------------------------------------


def read_regular(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises NotRegularError, TooLargeError for more than `limit` bytes, and OSError.
    """
    return read_with_stat(path, limit)[0]


def read_with_stat(path: str | Path, limit: int, patience: Patience | None = None) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file as `read_regular` does, and its `os.stat_result`, which has the owner."""
    descriptor = os.open(path, _TO_READ) if patience is None else patience.call(_open_to_read, path)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _not_regular(found, path)
        if found.st_size > limit:
            raise _too_large(limit, path)
        return _read_all(descriptor, found.st_size, limit, path), found
    finally:
        os.close(descriptor)


def read_given(path: str | Path, limit: int) -> bytes:
    """Return the content of a file that the user named. A pipe (`<(…)`, /dev/stdin) is read to its end.

    Raises TooLargeError for more than `limit` bytes, and OSError.
    """
    descriptor = os.open(path, _TO_READ_PATIENTLY)
    try:
        return _read_all(descriptor, os.fstat(descriptor).st_size, limit, path)
    finally:
        os.close(descriptor)


def without_mark(data: bytes) -> bytes:
    """Return the content without the byte order mark that Windows' programs write before UTF-8. Raises Utf16Error."""
    if data.startswith(_UTF_16_MARKS):
        raise Utf16Error("is UTF-16, as PowerShell's > writes it")
    return data.removeprefix(_UTF_8_MARK)


def _open_to_read(path: str | Path) -> int:
    try:
        return os.open(path, _TO_READ)
    except PermissionError:
        # Windows gives a folder's name the error of a file that another program has open
        if not HAS_MODES and is_folder(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from None
        raise


def _not_regular(found: os.stat_result, path: str | Path) -> OSError:
    if stat.S_ISDIR(found.st_mode):
        return NotRegularError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if stat.S_ISFIFO(found.st_mode):
        return PipeError(errno.EINVAL, "it is a pipe, not a regular file", path)
    return NotRegularError(errno.EINVAL, "it is not a regular file", path)


def _read_all(descriptor: int, size_bytes: int, limit: int, path: str | Path) -> bytes:
    """Read to the end. One call is enough for most files; a buffer of 1 MiB would cost more than the read."""
    data = os.read(descriptor, min(size_bytes, limit) + 1)
    if len(data) != size_bytes:  # it came in parts, or grew, or the system knows no size
        parts, length = [data], len(data)
        while length <= limit and (more := os.read(descriptor, min(CHUNK_BYTES, limit + 1 - length))):
            parts.append(more)
            length += len(more)
        data = b"".join(parts)
    if len(data) > limit:
        raise _too_large(limit, path)
    return data


def _too_large(limit: int, path: str | Path) -> TooLargeError:
    return TooLargeError(errno.EFBIG, f"it is larger than {_shown_size(limit)}", path)


def _shown_size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes % (1 << 20) == 0 else f"{size_bytes} bytes"


# --- writing -----------------------------------------------------------------------------------------


def write_new(path: str | Path, data: bytes, mode: int = 0o666) -> None:
    """Create a file and sync all of `data` to the disk. Raises OSError and leaves no file.

    FileExistsError changes nothing. The user's umask applies to `mode`, as for any file.
    """
    descriptor = os.open(path, _TO_CREATE, mode)
    try:
        try:
            _write_all(descriptor, data)
            _sync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108
        raise


def write_whole(path: str | Path, text: str) -> None:
    """Write a text file so that it has either the old or the new content, whatever fails. Raises OSError.

    A device or a pipe (`--out /dev/stderr`) is written to, never replaced. For a link, its target is replaced.
    """
    data = text.encode()
    if os.path.exists(path) and not is_file(path):  # noqa: PTH110
        _write_into(path, data)
        return
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}")  # noqa: PTH118
    write_new(temporary, data)
    try:
        replace(temporary, target, Patience())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    sync_folder(folder)


def replace(source: str, target: str, patience: Patience) -> None:
    """Rename `source` to `target`, and replace a file of that name. Raises OSError."""
    patience.call(os.replace, source, target)


def unlink(path: str, patience: Patience) -> None:
    """Remove a file. Raises OSError."""
    patience.call(os.unlink, path)


def make_folder(path: str, patience: Patience) -> None:
    """Make a folder. Raises OSError.

    Windows refuses a name while the last folder of that name is still being removed.
    """
    patience.call(os.mkdir, path)


def remove_folder(path: str, patience: Patience) -> None:
    """Remove an empty folder. Raises OSError."""
    patience.call(os.rmdir, path)


def sync_folder(path: str | Path) -> None:
    """Make the names in a folder durable, if the system and the file system can. Raises OSError."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _EVERYWHERE)
    except PermissionError:  # a folder may be writable but not readable
        return
    try:
        _sync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems sync no folders
            raise
    finally:
        os.close(descriptor)


def stamp_folder(path: str | Path) -> int | None:
    """Give a folder a unique time of change, in ns, so that a later change of a name in it can be seen.

    Returns None if the system or the file system does not keep exact times.
    """
    now = int(time.time()) * 1_000_000_000
    stamp = now + (uuid.uuid4().int % 1_000_000_000 | 1)  # odd, so that a file system with coarser times can't hold it
    try:
        with _open_folder(path) as descriptor:
            os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, stamp))
            return stamp if os.fstat(descriptor).st_mtime_ns == stamp else None
    except OSError:
        return None


def read_stamp(path: str | Path) -> int | None:
    """Return the time of the last change of a name in a folder, in ns; None if it can't be known."""
    try:
        # an open asks a file server again, while a stat may be answered from a cache
        with _open_folder(path) as descriptor:
            return os.fstat(descriptor).st_mtime_ns
    except OSError:
        return None


@contextlib.contextmanager
def _open_folder(path: str | Path) -> Iterator[int]:
    """Open a folder, and yield its descriptor. Raises OSError, also on systems that can't open folders."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), path)
    descriptor = os.open(path, os.O_RDONLY | flag | _EVERYWHERE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_into(path: str | Path, data: bytes) -> None:
    descriptor = os.open(path, _TO_WRITE_INTO)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(descriptor: int) -> None:
    """Sync a file to the disk. On macOS only F_FULLFSYNC also flushes the drive's cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):  # not every file system knows it
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)
