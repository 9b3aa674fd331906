"""Edits of a state by the user: unlock, rename, and the copy between stores (docs/state.md)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.core.record import Claim, adopt, begin_intent, clear, mark_in_doubt
from reconciler.errors import InputError, Locked, StateError, Unreachable
from reconciler.model import By, Document, Fingerprint, Snapshot, Stored
from reconciler.ports import Changes, Shrink, StateStore, Write, keep_head
from reconciler.run.state_edits import (
    check_rename,
    copy,
    find_stored,
    read_healthy,
    rename,
    unlock,
)
from reconciler.state.folder import FolderStore
from tests.fakes import START, FaultyStore, Killed, StoreFault, adopt_by_hand, make_desired
from tests.memory_store import MemoryStore, filled

FAULTS = [None, *StoreFault]


def applied(name: str) -> Document:
    return adopt(None, make_desired(name), Fingerprint(), START, By("ana"), lineage="l")


def intent(name: str) -> Document:
    return begin_intent(applied(name), make_desired(name, "2"), Claim("i", "l", START, 900, By("ana")))


def test_a_copy_has_the_same_bytes() -> None:
    """This includes serials, lineages, doubt and history."""
    source, target = filled(applied("a"), mark_in_doubt(intent("b"))), MemoryStore()
    assert copy(source, target, START) == 2
    assert target.documents == source.documents


def test_a_target_with_a_state_is_refused() -> None:
    """It is not changed."""
    target = filled(applied("c"))
    before = dict(target.documents)
    with pytest.raises(StateError, match="not empty: it holds c"):
        copy(filled(applied("a")), target, START)
    assert target.documents == before


def test_a_live_intent_is_refused() -> None:
    """Its run would write its outcome to the old store."""
    target = MemoryStore()
    with pytest.raises(Locked, match="before you copy") as caught:
        copy(filled(applied("a"), intent("b")), target, START)
    assert (caught.value.environment, caught.value.intent) == ("b", intent("b").intent)
    assert target.documents == {}


def test_a_copy_that_fails_says_so() -> None:
    target = FaultyStore()
    target.faults.append(StoreFault.FAILS)
    with pytest.raises(StateError, match=r"no space left.*\ncopied 0 of 2 documents to memory\. Keep using the old"):
        copy(filled(applied("a"), applied("b")), target, START)


def test_a_copy_that_loses_a_race_says_how_far_it_came() -> None:
    """Another process wrote to the new store after the copy had looked at it."""
    target = FaultyStore()
    target.before_write = lambda writes: adopt_late(target.inner)
    with pytest.raises(StateError) as caught:
        copy(filled(applied("a"), applied("b")), target, START)
    first, second = str(caught.value).split("\n")
    assert first == "state of b: another run wrote it in between"
    assert second.startswith("copied 1 of 2 documents to memory. Keep using the old state")


def adopt_late(store: MemoryStore) -> None:
    adopt_by_hand(store, make_desired("b", "2"), Fingerprint(), START, By("eve"))


def test_an_interrupted_copy_is_completed() -> None:
    """Documents that equal the source's count; anything else is refused and not changed."""
    source, target = filled(applied("a"), mark_in_doubt(intent("b")), applied("c")), filled(mark_in_doubt(intent("b")))
    assert copy(source, target, START) == 3
    assert target.documents == source.documents
    assert copy(source, target, START) == 3
    other = filled(applied("a"), intent("b"), applied("d"))
    before = dict(other.documents)
    with pytest.raises(StateError, match="not empty: it holds b, d"):
        copy(source, other, START)
    assert other.documents == before


def carry_over(store: StateStore) -> None:
    rename(store, check_rename(store, ("old", "new"), ["new"], START))


@pytest.fixture(params=["memory", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path / "state")


@pytest.mark.parametrize("memory", [applied("old"), mark_in_doubt(intent("old"))], ids=["settled", "in doubt"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("write", [0, 1])
def test_an_interrupted_rename_loses_nothing_and_is_completed(
    memory: Document, fault: StoreFault | None, write: int, place: StateStore
) -> None:
    """At either write and with any failure, the record exists at every moment, and a second call completes it."""
    assert place.write([Write("old", memory, None)])[0].error is None
    faulty = FaultyStore()
    faulty.inner = place  # type: ignore[assignment]
    faulty.faults.extend([*[None] * write, fault])
    with contextlib.suppress(Killed, Unreachable):
        carry_over(faulty)
    expected = replace(memory, environment="new", serial=memory.serial + 1)
    kept = {name: one.document for name, one in place.read(["old", "new"]).items()}
    assert kept.get("old") == memory or kept.get("new") == expected
    assert all(one in (memory, expected) for one in kept.values())
    if "old" in kept:
        carry_over(place)
    assert {name: one.document for name, one in place.read(place.names()).items()} == {"new": expected}


def test_a_rename_is_refused_if_a_manifest_still_names_the_old_one() -> None:
    store = filled(applied("old"))
    before = dict(store.documents)
    with pytest.raises(InputError, match="a manifest still names 'old'"):
        check_rename(store, ("old", "new"), ["old", "new"], START)
    with pytest.raises(InputError, match="'old' is the old name too"):
        check_rename(store, ("old", "old"), [], START)
    assert store.documents == before


@pytest.mark.parametrize("standing", [applied("new"), mark_in_doubt(intent("new"))], ids=["applied", "intent"])
def test_a_rename_never_replaces_a_record(standing: Document) -> None:
    store = filled(applied("old"), standing)
    before = dict(store.documents)
    with pytest.raises(InputError, match="'new' has an applied record or an intent of its own"):
        carry_over(store)
    assert store.documents == before


def test_a_rename_replaces_a_document_without_a_record() -> None:
    """A rejected first apply leaves such a document."""
    first = begin_intent(None, make_desired("new"), Claim("i", "l", START, 900, By("ana")))
    store = filled(applied("old"), clear(first))
    carry_over(store)
    assert store.names() == {"new"}
    assert find_stored(store, "new").document == replace(applied("old"), environment="new", serial=2)


@pytest.mark.parametrize("name", ["old", "new"])
def test_a_rename_waits_for_a_live_intent(name: str) -> None:
    store = filled(*{"old": applied("old"), name: intent(name)}.values())
    with pytest.raises(Locked, match=f"{name}: .*before you rename"):
        carry_over(store)


def test_a_rename_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'old' is not in the state"):
        carry_over(filled(applied("new")))


def test_an_unlock_releases_the_lease_and_keeps_the_intent_in_doubt() -> None:
    store = filled(intent("a"))
    assert unlock(store, find_stored(store, "a"))
    standing = find_stored(store, "a").document
    assert standing.intent is not None and standing.intent.doubt and standing.intent.lease_until is None


@pytest.mark.parametrize("document", [applied("a"), mark_in_doubt(intent("a"))], ids=["no intent", "no lease"])
def test_an_unlock_without_a_lease_writes_nothing(document: Document) -> None:
    store = filled(document)
    before = dict(store.documents)
    assert not unlock(store, find_stored(store, "a"))
    assert store.documents == before


def test_a_copy_keeps_the_former_format() -> None:
    """A copy is no write: the next apply writes the latest format."""
    source, target = filled(applied("a")), MemoryStore()
    value = json.loads(source.documents["a"])
    value["format"] = "reconciler.state/1"
    source.documents["a"] = json.dumps(value).encode()
    assert copy(source, target, START) == 1
    assert target.documents == source.documents


def test_an_adoption_that_could_not_be_read_again_is_refused() -> None:
    store = filled(replace(applied("a"), serial=2**53))
    before = dict(store.documents)
    with pytest.raises(StateError, match="could not be read again: its serial"):
        adopt_by_hand(store, make_desired("a"), Fingerprint(), START, By("ana"))
    assert store.documents == before


@pytest.mark.parametrize("bad", [["b"], ["b", "d"], []])
def test_the_healthy_documents_are_read_beside_the_bad_ones(bad: list[str]) -> None:
    """Each bad document has its error, and only requested ones are reported."""
    store = filled(applied("a"), applied("c"))
    store.documents |= dict.fromkeys([*bad, "x"], b"{")
    found, faults = read_healthy(store, ["a", *bad, "c"])
    assert found.keys() == {"a", "c"}
    assert [str(fault).split(":")[0] for fault in faults] == [f"state of {name}" for name in bad]


class UnreachableStore(MemoryStore):
    """A store that does not answer."""

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        raise Unreachable("away")

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        raise Unreachable("away")


def test_a_store_that_does_not_answer_has_no_bad_document() -> None:
    with pytest.raises(Unreachable):
        read_healthy(UnreachableStore(), ["a"])
