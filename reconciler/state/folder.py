"""State in a folder: the embedded default. One process writes at a time; readers need no lock."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from reconciler.errors import Conflict, StateError, Unreachable
from reconciler.model import Head, Stored
from reconciler.ports import Write, WriteResult
from reconciler.state.document import (
    SUFFIX,
    Decode,
    decode_document,
    decode_head,
    encode_document,
    read_each,
    version_of,
)

T = TypeVar("T")

LOCK_TIMEOUT_S = 30.0  # a batch takes milliseconds: whoever holds the lock this long is stuck
WRITING = ".writing"  # the folder of temporary files: what a killed writer left is found without reading all names
CHUNK = 65536  # bytes
MAX_BYTES = 16 * 1024 * 1024  # of a document: seven URLs, eleven times over, take a hundredth of it
SYNCS_AT_A_TIME = 4  # more of them only get in each other's way

_ADVICE = {
    errno.ENOSPC: "Make room on that disk, then run again",
    errno.EDQUOT: "Make room within the quota, then run again",
    errno.EROFS: "Mount it for writing, or set `state` to a place that can be written; then run again",
}


class FolderStore:
    """`<environment>.json` files in one folder. A missing folder is an empty state; reading writes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path_text = str(path)
        self._writing = f"{path}/{WRITING}"
        self._pool: ThreadPoolExecutor | None = None

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def gather_s(self) -> float:
        return 0.0

    def close(self) -> None:
        """Ends the threads that sync, where there were any."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def names(self) -> frozenset[str]:
        try:
            found = [name for name in os.listdir(self._path) if name.endswith(SUFFIX) and name[0] != "."]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._unreachable("can't be read", error) from error
        return frozenset(name.removesuffix(SUFFIX) for name in found)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        return self._read_each(environments, decode_document)

    def read_heads(self, environments: Iterable[str]) -> dict[str, Head]:
        return self._read_each(environments, decode_head)

    def _read_each(self, environments: Iterable[str], decode: Decode[T]) -> dict[str, T]:
        def read_one(environment: str) -> T | None:
            data = self._read_bytes(environment)
            return None if data is None else decode(data, environment=environment, where=self._file(environment))

        return read_each(environments, read_one)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        try:
            with self._locked():
                return self._write_locked(writes)
        except StateError as fault:
            return [WriteResult(write.environment, None, fault) for write in writes]
        except OSError as error:
            unreachable = self._unreachable("can't be written", error)
            return [WriteResult(write.environment, None, unreachable) for write in writes]

    def _file(self, environment: str) -> str:
        return f"{self._path_text}/{environment}{SUFFIX}"

    def _read_bytes(self, environment: str) -> bytes | None:
        # strings and the system's own calls: pathlib and a buffer take twice the time of reading a small file
        try:
            # without O_NONBLOCK a pipe named like a document would make the run hang
            descriptor = os.open(self._file(environment), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreachable(f"{environment}{SUFFIX} can't be read", error) from error
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
                raise OSError(errno.EINVAL, "it is no regular file, or larger than a document can be")
            data = os.read(descriptor, found.st_size + 1)
            while more := os.read(descriptor, CHUNK):
                data += more
            return data
        except OSError as error:
            raise self._unreachable(f"{environment}{SUFFIX} can't be read", error) from error
        finally:
            os.close(descriptor)

    def _unreachable(self, what: str, error: OSError) -> Unreachable:
        reason = error.strerror or type(error).__name__
        advice = _ADVICE.get(error.errno or 0, "Check the folder, its owner and the disk")
        return Unreachable(f"state: {self._path}: {what}: {reason}. {advice}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        if not self._path.is_dir():
            self._path.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._path.parent)
        try:
            with FileLock(self._path / ".lock", timeout=LOCK_TIMEOUT_S):
                self._sweep()
                os.mkdir(self._writing)  # noqa: PTH102 - strings, as in reading
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):
                        os.rmdir(self._writing)  # noqa: PTH106
        except Timeout as error:
            raise Unreachable(
                f"state: {self._path}: another process has held the folder's lock for {LOCK_TIMEOUT_S:g} s. "
                "Look for a reconciler that hangs on this machine, end it and run again"
            ) from error

    def _sweep(self) -> None:
        """Remove what a killed writer left. Only the lock's holder has temporary files, so all are dead."""
        if os.path.islink(self._writing):  # noqa: PTH114
            raise Unreachable(f"state: {self._writing} is a symbolic link, maybe to files of others. Remove it")
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._writing):
                os.unlink(f"{self._writing}/{name}")  # noqa: PTH108
            os.rmdir(self._writing)  # noqa: PTH106

    def _write_locked(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Compare all, make all new contents durable under other names, then rename, then sync the folder.

        Renaming only once the bytes are on the disk is what keeps a power cut from leaving an empty
        document; syncing the folder is what makes the rename itself last.
        """
        prepared = [self._prepare(write) for write in writes]
        faults = self._write_all([one for one in prepared if isinstance(one, _Prepared) and one.data is not None])
        results: list[WriteResult] = []
        moved = False
        for write, one in zip(writes, prepared, strict=True):
            fault = one if isinstance(one, StateError) else faults.get(one.temporary)
            if isinstance(one, StateError) or fault is not None:
                results.append(WriteResult(write.environment, None, fault))
                continue
            moved = True
            if one.data is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(one.final)  # noqa: PTH108 - strings, as in reading
                results.append(WriteResult(write.environment, None))
            else:
                os.replace(one.temporary, one.final)  # noqa: PTH105
                results.append(WriteResult(write.environment, version_of(one.data)))
        if moved:
            _sync_folder(self._path)
        return results

    def _prepare(self, write: Write) -> _Prepared | StateError:
        """The file to be written, or why it may not be."""
        try:
            standing = self._read_bytes(write.environment)
        except StateError as fault:
            return fault
        version = None if standing is None else version_of(standing)
        if version != write.expected:
            return Conflict(f"state of {write.environment}: another run wrote it in between")
        data = None if write.document is None else encode_document(write.document)
        temporary = f"{self._writing}/{uuid.uuid4().hex}"
        return _Prepared(write.environment, temporary, self._file(write.environment), data)

    def _write_all(self, files: Sequence[_Prepared]) -> dict[str, StateError]:
        """All of them durable under their temporary names; the faults of those that aren't, by that name.

        Side by side: a disk that is asked to sync many files at once does it in one go, more or less.
        """
        if len(files) < 2:
            found = [self._write_one(one) for one in files]
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(SYNCS_AT_A_TIME, "sync")
            found = list(self._pool.map(self._write_one, files))
        return {one.temporary: fault for one, fault in zip(files, found, strict=True) if fault is not None}

    def _write_one(self, file: _Prepared) -> StateError | None:
        assert file.data is not None
        try:
            _write_durably(file.temporary, file.data)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(file.temporary)  # noqa: PTH108
            return self._unreachable(f"{file.environment}{SUFFIX} can't be written", error)
        return None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One write whose expected version stands there. `data` is None for a removal."""

    environment: str
    temporary: str
    final: str
    data: bytes | None


def _write_durably(path: str, data: bytes) -> None:
    # others may read a state (it holds no secret), so the mode is the user's umask, as for any file
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
