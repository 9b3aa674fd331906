"""State in a folder: the embedded default. One process writes at a time; readers need no lock."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reconciler.errors import Conflict, StateError, Unreachable
from reconciler.model import Stored
from reconciler.ports import Write, Written
from reconciler.state.document import (
    SUFFIX,
    decode_document,
    encode_document,
    version_of,
)

LOCK_TIMEOUT_S = 30.0  # a batch takes milliseconds: whoever holds the lock this long is stuck
TEMPORARY_PREFIX = ".writing-"


class FolderStore:
    """`<environment>.json` files in one folder. A missing folder is an empty state; reading writes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def location(self) -> str:
        return str(self._path)

    @property
    def gather_s(self) -> float:
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def names(self) -> frozenset[str]:
        try:
            found = [name for name in os.listdir(self._path) if name.endswith(SUFFIX) and name[0] != "."]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._unreachable("can't be read", error) from error
        return frozenset(name.removesuffix(SUFFIX) for name in found)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        stored: dict[str, Stored] = {}
        faults: list[StateError] = []
        for environment in environments:
            try:
                data = self._read_bytes(environment)
                if data is not None:
                    stored[environment] = self._decode(environment, data)
            except StateError as fault:
                faults.append(fault)
        if faults:
            raise type(faults[0])("\n".join(str(fault) for fault in faults)) from faults[0]
        return stored

    def write(self, writes: Sequence[Write]) -> list[Written]:
        try:
            with self._locked():
                return self._write_locked(writes)
        except StateError as fault:
            return [Written(write.environment, None, fault) for write in writes]
        except OSError as error:
            unreachable = self._unreachable("can't be written", error)
            return [Written(write.environment, None, unreachable) for write in writes]

    def _decode(self, environment: str, data: bytes) -> Stored:
        return decode_document(data, environment=environment, where=str(self._file(environment)))

    def _file(self, environment: str) -> Path:
        return self._path / f"{environment}{SUFFIX}"

    def _read_bytes(self, environment: str) -> bytes | None:
        try:
            return self._file(environment).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreachable(f"{environment}{SUFFIX} can't be read", error) from error

    def _unreachable(self, what: str, error: OSError) -> Unreachable:
        reason = error.strerror or type(error).__name__
        return Unreachable(f"state: {self._path}: {what}: {reason}. Check the folder, its owner and the disk")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        if not self._path.is_dir():
            self._path.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._path.parent)
        try:
            with FileLock(self._path / ".lock", timeout=LOCK_TIMEOUT_S):
                self._sweep()
                yield
        except Timeout as error:
            raise Unreachable(
                f"state: {self._path}: another process has held the folder's lock for {LOCK_TIMEOUT_S:g} s. "
                "Look for a reconciler that hangs on this machine, end it and run again"
            ) from error

    def _sweep(self) -> None:
        """Remove what killed writers left. Only the lock's holder has temporary files, so all are dead."""
        for name in os.listdir(self._path):
            if name.startswith(TEMPORARY_PREFIX):
                (self._path / name).unlink(missing_ok=True)

    def _write_locked(self, writes: Sequence[Write]) -> list[Written]:
        """Compare all, make all new contents durable under other names, then rename, then sync the folder.

        Renaming only once the bytes are on the disk is what keeps a power cut from leaving an empty
        document; syncing the folder is what makes the rename itself last.
        """
        results: list[Written] = []
        renames: list[tuple[Path, Path]] = []
        removals: list[Path] = []
        for write in writes:
            try:
                results.append(self._prepare(write, renames, removals))
            except StateError as fault:
                results.append(Written(write.environment, None, fault))
            except OSError as error:
                unreachable = self._unreachable(f"{write.environment}{SUFFIX} can't be written", error)
                results.append(Written(write.environment, None, unreachable))
        for temporary, final in renames:
            temporary.replace(final)
        for removal in removals:
            removal.unlink(missing_ok=True)
        if renames or removals:
            _sync_folder(self._path)
        return results

    def _prepare(self, write: Write, renames: list[tuple[Path, Path]], removals: list[Path]) -> Written:
        standing = self._read_bytes(write.environment)
        version = None if standing is None else version_of(standing)
        if version != write.expected:
            raise Conflict(f"state of {write.environment}: another run wrote it in between")
        final = self._file(write.environment)
        if write.document is None:
            removals.append(final)
            return Written(write.environment, None)
        data = encode_document(write.document)
        temporary = self._path / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            _write_durably(temporary, data)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        renames.append((temporary, final))
        return Written(write.environment, version_of(data))


def _write_durably(path: Path, data: bytes) -> None:
    # others may read a state (it holds no secret), so the mode is the user's umask, as for any file
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
