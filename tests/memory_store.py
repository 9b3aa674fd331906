"""State in memory, for tests and properties. It passes the same suite as every other store."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TypeVar

from reconciler.errors import Conflict, StateError
from reconciler.model import Document, Original, Snapshot, Stored
from reconciler.ports import Changes, Shrink, Write, WriteAccess, WriteResult, keep_head
from reconciler.state.changes import Found, find_changes
from reconciler.state.document import (
    MAX_BYTES,
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


class MemoryStore:
    """Documents as bytes in a dict, so that each read is a copy and each write goes through the codec."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        return "memory"

    @property
    def identity(self) -> str:
        return "memory"

    @property
    def gather_s(self) -> float:
        return 0.0

    @property
    def is_remote(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def find_near(self) -> str | None:
        return None

    def find_write_access(self) -> WriteAccess:
        return WriteAccess(True, "in memory")

    def names(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self.documents)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        return self._read_each(environments, decode_document)

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        return self._read_each(environments, decode_original)

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        with self._lock:
            documents = dict(self.documents)

        def read_one(name: str) -> Found:
            data = documents[name]
            try:
                if len(data) > MAX_BYTES:
                    raise make_too_large(name, f"memory:{name}", version_of(data))
                return decode_head(data, environment=name, where=f"memory:{name}"), version_of(data)
            except StateError as fault:
                return fault

        marks = {name: version_of(data) for name, data in documents.items()}
        return find_changes(since, marks, None, lambda changed: map(read_one, changed), shrink)

    def _read_each(self, environments: Iterable[str], decode: Decode[T]) -> dict[str, T]:
        def read_one(name: str) -> T | None:
            data = found.get(name)
            if data is not None and len(data) > MAX_BYTES:
                raise make_too_large(name, f"memory:{name}", version_of(data))
            return None if data is None else decode(data, environment=name, where=f"memory:{name}")

        wanted = list(environments)
        with self._lock:
            found = {name: self.documents[name] for name in wanted if name in self.documents}
        return read_each(wanted, read_one)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        with self._lock:
            return [self._write_one(write) for write in writes]

    def _write_one(self, write: Write) -> WriteResult:
        stored = self.documents.get(write.environment)
        if (None if stored is None else version_of(stored)) != write.expected:
            return WriteResult(write.environment, None, Conflict(write.environment))
        try:
            data = encode_write(write)
        except StateError as fault:
            return WriteResult(write.environment, None, fault)
        if data is None:
            self.documents.pop(write.environment, None)
            return WriteResult(write.environment, None)
        self.documents[write.environment] = data
        return WriteResult(write.environment, version_of(data))


def filled(*documents: Document) -> MemoryStore:
    """Return a store with these documents."""
    store = MemoryStore()
    for result in store.write([Write(one.environment, one, None) for one in documents]):
        assert result.error is None
    return store
