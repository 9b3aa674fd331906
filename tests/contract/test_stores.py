"""One suite that every store passes (docs/state.md, ports.StateStore)."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.record import adopt
from reconciler.errors import Conflict, Corrupt, NewerFormat, SeveralUnreadable
from reconciler.model import By, Document, Fingerprint, Head, Original
from reconciler.ports import StateStore, Write
from reconciler.state.document import FORMAT, MAX_BYTES, encode_document
from reconciler.state.folder import FolderStore
from reconciler.state.git import GitStore
from reconciler.state.objects import ObjectStore
from reconciler.state.open import open_store
from tests.contract.behind import photograph, plant
from tests.contract.remotes import make_clone, make_remote
from tests.fakes import START, make_desired
from tests.memory_store import MemoryStore


def document(environment: str = "production", version: str = "1") -> Document:
    desired = make_desired(environment, version)
    return adopt(None, desired, Fingerprint("org:1"), START, By("ana", "c0ffee", "1/1"), lineage="lineage")


def outside(*names: str) -> list[Any]:
    """Return stores that start programs of others, which `make quick` leaves out."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(params=["folder", "memory", *outside("git", "objects")])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    made: StateStore
    if request.param == "folder":
        made = FolderStore(tmp_path / "state")
    elif request.param == "memory":
        made = MemoryStore()
    elif request.param == "objects":
        made = request.getfixturevalue("bucket")()
    elif request.param == "git":
        made = GitStore(make_clone(make_remote(tmp_path), tmp_path / "clone"), "origin", "reconciler-state")
    else:
        raise AssertionError(f"say in this fixture how an empty store is made: {request.param}")
    yield made
    made.close()


def put(store: StateStore, written: Document, expected: str | None = None) -> str:
    result = store.write([Write(written.environment, written, expected)])[0]
    assert result.error is None
    assert result.version is not None
    return result.version


def test_a_store_that_is_not_there_yet_is_an_empty_state(store: StateStore) -> None:
    """Its environments may be asked for too."""
    assert store.names() == frozenset()
    assert store.read(["production"]) == {}


def test_what_is_written_is_read(store: StateStore) -> None:
    """It is read whole, with the version that the write returned."""
    version = put(store, document())
    stored = store.read(["production"])["production"]
    assert (stored.document, stored.version) == (document(), version)
    assert store.names() == {"production"}


def test_what_is_there_is_read_beside_what_is_not(store: StateStore) -> None:
    """The order of the names does not matter."""
    for name in ("a", "c"):
        put(store, document(name))
    assert {name: one.document for name, one in store.read(["missing", "a", "b", "c"]).items()} == {
        "a": document("a"),
        "c": document("c"),
    }
    assert store.read([]) == {}


def test_a_writer_that_lost_loses_again_until_it_has_read(store: StateStore) -> None:
    """A refused write has not read the version that it met."""
    version = put(store, document())
    changed = replace(document(version="2"), serial=2)
    for expected in (None, None, "another", "another"):
        assert isinstance(store.write([Write("production", changed, expected)])[0].error, Conflict)
    assert store.read(["production"])["production"].document == document()
    removed = store.write([Write("production", None, version)])[0]
    assert (removed.error, removed.version) == (None, None)


def test_a_head_is_its_document_without_the_past(store: StateStore) -> None:
    """All heads are read."""
    put(store, document())
    whole = document()
    head = Head(whole.environment, whole.lineage, whole.serial, whole.applied, whole.intent)
    found = store.read_changes()
    assert (found.heads, found.gone, found.faults) == ({"production": head}, frozenset(), {})


def test_a_copy_is_stored_byte_for_byte(store: StateStore) -> None:
    """It may have the former format and another layout; its version is that of the bytes."""
    value = json.loads(encode_document(document()))
    value["format"] = "reconciler.state/1"
    del value["last"], value["applied"]["body"], value["applied"]["token_expires_at"]
    data = json.dumps(value, indent=1).encode()
    result = store.write([Write("production", document(), None, data)])[0]
    stored = store.read(["production"])["production"]
    assert (result.error, stored.document, stored.version) == (None, document(), result.version)
    assert store.read_originals(["production", "staging"]) == {"production": Original(document(), data)}


@pytest.mark.parametrize("following", [{"serial": 2**53 + 1}, {"lineage": "x" * 16 * 1024 * 1024}])
def test_what_could_not_be_read_again_is_not_written(store: StateStore, following: dict[str, Any]) -> None:
    """The other writes of the batch are done."""
    version = put(store, document())
    refused, other = store.write(
        [Write("production", replace(document(), **following), version), Write("staging", document("staging"), None)]
    )
    assert "the next document could not be read again" in str(refused.error)
    assert other.error is None
    assert store.read(["production"])["production"].document == document()


def test_a_version_is_overwritten_only_by_a_writer_that_read_it(store: StateStore) -> None:
    """This is rule 5."""
    version = put(store, document())
    second = replace(document(version="2"), serial=2)
    assert isinstance(store.write([Write("production", second, None)])[0].error, Conflict)
    assert isinstance(store.write([Write("production", second, "0" * 64)])[0].error, Conflict)
    assert store.read(["production"])["production"].document == document()
    put(store, second, version)
    third = replace(document(version="3"), serial=2)
    assert isinstance(store.write([Write("production", third, version)])[0].error, Conflict)


def test_an_old_text_that_comes_back_is_another_version(store: StateStore) -> None:
    """A→B→A must not count as A, as the serial is in the bytes."""
    first = put(store, document())
    second = put(store, replace(document(version="2"), serial=2), first)
    put(store, replace(document(), serial=3), second)
    assert isinstance(store.write([Write("production", document(version="9"), first)])[0].error, Conflict)


def test_what_is_forgotten_is_gone(store: StateStore) -> None:
    """Only a writer that read the last version may forget it."""
    version = put(store, document())
    assert isinstance(store.write([Write("production", None, "0" * 64)])[0].error, Conflict)
    assert store.write([Write("production", None, version)])[0].error is None
    assert store.names() == frozenset()


def test_each_write_of_a_batch_is_independent(store: StateStore) -> None:
    """The conflict of one write does not stop the others."""
    put(store, document("b"))
    results = store.write([Write(name, document(name, version="2"), None) for name in "abc"])
    assert [type(result.error) for result in results] == [type(None), Conflict, type(None)]
    assert [result.environment for result in results] == ["a", "b", "c"]
    assert store.names() == {"a", "b", "c"}


# --- what changed since a snapshot -----------------------------------------------------------------


@pytest.fixture
def other(store: StateStore, tmp_path: Path) -> Iterator[StateStore]:
    """Return the same place as another process opens it. No other process can open the memory of this one."""
    made: StateStore
    if isinstance(store, FolderStore):
        made = FolderStore(Path(store.location))
    elif isinstance(store, GitStore):
        made = GitStore(tmp_path / "clone", "origin", "reconciler-state")
    elif isinstance(store, ObjectStore):
        made = ObjectStore(store.location)
    elif isinstance(store, MemoryStore):
        made = store
    else:
        raise AssertionError(f"say in this fixture how another process opens a {type(store).__name__}")
    yield made
    made.close()


def test_what_another_wrote_before_our_write_is_found_after_it(store: StateStore, other: StateStore) -> None:
    """The changed documents are read, and the removed ones are named."""
    for name in ("created", "edited", "forgotten", "same"):
        if name != "created":
            put(other, document(name))
    seen = store.read_changes().snapshot
    put(other, document("created"))
    put(other, replace(document("edited", version="2"), serial=2), other.read(["edited"])["edited"].version)
    assert other.write([Write("forgotten", None, other.read(["forgotten"])["forgotten"].version)])[0].error is None
    put(store, document("ours"))
    found = store.read_changes(seen)
    assert {name: head.serial for name, head in found.heads.items() if name != "ours"} == {"created": 1, "edited": 2}
    assert (set(found.gone), dict(found.faults)) == ({"forgotten"}, {})


def test_each_head_is_kept_as_it_was_shrunk(store: StateStore) -> None:
    """So a caller never has the whole heads of a large fleet in memory."""
    put(store, document("a"))
    put(store, document("b"))
    found = store.read_changes(None, lambda head: replace(head, lineage=f"short-{head.environment}"))
    assert {name: head.lineage for name, head in found.heads.items()} == {"a": "short-a", "b": "short-b"}


def test_nothing_is_found_twice_and_an_old_text_is_a_change(store: StateStore, other: StateStore) -> None:
    """Our own writes may be reported once or not at all."""
    version = put(other, document("theirs"))
    seen = store.read_changes().snapshot
    ours = put(store, document("ours"))
    found = store.read_changes(seen)
    assert found.heads.keys() <= {"ours"}
    found = store.read_changes(found.snapshot)
    assert (found.heads, found.gone, found.faults) == ({}, frozenset(), {})
    version = put(other, replace(document("theirs", version="2"), serial=2), version)
    put(other, replace(document("theirs"), serial=3), version)
    put(store, replace(document("ours"), serial=2), ours)
    assert store.read_changes(found.snapshot).heads["theirs"].serial == 3


def test_of_two_writers_the_later_one_finds_the_other(store: StateStore, other: StateStore) -> None:
    """Both have a snapshot without either document; at most one of them may miss what the other wrote."""
    snapshots = {id(one): one.read_changes().snapshot for one in (store, other)}
    for round_ in range(3):
        put(store, document(f"a{round_}"))
        put(other, document(f"b{round_}"))
        found = [one.read_changes(snapshots[id(one)]) for one in (store, other)]
        seen = [set(one.heads) for one in found]
        assert f"a{round_}" in seen[1]
        assert store is other or f"b{round_}" in seen[0] or isinstance(store, FolderStore | GitStore)
        snapshots = {id(one): changes.snapshot for one, changes in zip((store, other), found, strict=True)}


def test_a_changed_document_that_can_not_be_read_is_a_fault(store: StateStore, tmp_path: Path) -> None:
    """Other changed documents are read."""
    put(store, document("same"))
    seen = store.read_changes().snapshot
    plant(store, tmp_path, {"bad": b"", "good": _name(WHOLE, "good")})
    if isinstance(store, GitStore):
        store.names()  # It reads the branch again.
    put(store, document("ours"))
    found = store.read_changes(seen)
    assert (found.heads.keys() - {"ours"}, set(found.faults)) == ({"good"}, {"bad"})


# --- what can't be trusted -------------------------------------------------------------------------

WHOLE = encode_document(document("bad"))
BAD: dict[str, tuple[bytes, type[Exception]]] = {
    "zero-bytes": (b"", Corrupt),
    "blank": (b"\n", Corrupt),
    "brace": (b"{", Corrupt),
    "truncated": (WHOLE[:-20], Corrupt),
    "nested": (b"[" * 100_000, Corrupt),
    "list": (b"[]", Corrupt),
    "no-text": (b"\xff", Corrupt),
    "of-another": (encode_document(document("good")), Corrupt),
    "no-such-time": (re.sub(rb'"at": "[^"]*"', b'"at": "0001-01-01T00:00:00+14:00"', WHOLE), Corrupt),
    "serial-text": (WHOLE.replace(b'"serial": 1', b'"serial": "1"'), Corrupt),
    "serial-zero": (WHOLE.replace(b'"serial": 1', b'"serial": 0'), Corrupt),
    "unknown-event": (WHOLE.replace(b'"whenDisconnecting"', b'"whenConnecting"'), Corrupt),
    "unknown-key": (WHOLE.replace(b'"intent": null', b'"intent": null, "more": 1'), Corrupt),
    "corrupt-past": (WHOLE.replace(b'"history": [', b'"history": [7, '), Corrupt),
    "newer": (WHOLE.replace(FORMAT.encode(), b"reconciler.state/9"), NewerFormat),
    "newer-shape": (b'{"format": "reconciler.state/9", "anything": []}', NewerFormat),
    "Does_Not.Fit!": (WHOLE.replace(b'"bad"', b'"Does_Not.Fit!"'), Corrupt),
    "too-large": (b" " * MAX_BYTES + WHOLE.replace(b'"bad"', b'"too-large"'), Corrupt),
}


def _name(data: bytes, name: str) -> bytes:
    return data.replace(b'"environment": "bad"', b'"environment": "' + name.encode() + b'"')


def test_a_document_that_cannot_be_trusted_is_named_and_left_alone(store: StateStore, tmp_path: Path) -> None:
    """It does not count as empty; other documents are read, and all bad ones are reported at once."""
    put(store, document("good"))
    plant(store, tmp_path, {name: _name(data, name) for name, (data, _) in BAD.items()})
    before = photograph(store, tmp_path)
    assert store.names() == {"good", *BAD}
    for name, (_, error) in BAD.items():
        with pytest.raises(error, match=re.escape(name)):
            store.read([name, "good"])
    with pytest.raises(SeveralUnreadable) as caught:
        store.read(["good", *BAD])
    lines = str(caught.value).split("\n")
    assert len(lines) == len(BAD)
    assert all(name in line for name, line in zip(BAD, lines, strict=True))
    assert set(store.read(["good", "missing"])) == {"good"}
    found = store.read_changes()
    assert (set(found.heads), found.faults.keys()) == ({"good"}, BAD.keys())
    for name, (_, error) in BAD.items():
        assert isinstance(found.faults[name], error)
        assert name in str(found.faults[name])
    assert store.read(["good"])["good"].document == document("good")
    refused = store.write([Write(name, document(name), None) for name in ("zero-bytes", "too-large", "new")])
    assert [isinstance(result.error, Conflict | Corrupt) for result in refused] == [True, True, False]
    assert store.write([Write("new", None, refused[2].version)])[0].error is None
    if isinstance(store, MemoryStore | FolderStore):
        assert {name: data for name, data in photograph(store, tmp_path).items() if ".lock" not in name} == {
            name: data for name, data in before.items() if ".lock" not in name
        }


def test_a_corrupt_document_is_forgotten_unread(store: StateStore, tmp_path: Path) -> None:
    """Only the version in its error forgets it; a newer format has no such version."""
    good = put(store, document("good"))
    plant(store, tmp_path, {"bad": b"{", "of-another": _name(WHOLE, "good"), "large": b" " * (MAX_BYTES + 1)})
    store.names()
    for name in ("bad", "of-another", "large"):
        with pytest.raises(Corrupt, match=f"`reconciler state forget {name}`") as caught:
            store.read([name])
        version = caught.value.version
        assert version is not None
        refused = store.write([Write(name, None, None), Write(name, None, "0" * 64)])
        assert all(isinstance(result.error, Conflict | Corrupt) for result in refused)
        assert isinstance(store.write([Write(name, document(name), "0" * 64)])[0].error, Conflict | Corrupt)
        assert store.write([Write(name, None, version)])[0].error is None
        assert isinstance(store.write([Write(name, None, version)])[0].error, Conflict)
    assert store.names() == {"good"}
    assert store.read(["good"])["good"].version == good
    put(store, document("bad"))


def test_a_corrupt_document_that_changed_meanwhile_is_kept(store: StateStore, tmp_path: Path) -> None:
    """A user may have restored it, so the version differs."""
    put(store, document("good"))
    for damaged in (b"{", b" " * (MAX_BYTES + 1)):
        plant(store, tmp_path, {"bad": damaged})
        store.names()
        with pytest.raises(Corrupt) as caught:
            store.read(["bad"])
        shutil.rmtree(tmp_path / "planting", ignore_errors=True)
        plant(store, tmp_path, {"bad": WHOLE})
        refused = store.write([Write("bad", None, caught.value.version)])[0]
        assert isinstance(refused.error, Conflict)
        store.names()
        assert store.read(["bad"])["bad"].document == document("bad")
        shutil.rmtree(tmp_path / "planting", ignore_errors=True)


@pytest.mark.parametrize("size_bytes", [MAX_BYTES, MAX_BYTES + 1])
def test_a_document_is_refused_by_its_size(size_bytes: int, store: StateStore, tmp_path: Path) -> None:
    """It is refused before it is read, so that it takes no memory."""
    put(store, document("good"))
    plant(store, tmp_path, {"large": WHOLE.replace(b'"bad"', b'"large"').rjust(size_bytes)})
    tracemalloc.start()
    try:
        assert store.names() == {"good", "large"}
        assert set(store.read(["good"])) == {"good"}
        if size_bytes > MAX_BYTES:
            refusal = r"large.* is larger than 16 MiB, .*Restore it from a backup"
            with pytest.raises(Corrupt, match=refusal):
                store.read(["good", "large"])
            found = store.read_changes()
            assert set(found.heads) == {"good"}
            assert re.search(refusal, str(found.faults["large"]))
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES / 2
    finally:
        tracemalloc.stop()
    if size_bytes == MAX_BYTES:
        assert set(store.read(["large"])) == {"large"}


def test_reading_changes_nothing(store: StateStore, tmp_path: Path) -> None:
    """Reads leave no lock, marker or object: every byte of the place is the same."""
    version = put(store, document("gone"))
    put(store, document("good"))
    assert store.write([Write("gone", None, version)])[0].error is None
    plant(store, tmp_path, {"bad": b""})
    before = photograph(store, tmp_path)
    assert store.names() == {"bad", "good"}
    assert set(store.read(["good", "gone", "missing"])) == {"good"}
    with pytest.raises(Corrupt):
        store.read(["bad"])
    found = store.read_changes()
    assert (set(found.heads), set(found.faults)) == ({"good"}, {"bad"})
    assert not store.read_changes(found.snapshot).heads
    assert photograph(store, tmp_path) == before


def test_write_access_is_found_without_a_write(store: StateStore, tmp_path: Path) -> None:
    """It is found before and after the first document."""
    before = photograph(store, tmp_path)
    assert store.find_write_access().allowed is not False
    assert photograph(store, tmp_path) == before
    put(store, document())
    before = photograph(store, tmp_path)
    assert store.find_write_access().allowed is not False
    assert photograph(store, tmp_path) == before


# --- between processes -----------------------------------------------------------------------------


@pytest.fixture(params=["folder", *outside("git", "git over http", "objects")])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A `state` setting and the folder it is opened from: what another process needs to open the same store."""
    if request.param == "git":
        return "git:origin/reconciler-state", make_clone(make_remote(tmp_path), tmp_path / "clone")
    if request.param == "git over http":
        return "git:origin/reconciler-state", request.getfixturevalue("http_clone")
    if request.param == "objects":
        return request.getfixturevalue("bucket")().location, tmp_path
    if request.param == "folder":
        return "state", tmp_path
    raise AssertionError(f"say in this fixture which setting opens the store: {request.param}")


WRITERS = 8
# One Python imports this module, and each process is forked from it, where there is a fork.
PROCESSES = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
)
PROCESSES.set_forkserver_preload([__name__])


def test_of_many_writers_exactly_one_wins(place: tuple[str, Path]) -> None:
    """All write over the same version at the same time, each as a separate run."""
    setting, folder = place
    stores = [open_store(setting, folder) for _ in range(WRITERS)]
    version = put(stores[0], document())
    for store in stores:
        store.read(["production"])
    gate = threading.Barrier(WRITERS)
    won: list[int] = []

    def race(number: int) -> None:
        gate.wait()
        written = replace(document(version=str(number)), serial=2)
        result = stores[number].write([Write("production", written, version)])[0]
        if result.error is None:
            won.append(number)
        else:
            assert isinstance(result.error, Conflict)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert stores[0].read(["production"])["production"].document == replace(document(version=str(won[0])), serial=2)
    for store in stores:
        store.close()


def _count_up(setting: str, folder: str, times: int, environ: dict[str, str]) -> None:
    """Add `times` to the serial, again after each lost race. Each writer's documents are its own."""
    os.environ.update(environ)
    store = open_store(setting, Path(folder))
    done = 0
    while done < times:
        stored = store.read(["production"])["production"]
        following = replace(stored.document, serial=stored.document.serial + 1, lineage=str(os.getpid()))
        done += store.write([Write("production", following, stored.version)])[0].error is None
    store.close()


def test_processes_that_count_lose_no_increment(place: tuple[str, Path]) -> None:
    """The compare-and-swap works between processes, not only threads."""
    setting, folder = place
    store = open_store(setting, folder)
    put(store, document())
    arguments = (setting, str(folder), 4, dict(os.environ))
    workers = [PROCESSES.Process(target=_count_up, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert store.read(["production"])["production"].document.serial == 13
    store.close()


def test_a_writer_that_is_killed_leaves_a_whole_document(place: tuple[str, Path]) -> None:
    """After `kill -9` at any moment, a reader sees the old or the new document, and no lock is left."""
    setting, folder = place
    store = open_store(setting, folder)
    put(store, document())
    for _ in range(2):
        before = store.read(["production"])["production"].document.serial
        worker = PROCESSES.Process(target=_count_up, args=(setting, str(folder), 1_000_000, dict(os.environ)))
        worker.start()
        while store.read(["production"])["production"].document.serial < before + 3:
            assert worker.is_alive()
            time.sleep(0.01)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        stored = store.read(["production"])["production"]
        # A request that was sent before the kill may still land: then this is a conflict, and it is read again.
        for _ in range(10):
            following = replace(stored.document, serial=stored.document.serial + 1)
            if store.write([Write("production", following, stored.version)])[0].error is None:
                break
            stored = store.read(["production"])["production"]
        else:
            raise AssertionError("a killed writer keeps others out")
    store.close()
    if setting == "state":
        assert sorted(os.listdir(folder / "state")) == [".lock", "production.json"]
