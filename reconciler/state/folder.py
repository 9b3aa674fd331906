"""State in a folder, which is the default. One process writes at a time; readers need no lock."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from reconciler.core.where import find_near_names
from reconciler.errors import Conflict, Corrupt, StateError, Unreachable
from reconciler.io.files import (
    InUseError,
    Patience,
    TooLargeError,
    is_folder,
    is_link,
    is_on_read_only_disk,
    is_own,
    leads_nowhere,
    make_folder,
    read_stamp,
    read_with_stat,
    remove_folder,
    replace,
    stamp_folder,
    sync_folder,
    unlink,
    write_new,
)
from reconciler.model import Original, Snapshot, Stored
from reconciler.ports import Changes, Shrink, Write, WriteAccess, WriteResult, keep_head
from reconciler.state.changes import Found, find_changes
from reconciler.state.document import (
    MAX_BYTES,
    SUFFIX,
    Decode,
    decode_document,
    decode_head,
    decode_original,
    encode_write,
    make_too_large,
    read_each,
    version_of,
)

T = TypeVar("T")
logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 30.0  # a batch takes milliseconds: a process that holds the lock this long hangs
WRITING = ".writing"  # the folder of temporary files; files of a killed writer are found without listing all documents
MAX_SYNCS = 4  # syncs at a time; more of them only slow each other down

_ADVICE = {
    errno.ENOSPC: "Make room on that disk (or it has too many files: `df -i`), then run again",
    errno.EDQUOT: "Make room within the quota, then run again",
    errno.EROFS: "Mount it for writing, or set `state` to a place that can be written; then run again",
}


class FolderStore:
    """Files `<environment>.json` in one folder. A missing folder is an empty state; reading writes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path_text = str(path)
        self._writing = f"{path}/{WRITING}"
        self._pool: ThreadPoolExecutor | None = None
        # The epoch changes if another process may have written since our last write: then the folder's time of change
        # differs from the one that we set while we held the lock.
        self._epoch = 0
        self._stamp: int | None = None

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def identity(self) -> str:
        """Return the absolute path without links, which is the same from every working directory."""
        return os.path.normcase(os.path.realpath(self._path))

    @property
    def gather_s(self) -> float:
        return 0.0

    @property
    def is_remote(self) -> bool:
        return False

    def close(self) -> None:
        """End the threads that sync, if any were started."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def find_near(self) -> str | None:
        """Look for a folder with documents whose path differs from this one in a single name."""
        path = self._path
        while not is_folder(path.parent) and path.parent != path:
            path = path.parent  # the first folder that is missing is the one whose name may be wrong
        below = self._path.relative_to(path)
        try:
            near = find_near_names(path.name, os.listdir(path.parent))
        except OSError as error:
            logger.debug("state: the folders beside %s can't be listed: %s", path, error.strerror)
            return None
        return next((name for name in near if _holds_documents(path.parent / name / below)), None)

    def find_write_access(self) -> WriteAccess:
        """Ask the system about the folder, or about the folder in which it would be made."""
        self._refuse_lost_link(self._path_text)
        place = next(one for one in (self._path, *self._path.parents) if os.path.lexists(one))
        if is_on_read_only_disk(place):
            hint = "mount it for writing, or set `state` to a place that can be written"
            return WriteAccess(False, f"{place} is on a file system that is mounted read-only", hint)
        if not os.access(place, os.W_OK | os.X_OK):
            hint = f"chmod u+rwx {place}" if is_own(place) else "ask its owner for the permission"
            return WriteAccess(False, f"{place} can't be written by this user", hint)
        if place != self._path:
            return WriteAccess(True, f"the first write makes the folder in {place}")
        return WriteAccess(True, "the folder can be written by this user")

    def names(self) -> frozenset[str]:
        try:
            found = [name for name in os.listdir(self._path) if name.endswith(SUFFIX) and name[0] != "."]
        except FileNotFoundError:
            self._refuse_lost_link(self._path_text)
            return frozenset()
        except OSError as error:
            raise self._unreachable("can't be read", error) from error
        return frozenset(name.removesuffix(SUFFIX) for name in found)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        return self._read_each(environments, decode_document)

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        return self._read_each(environments, decode_original)

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        epoch = self._epoch
        if since is not None and since.epoch == epoch:
            return Changes(since)
        names, patience = self.names(), Patience()
        marks = {name: None if since is None else self._find_mark(name) for name in names}
        found = find_changes(
            since, marks, epoch, lambda changed: (self._read_head(one, patience) for one in changed), shrink
        )
        logger.info("state: %s: read %d of %d documents", self._path, len(found.heads), len(names))
        return found

    def _find_mark(self, environment: str) -> tuple[int, ...] | None:
        """Return the mark of a document's version; None if it can't be read."""
        try:
            return _make_mark(os.stat(self._file(environment)))  # noqa: PTH116 - half of pathlib's time
        except OSError:
            return None

    def _read_head(self, environment: str, patience: Patience) -> Found:
        try:
            found = self._read_file(environment, patience)
            if found is None:
                return None
            head = decode_head(found[0], environment=environment, where=self._file(environment))
        except StateError as fault:
            return fault
        return head, _make_mark(found[1])

    def _read_each(self, environments: Iterable[str], decode: Decode[T]) -> dict[str, T]:
        patience = Patience()

        def read_one(environment: str) -> T | None:
            data = self._read_bytes(environment, patience)
            return None if data is None else decode(data, environment=environment, where=self._file(environment))

        found = read_each(environments, read_one)
        logger.info("state: %s: read %d documents", self._path, len(found))
        return found

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        try:
            with self._locked() as patience:
                results = self._write_locked(writes, patience)
        except StateError as fault:
            return [WriteResult(write.environment, None, fault) for write in writes]
        except OSError as error:
            unreachable = self._unreachable(f"{self._name_of(error)}can't be written", error)
            return [WriteResult(write.environment, None, unreachable) for write in writes]
        written = sum(result.error is None for result in results)
        logger.info("state: %s: wrote %d of %d documents", self._path, written, len(writes))
        return results

    def _file(self, environment: str) -> str:
        return f"{self._path_text}/{environment}{SUFFIX}"  # a str: pathlib takes as long as reading a small file

    def _read_bytes(self, environment: str, patience: Patience) -> bytes | None:
        found = self._read_file(environment, patience)
        return None if found is None else found[0]

    def _read_file(self, environment: str, patience: Patience) -> tuple[bytes, os.stat_result] | None:
        try:
            return read_with_stat(self._file(environment), MAX_BYTES, patience)
        except FileNotFoundError:
            self._refuse_lost_link(self._file(environment))
            return None
        except TooLargeError as error:
            # to hash so much takes long, and the file's mark changes with every change too
            version = f"unread {self._find_mark(environment)}"
            raise make_too_large(environment, self._file(environment), version) from error
        except OSError as error:
            raise self._unreachable(f"{environment}{SUFFIX} can't be read", error) from error

    def _refuse_lost_link(self, path: str) -> None:
        """Raise Unreachable for a link to a missing place, such as an unmounted disk. It is not an empty state."""
        if leads_nowhere(path):
            raise Unreachable(
                f"state: {path} leads through a link to a place that is missing. Mount or make that place, "
                "or remove the link; then run again"
            )

    def _unreachable(self, what: str, error: OSError) -> Unreachable:
        reason = error.strerror or type(error).__name__
        advice = _ADVICE.get(error.errno or 0, "Check the folder, its owner and the disk")
        if isinstance(error, InUseError):
            advice = "Close it there (an editor, a virus scanner, a sync client), then run again"
        return Unreachable(f"state: {self._path}: {what}: {reason}. {advice}")

    def _name_of(self, error: OSError) -> str:
        """Return the file that the error is about, and a blank; "" if it is about the folder or its disk."""
        path = "" if error.errno in _ADVICE else str(error.filename or "")
        return f"{path.removeprefix(self._path_text + '/')} " if path.startswith(f"{self._path_text}/") else ""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Patience]:
        """Hold the folder's lock, and yield the patience of this write."""
        from filelock import FileLock, Timeout

        if not self._path.is_dir():
            self._make_folder()
        self._refuse_link(f"{self._path_text}/.lock")
        self._refuse_link(self._writing)
        patience = Patience()
        try:
            with FileLock(self._path / ".lock", timeout=LOCK_TIMEOUT_S), self._tracking_epoch():
                self._sweep(patience)
                make_folder(self._writing, patience)
                try:
                    yield patience
                finally:
                    with contextlib.suppress(OSError):
                        remove_folder(self._writing, patience)
        except Timeout as error:
            raise Unreachable(
                f"state: {self._path}: another process has held the folder's lock for {LOCK_TIMEOUT_S:g} s. "
                "Look for a reconciler that hangs on this machine, end it and run again"
            ) from error

    @contextlib.contextmanager
    def _tracking_epoch(self) -> Iterator[None]:
        """Begin a new epoch if the folder was changed since our last write. The caller holds the lock."""
        if self._stamp is None or read_stamp(self._path) != self._stamp:
            self._epoch += 1
        self._stamp = None  # also after a write that fails
        yield
        self._stamp = stamp_folder(self._path)

    def _make_folder(self) -> None:
        self._refuse_lost_link(self._path_text)
        missing = [folder for folder in (self._path, *self._path.parents) if not folder.is_dir()]
        self._path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            sync_folder(folder.parent)

    @staticmethod
    def _refuse_link(path: str) -> None:
        """Raise Unreachable for a link in place of one of our files: its target could be emptied or removed."""
        if is_link(path):
            raise Unreachable(f"state: {path} is a symbolic link, maybe to files of others. Remove it")

    def _sweep(self, patience: Patience) -> None:
        """Remove the files of a killed writer. Only the lock's holder has temporary files, so nobody uses these."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._writing):
                unlink(f"{self._writing}/{name}", patience)
            remove_folder(self._writing, patience)

    def _write_locked(self, writes: Sequence[Write], patience: Patience) -> list[WriteResult]:
        """Compare all, make all new contents durable under temporary names, then rename, then sync the folder.

        The rename follows only when the bytes are on the disk, so that a power cut never leaves an empty document.
        The sync of the folder makes the rename durable.
        """
        batch = f"{self._writing}/{uuid.uuid4().hex}"
        prepared = [self._prepare(write, f"{batch}-{number}", patience) for number, write in enumerate(writes)]
        faults = self._write_all([one for one in prepared if isinstance(one, _Prepared) and one.data is not None])
        results: list[WriteResult] = []
        moved = False
        for write, one in zip(writes, prepared, strict=True):
            fault = one if isinstance(one, StateError) else faults.get(one.temporary)
            if isinstance(one, _Prepared) and fault is None:
                fault = self._put_in_place(one, patience)
            if isinstance(one, StateError) or fault is not None:
                results.append(WriteResult(write.environment, None, fault))
                continue
            moved = True
            results.append(WriteResult(write.environment, None if one.data is None else version_of(one.data)))
        return self._confirm(results) if moved else results

    def _confirm(self, results: list[WriteResult]) -> list[WriteResult]:
        """Make the new names durable. If that fails, all documents are stored, but a power cut may undo each of them.

        See docs/contract.md#lost-intents: the caller then finds them in the folder.
        """
        try:
            sync_folder(self._path)
        except OSError as error:
            fault = self._unreachable("the disk did not confirm what was written, and a power cut may undo it", error)
            return [WriteResult(one.environment, None, one.error or fault) for one in results]
        return results

    def _prepare(self, write: Write, temporary: str, patience: Patience) -> _Prepared | StateError:
        """Return the file to write, first under the name `temporary`, or why it may not be written."""
        try:
            version = self._find_version(write, patience)
            data = encode_write(write)
        except StateError as fault:
            return fault
        if version != write.expected:
            return Conflict(write.environment)
        return _Prepared(write.environment, temporary, self._file(write.environment), data)

    def _find_version(self, write: Write, patience: Patience) -> str | None:
        """Return the version of the replaced document. Raises Corrupt if it is too large, unless it is removed."""
        try:
            found = self._read_bytes(write.environment, patience)
        except Corrupt as fault:
            if write.document is not None:
                raise
            return fault.version
        return None if found is None else version_of(found)

    def _put_in_place(self, file: _Prepared, patience: Patience) -> StateError | None:
        """Give one new document its name, or remove the old one. If that fails, the other writes still continue."""
        try:
            if file.data is not None:
                replace(file.temporary, file.final, patience)
            else:
                with contextlib.suppress(FileNotFoundError):
                    unlink(file.final, patience)
        except OSError as error:
            with contextlib.suppress(OSError):
                unlink(file.temporary, patience)
            return self._unreachable(f"{file.environment}{SUFFIX} can't be written", error)
        return None

    def _write_all(self, files: Sequence[_Prepared]) -> dict[str, StateError]:
        """Make all files durable under their temporary names, and return the faults by those names.

        The syncs run in parallel: a disk that has to sync many files at the same time does it nearly at once.
        """
        if len(files) < 2:
            return self._write_some(files)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MAX_SYNCS, "sync")
        # each thread gets a share: to hand over single files takes as long as a sync on a quick disk
        shares = [files[first::MAX_SYNCS] for first in range(MAX_SYNCS)]
        faults: dict[str, StateError] = {}
        for found in self._pool.map(self._write_some, shares):
            faults |= found
        return faults

    def _write_some(self, files: Iterable[_Prepared]) -> dict[str, StateError]:
        faults: dict[str, StateError] = {}
        for file in files:
            assert file.data is not None
            try:
                # a state holds no secret, so other users may read it, and the usual mode is right
                write_new(file.temporary, file.data)
            except OSError as error:
                faults[file.temporary] = self._unreachable(f"{file.environment}{SUFFIX} can't be written", error)
        return faults


def _holds_documents(folder: Path) -> bool:
    try:
        return any(name.endswith(SUFFIX) for name in os.listdir(folder))
    except OSError:
        return False


def _make_mark(found: os.stat_result) -> tuple[int, ...]:
    """Return a mark that differs between any two versions of a file, as each version is a new file."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _Prepared(Struct, frozen=True):
    """One write whose expected version was found in the folder. `data` is None for a removal."""

    environment: str
    temporary: str
    final: str
    data: bytes | None
