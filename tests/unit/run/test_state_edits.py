"""Mending a state by hand: unlock, and moving it between stores (CONTRACT §7)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.core.record import Claim, adopt, begin_intent, doubt
from reconciler.errors import Conflict, Locked, StateError, Unreachable
from reconciler.model import By, Document, Fingerprint
from reconciler.ports import Write
from reconciler.run.state_edits import adopt as adopt_by_hand
from reconciler.run.state_edits import copy, find_stored, unlock
from tests.fakes import START, FaultyStore, StoreFault, make_desired
from tests.memory_store import MemoryStore


def filled(*documents: Document) -> MemoryStore:
    store = MemoryStore()
    for result in store.write([Write(one.environment, one, None) for one in documents]):
        assert result.error is None
    return store


def applied(name: str) -> Document:
    return adopt(None, make_desired(name), Fingerprint(), START, By("ana"), lineage="l")


def intent(name: str) -> Document:
    return begin_intent(applied(name), make_desired(name, "2"), Claim("i", "l", START, 900, By("ana")))


def test_a_copy_is_the_same_to_the_byte() -> None:
    """Serials, lineages, doubt and history included."""
    source, target = filled(applied("a"), doubt(intent("b"))), MemoryStore()
    assert copy(source, target, START) == 2
    assert target.documents == source.documents


def test_a_target_with_a_state_is_refused() -> None:
    """And left as it is."""
    target = filled(applied("c"))
    before = dict(target.documents)
    with pytest.raises(Conflict, match="not empty: it holds c"):
        copy(filled(applied("a")), target, START)
    assert target.documents == before


def test_a_live_intent_is_refused() -> None:
    """Its run would write its outcome to the old store."""
    target = MemoryStore()
    with pytest.raises(Locked, match="before you copy"):
        copy(filled(applied("a"), intent("b")), target, START)
    assert target.documents == {}


def test_a_copy_that_fails_says_so() -> None:
    target = FaultyStore()
    target.faults.append(StoreFault.FAILS)
    with pytest.raises(Unreachable, match="no space left"):
        copy(filled(applied("a"), applied("b")), target, START)


def test_an_unlock_releases_the_lease_and_keeps_the_intent_in_doubt() -> None:
    store = filled(intent("a"))
    assert unlock(store, find_stored(store, "a"))
    standing = find_stored(store, "a").document
    assert standing.intent is not None and standing.intent.doubt and standing.intent.lease_until is None


@pytest.mark.parametrize("document", [applied("a"), doubt(intent("a"))], ids=["no intent", "no lease"])
def test_an_unlock_of_what_nobody_holds_writes_nothing(document: Document) -> None:
    store = filled(document)
    before = dict(store.documents)
    assert not unlock(store, find_stored(store, "a"))
    assert store.documents == before


def test_a_copy_keeps_the_former_format() -> None:
    """It is no write: the next apply makes it the latest."""
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
