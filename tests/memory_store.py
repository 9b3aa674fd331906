"""State in memory: what the tests and properties run on, held to the same suite as every other store."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from reconciler.errors import Conflict, StateError
from reconciler.model import Head, Original, Stored
from reconciler.ports import Write, WriteResult
from reconciler.state.document import decode_document, decode_head, decode_original, encode_write, version_of


class MemoryStore:
    """Documents as bytes in a dict, so that each read is a copy and each write goes through the codec."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        return "memory"

    @property
    def gather_s(self) -> float:
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def names(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self.documents)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        return {
            name: decode_document(data, environment=name, where="memory") for name, data in self._find(environments)
        }

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        return {
            name: decode_original(data, environment=name, where="memory") for name, data in self._find(environments)
        }

    def read_heads(self, environments: Iterable[str]) -> dict[str, Head]:
        return {name: decode_head(data, environment=name, where="memory") for name, data in self._find(environments)}

    def _find(self, environments: Iterable[str]) -> list[tuple[str, bytes]]:
        with self._lock:
            return [(name, self.documents[name]) for name in environments if name in self.documents]

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        with self._lock:
            return [self._write_one(write) for write in writes]

    def _write_one(self, write: Write) -> WriteResult:
        standing = self.documents.get(write.environment)
        if (None if standing is None else version_of(standing)) != write.expected:
            conflict = Conflict(f"state of {write.environment}: another run wrote it in between")
            return WriteResult(write.environment, None, conflict)
        try:
            data = encode_write(write)
        except StateError as fault:
            return WriteResult(write.environment, None, fault)
        if data is None:
            self.documents.pop(write.environment, None)
            return WriteResult(write.environment, None)
        self.documents[write.environment] = data
        return WriteResult(write.environment, version_of(data))
