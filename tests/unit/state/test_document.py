"""The document's own encoder and decoder, which take no detour over a library's objects."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Corrupt
from reconciler.model import EVENTS, Applied, By, Document, Event, HistoryEntry, Intent
from reconciler.state.document import _canonical, decode_document, decode_head, encode_document
from tests.fakes import START

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
URLS = {event: f"https://hooks.example.com.br/é/{event}" for event in EVENTS}


def document() -> Document:
    """One that has everything."""
    by = By("ana", "c0ffee", None)
    return Document(
        *("production", "lineage", 3),
        applied=Applied("https://plug", None, URLS, {"PLUG_SECRET_A": "hmac-sha256:0"}, START, by, adopted=True),
        intent=Intent("i", URLS, True, START, None, by),
        history=(HistoryEntry(START, by, {Event.MESSAGE_STATUS: "https://x"}), HistoryEntry(START, by, {}, True)),
    )


@given(VALUES)
def test_the_encoder_writes_what_the_librarys_would(value: Any) -> None:
    """Sorted keys, two spaces, ASCII: byte for byte that of `json.dumps`."""
    assert _canonical(value, "") == json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True)


def test_a_document_survives_the_way_out_and_in() -> None:
    """All of it, with its webhooks in the order of the vendor's page again."""
    read = decode_document(encode_document(document()), environment="production", where="here").document
    assert read == document()
    assert read.applied is not None
    assert list(read.applied.webhooks) == list(EVENTS)
    assert all(type(event) is Event for event in read.applied.webhooks)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ((), "is corrupt: a key that no document has"),
        (("applied",), "is corrupt: at applied: a key that no document has"),
        (("applied", "by"), "is corrupt: at applied.by: a key that no document has"),
        (("intent",), "is corrupt: at intent: a key that no document has"),
        (("history", 0), "is corrupt: at history.0: a key that no document has"),
    ],
)
def test_a_key_too_many_is_told_with_its_place_and_not_repeated(path: tuple[str | int, ...], fault: str) -> None:
    """Whoever edited a document by hand sees where; the key itself may be a token."""
    value = whole = json.loads(encode_document(document()))
    for part in path:
        value = value[part]
    value["a-token"] = 1
    for decode in (decode_document, decode_head):
        with pytest.raises(Corrupt, match=fault) as caught:
            decode(json.dumps(whole).encode(), environment="production", where="here")
        assert "a-token" not in str(caught.value)


@pytest.mark.parametrize("place", ["webhooks", "secrets"])
def test_a_name_that_is_none_is_not_repeated(place: str) -> None:
    whole = json.loads(encode_document(document()))
    whole["applied"][place]["a-token"] = 1
    with pytest.raises(Corrupt, match=f"at applied.{place}: ") as caught:
        decode_document(json.dumps(whole).encode(), environment="production", where="here")
    assert "a-token" not in str(caught.value)


@pytest.mark.parametrize("serial", [2**53 + 1, 10**4000])
def test_a_serial_that_can_not_be_counted_on_is_corrupt(serial: int) -> None:
    """The next one might have more digits than Python writes."""
    value = {**json.loads(encode_document(document())), "serial": serial}
    with pytest.raises(Corrupt, match="at serial"):
        decode_document(json.dumps(value).encode(), environment="production", where="here")


@pytest.mark.parametrize("name", ["environment", "lineage", "serial", "applied", "intent", "history", "format"])
def test_a_document_without_one_of_its_keys_is_corrupt(name: str) -> None:
    """Also where the program could go on without: `null` is written out."""
    value = json.loads(encode_document(replace(document(), intent=None)))
    del value[name]
    with pytest.raises(Corrupt, match=f"at {name}: Field required"):
        decode_document(json.dumps(value).encode(), environment="production", where="here")
