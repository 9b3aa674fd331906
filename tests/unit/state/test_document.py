"""The encoder and decoder of a state document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.errors import Corrupt, NewerFormat, SeveralUnreadable, StateError, Unreachable
from reconciler.model import (
    EVENTS,
    Applied,
    BodyForm,
    By,
    Document,
    Event,
    Head,
    HistoryEntry,
    Intent,
    LastTry,
    Original,
    Outcome,
)
from reconciler.ports import Write
from reconciler.state.document import (
    MAX_BYTES,
    decode_document,
    decode_head,
    decode_original,
    encode_document,
    encode_write,
    find_write_fault,
    read_each,
    version_of,
)
from reconciler.state.reading import MAX_SERIAL
from tests.fakes import START

URLS = {event: f"https://hooks.example.com.br/é/{event}" for event in EVENTS}


def document() -> Document:
    """Return a document that has every part."""
    by = By("ana", "c0ffee", None)
    return Document(
        *("production", "lineage", 3),
        applied=Applied(
            *("https://plug", None, URLS, {"PLUG_SECRET_A": "hmac-sha256:0"}, START, by),
            adopted=True,
            body=BodyForm.VALUE,
            token_expires_at=START,
        ),
        intent=Intent("i", URLS, True, START, None, by, "https://plug", "org:1"),
        history=(
            HistoryEntry(START, by, {Event.MESSAGE_STATUS: "https://x"}),
            HistoryEntry(START, by, {}, True, "https://before", None, BodyForm.FLAT),
        ),
        last=LastTry(Outcome.REJECTED, 401, "refused", START, by),
    )


def test_a_document_survives_encoding_and_decoding() -> None:
    """Everything is kept, with the webhooks in the order of the vendor's page."""
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
@pytest.mark.parametrize("key", ["a-token", "token", "é\n", "` - at `$.token", "x` - at `$[1234567]"])
def test_an_unknown_key_is_reported_by_its_place_and_not_repeated(
    path: tuple[str | int, ...], fault: str, key: str
) -> None:
    """A user who edited a document sees the place; the key itself may be a token, or look like a place."""
    value = whole = json.loads(encode_document(document()))
    for part in path:
        value = value[part]
    value[key] = 1
    for decode in (decode_document, decode_head):
        with pytest.raises(Corrupt, match=fault) as caught:
            decode(json.dumps(whole).encode(), environment="production", where="here")
        assert not re.search("token|é|1234567", str(caught.value))


REPEATED = "here is corrupt: a key appears twice in it"


@pytest.mark.parametrize("value", [None, '"x"'], ids=["same", "other"])
def test_a_document_with_a_repeated_key_is_corrupt(value: str | None) -> None:
    """It is unknown which of the two was applied. This is tried with every key that has no object or list."""
    lines = encode_document(document()).decode().splitlines()
    tried = 0
    for number, line in enumerate(lines):
        found = re.fullmatch(r'( *"\w+": )(.*?[^{[,]),?', line)
        if found is None:
            continue
        repeated = f"{found[1]}{value or found[2]},"
        edited = "\n".join([*lines[:number], repeated, *lines[number:]]).encode() + b"\n"
        with pytest.raises(Corrupt, match=REPEATED if value is None else "here is corrupt: "):
            decode_head(edited, environment="production", where="here")
        tried += 1
    assert tried > 50


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ('"serial": 3', '"serial": 2, '),
        ('"account": null', '"acc\\u006funt" : "org:2", '),
        ('"PLUG_SECRET_A"', '"PLUG_SECRET_A": "hmac-sha256:1", '),
        ('"applied": {', '"applied": null, '),
    ],
)
def test_a_repeated_key_is_found_in_any_layout(key: str, before: str) -> None:
    text = encode_document(document()).decode()
    assert key in text
    edited = text.replace(key, before + key, 1).encode()
    for decode in (decode_document, decode_original, decode_head):
        with pytest.raises(Corrupt, match=REPEATED):
            decode(edited, environment="production", where="here")


@pytest.mark.parametrize("place", ["webhooks", "secrets"])
def test_an_invalid_name_is_not_repeated(place: str) -> None:
    whole = json.loads(encode_document(document()))
    whole["applied"][place]["a-token"] = 1
    with pytest.raises(Corrupt, match=f"at applied.{place}: ") as caught:
        decode_document(json.dumps(whole).encode(), environment="production", where="here")
    assert "a-token" not in str(caught.value)


@pytest.mark.parametrize("serial", [2**53 + 1, 10**4000])
def test_a_serial_that_can_not_be_counted_on_is_corrupt(serial: int) -> None:
    """The next one might have more digits than Python writes."""
    with pytest.raises(Corrupt, match="at serial"):
        decode_document(changed("serial", to=serial), environment="production", where="here")


def test_the_largest_serial_is_accepted() -> None:
    data = changed("serial", to=MAX_SERIAL)
    assert decode_document(data, environment="production", where="here").document.serial == 2**53


@pytest.mark.parametrize("name", ["environment", "lineage", "serial", "applied", "intent", "history", "format"])
def test_a_document_without_one_of_its_keys_is_corrupt(name: str) -> None:
    """Even keys that may be null are always written."""
    value = json.loads(encode_document(replace(document(), intent=None)))
    del value[name]
    with pytest.raises(Corrupt, match=f"at {name}: it is missing"):
        decode_document(json.dumps(value).encode(), environment="production", where="here")


# --- what is written -------------------------------------------------------------------------------

AS_WRITTEN = """\
{
  "applied": {
    "account": null,
    "adopted": true,
    "at": "2026-11-23T12:00:00Z",
    "body": "value",
    "by": {
      "actor": "ana",
      "commit": "c0ffee",
      "run": null
    },
    "endpoint": "https://plug",
    "secrets": {
      "PLUG_SECRET_A": "hmac-sha256:0"
    },
    "token_expires_at": "2026-11-23T12:00:00Z",
    "webhooks": WEBHOOKS
  },
  "environment": "production",
  "format": "reconciler.state/2",
  "history": [
    {
      "at": "2026-11-23T12:00:00Z",
      "by": {
        "actor": "ana",
        "commit": "c0ffee",
        "run": null
      },
      "webhooks": {
        "messageStatus": "https://x"
      }
    },
    {
      "account": null,
      "adopted": true,
      "at": "2026-11-23T12:00:00Z",
      "body": "flat",
      "by": {
        "actor": "ana",
        "commit": "c0ffee",
        "run": null
      },
      "endpoint": "https://before",
      "webhooks": {}
    }
  ],
  "intent": {
    "account": "org:1",
    "at": "2026-11-23T12:00:00Z",
    "by": {
      "actor": "ana",
      "commit": "c0ffee",
      "run": null
    },
    "doubt": true,
    "endpoint": "https://plug",
    "id": "i",
    "lease_until": null,
    "webhooks": WEBHOOKS
  },
  "last": {
    "at": "2026-11-23T12:00:00Z",
    "by": {
      "actor": "ana",
      "commit": "c0ffee",
      "run": null
    },
    "message": "refused",
    "outcome": "rejected",
    "status": 401
  },
  "lineage": "lineage",
  "serial": 3
}
"""


def test_a_document_is_written_so_that_its_diff_can_be_reviewed() -> None:
    """The bytes are fixed, as other tools and other versions read them."""
    urls = ",\n".join(f'      "{event}": "https://hooks.example.com.br/\\u00e9/{event}"' for event in sorted(EVENTS))
    assert encode_document(document()).decode() == AS_WRITTEN.replace("WEBHOOKS", f"{{\n{urls}\n    }}")


def test_a_head_is_a_document_without_history_and_last_try() -> None:
    whole = document()
    head = decode_head(encode_document(whole), environment="production", where="here")
    assert head == Head(whole.environment, whole.lineage, whole.serial, whole.applied, whole.intent)


def former() -> tuple[bytes, Document]:
    """Return a document in the previous format, and what it means."""
    whole = document()
    assert whole.applied is not None and whole.intent is not None
    said = replace(
        whole,
        applied=replace(whole.applied, body=BodyForm.FLAT, token_expires_at=None),
        intent=replace(whole.intent, endpoint=None, account=None),
        history=tuple(replace(entry, endpoint=None, account=None, body=None) for entry in whole.history),
        last=None,
    )
    value = json.loads(encode_document(said))
    value["format"] = "reconciler.state/1"
    del value["last"], value["applied"]["body"], value["applied"]["token_expires_at"]
    del value["intent"]["endpoint"], value["intent"]["account"]
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n", said


@pytest.mark.parametrize("text", ["reconciler.state/1", "reconciler.state\\/1"])
def test_a_document_of_the_former_format_is_read_and_written_as_the_latest(text: str) -> None:
    """Keys that it did not have are null, and the body was flat. PHP escapes slashes."""
    data, said = former()
    data = data.replace(b"reconciler.state/1", text.encode())
    read = decode_document(data, environment="production", where="here").document
    assert read == said
    assert json.loads(encode_document(read))["format"] == "reconciler.state/2"
    head = decode_head(data, environment="production", where="here")
    assert head == Head(said.environment, said.lineage, said.serial, said.applied, said.intent)


def test_an_original_has_the_bytes_that_are_stored() -> None:
    """The former format and another layout are kept too."""
    data, said = former()
    data = json.dumps(json.loads(data)).encode()
    assert decode_original(data, environment="production", where="here") == Original(said, data)
    assert encode_write(Write("production", said, None, data)) == data


# --- what this version could not read again --------------------------------------------------------


def large(more: int) -> Document:
    """Return a document whose encoding is `more` bytes above the limit."""
    filled = replace(document(), lineage="x")
    return replace(filled, lineage="x" * (MAX_BYTES - len(encode_document(filled)) + 1 + more))


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (replace(document(), serial=MAX_SERIAL), None),
        (replace(document(), serial=MAX_SERIAL + 1), "its serial would pass 9007199254740992"),
        (large(0), None),
        (large(1), "it would take 16777217 bytes, and only 16777216 can be read"),
        (replace(document(), lineage="a\ud800"), "a text in it has half a character"),
    ],
    ids=["last serial", "serial", "largest", "size", "surrogate"],
)
def test_a_document_that_could_not_be_read_again_is_not_written(written: Document, fault: str | None) -> None:
    """The check before anything is sent agrees with the stores' own check."""
    if fault is None:
        assert find_write_fault(written) is None
        data = encode_write(Write("production", written, None))
        assert data is not None and len(data) <= MAX_BYTES
        assert decode_document(data, environment="production", where="here").document == written
        return
    assert fault in (find_write_fault(written) or "")
    with pytest.raises(StateError, match=fault):
        encode_write(Write("production", written, None))


def test_adopted_is_written_only_if_true() -> None:
    plain = document()
    assert plain.applied is not None and plain.intent is not None
    plain = replace(
        plain,
        applied=replace(plain.applied, adopted=False, account="org:1"),
        intent=replace(plain.intent, doubt=False, lease_until=START),
        history=(),
    )
    value = json.loads(encode_document(plain))
    assert "adopted" not in value["applied"]
    assert value["applied"]["account"] == "org:1"
    assert value["intent"]["lease_until"] == "2026-11-23T12:00:00Z"
    assert decode_document(encode_document(plain), environment="production", where="here").document == plain


def test_a_document_with_nothing_in_it_survives_too() -> None:
    bare = Document("production", "lineage", 1, None, None, ())
    assert decode_document(encode_document(bare), environment="production", where="here").document == bare


def test_the_version_is_that_of_the_bytes() -> None:
    stored = decode_document(encode_document(document()), environment="production", where="here")
    assert stored.version == version_of(encode_document(document()))
    assert stored.version != version_of(encode_document(replace(document(), serial=4)))


# --- what is refused -------------------------------------------------------------------------------


def changed(*path: str | int, to: Any) -> bytes:
    value = whole = json.loads(encode_document(document()))
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = to
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"[]", "should be an object"),
        (b'"reconciler.state/2"', "should be an object"),
        (b"{", "not valid JSON, from line 1, column 2"),
        (b"\xff", "not valid JSON in UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"last": ' + b'{"a": ' * 100_000, "it is nested too deeply"),
        (changed("lineage", to="\ud800"), "not valid JSON in UTF-8"),
        (changed("serial", to=float("nan")), "not valid JSON"),
        (changed("last", "status", to=1).replace(b": 1}", b": " + b"9" * 5000 + b"}"), "at last.status: "),
        (changed("last", "status", to=2**53 + 1), "at last.status: "),
        (changed("last", "status", to=401.0), "at last.status: "),
        (changed("environment", to="Production"), "at environment: "),
        (changed("environment", to=""), "at environment: "),
        (changed("environment", to="production\n"), "at environment: "),
        (changed("environment", to="staging"), "holds another environment's document, 'staging'"),
        (changed("format", to="reconciler.state/0"), "at format: "),
        (changed("format", to="reconciler.state/01"), "at format: "),
        (changed("format", to="reconciler.state/2x"), "at format: "),
        (changed("format", to="reconciler.state/9999999"), "at format: "),
        (changed("format", to=2), "at format: "),
        (changed("applied", "body", to="nested"), "at applied.body: "),
        (changed("applied", "token_expires_at", to="soon"), "at applied.token_expires_at: "),
        (changed("intent", "endpoint", to=""), "at intent.endpoint: "),
        (changed("intent", "account", to=1), "at intent.account: "),
        (changed("history", 1, "endpoint", to=""), "at history.1.endpoint: "),
        (changed("last", to={}), "at last.outcome: "),
        (changed("last", "outcome", to="done"), "at last.outcome: "),
        (changed("last", "status", to="401"), "at last.status: "),
        (changed("last", "at", to="2026-11-23"), "at last.at: "),
        (changed("lineage", to=""), "at lineage: "),
        (changed("lineage", to=None), "at lineage: "),
        (changed("serial", to=0), "at serial: "),
        (changed("serial", to="1"), "at serial: "),
        (changed("serial", to=1.5), "at serial: "),
        (changed("serial", to=True), "at serial: "),
        (changed("applied", to=[]), "at applied: "),
        (changed("applied", "endpoint", to=""), "at applied.endpoint: "),
        (changed("applied", "account", to=1), "at applied.account: "),
        (changed("applied", "adopted", to="yes"), "at applied.adopted: "),
        (changed("applied", "adopted", to=1), "at applied.adopted: "),
        (changed("applied", "at", to="2026-11-23T12:00:00"), "at applied.at: "),
        (changed("applied", "at", to="2026-11-23"), "at applied.at: "),
        (changed("applied", "at", to=0), "at applied.at: "),
        (changed("applied", "at", to="0001-01-01T00:00:00+14:00"), "at applied.at: .*within the calendar"),
        (changed("applied", "at", to="9999-12-31T23:59:59-14:00"), "at applied.at: .*within the calendar"),
        (changed("applied", "by", to=None), "at applied.by: "),
        (changed("applied", "by", "actor", to=1), "at applied.by.actor: "),
        (changed("applied", "secrets", "PLUG_SECRET_A", to=None), "at applied.secrets: "),
        (changed("applied", "webhooks", to={}), "at applied.webhooks.*: it is missing"),
        (changed("applied", "webhooks", "messageStatus", to=""), "at applied.webhooks.messageStatus: "),
        (changed("applied", "webhooks", "messageStatus", to=None), "at applied.webhooks.messageStatus: "),
        (changed("intent", "id", to=""), "at intent.id: "),
        (changed("intent", "doubt", to=0), "at intent.doubt: "),
        (changed("intent", "lease_until", to="soon"), "at intent.lease_until: "),
        (changed("intent", "webhooks", to={"messageStatus": "https://x"}), "at intent.webhooks.*: it is missing"),
        (changed("history", to={}), "at history: "),
        (changed("history", 1, to=None), "at history.1: "),
        (changed("history", 0, "webhooks", "messageStatus", to=""), "at history.0.webhooks.messageStatus: "),
    ],
)
def test_a_document_that_no_version_wrote_is_corrupt(data: bytes, fault: str) -> None:
    """Head and document are refused alike, with the place and what to do."""
    for decode in (decode_document, decode_head):
        with pytest.raises(Corrupt, match=fault) as caught:
            decode(data, environment="production", where="states/production.json")
        assert str(caught.value).startswith("state of production: states/production.json ")
        assert "backup or the history of the store" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T12:00:00.000001Z", START.replace(microsecond=1)),
        ("2026-11-23T12:00:00.5Z", START.replace(microsecond=500_000)),
        ("2026-11-23 12:00:00Z", START),
        ("2026-11-23T12:00:00+00:00", START),
        ("2026-11-23T09:00:00-03:00", START),
        ("2026-11-23t12:00:00Z", None),
        ("2026-11-23T12:00:00z", None),
        ("2026-11-23T12:00:00.1234567Z", None),
        ("2026-11-23T12:00:00+0000", None),
        ("2026-11-23T12:00:00+24:00", None),
        ("2026-11-23T12:00Z", None),
        ("2026-11-23T12:00:60Z", None),
        ("2026-02-29T12:00:00Z", None),
        ("2026-11-23T12:00:00Z\n", None),
        ("٢٠٢٦-11-23T12:00:00Z", None),
    ],
)
def test_an_instant_has_a_zone_and_no_other_forms(text: str, instant: datetime | None) -> None:
    """An older version refuses the other forms, so this one does too."""
    data = changed("applied", "at", to=text)
    if instant is None:
        with pytest.raises(Corrupt, match=r"at applied\.at: it should be a time "):
            decode_head(data, environment="production", where="here")
    else:
        applied = decode_head(data, environment="production", where="here").applied
        assert applied is not None and applied.at == instant


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_calendars_first_and_last_years_are_within_it(year: str) -> None:
    data = changed("applied", "at", to=f"{year}-06-01T00:00:00Z")
    applied = decode_document(data, environment="production", where="here").document.applied
    assert applied is not None and applied.at.year == int(year)


@pytest.mark.parametrize("data", [b"", encode_document(document())])
def test_an_invalid_environment_name_is_reported_before_its_document(data: bytes) -> None:
    with pytest.raises(
        Corrupt, match=re.escape("state: Notes.json: not a valid environment name. Move the document out")
    ):
        decode_document(data, environment="Notes", where="Notes.json")


@pytest.mark.parametrize("newer", ["reconciler.state/3", "reconciler.state/10", "reconciler.state/999999"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_newer_format_is_recognized_with_any_other_content(newer: str, whole: bool) -> None:
    """A later version may write anything, so only the format counts."""
    data = changed("format", to=newer) if whole else json.dumps({"format": newer, "environments": []}).encode()
    with pytest.raises(NewerFormat, match=re.escape(f"here has the format {newer!r}, newer than reconciler.state/2.")):
        decode_document(data, environment="production", where="here")


def test_the_actor_may_be_unknown() -> None:
    """The document may be old, or the run outside of git and GitHub."""
    data = changed("applied", "by", to={})
    applied = decode_document(data, environment="production", where="here").document.applied
    assert applied is not None and applied.by == By(None, None, None)


# --- many of them ----------------------------------------------------------------------------------


def reading(found: dict[str, int | StateError]) -> Callable[[str], int | None]:
    def read_one(name: str) -> int | None:
        one = found.get(name)
        if isinstance(one, StateError):
            raise one
        return one

    return read_one


def test_environments_without_a_document_are_left_out() -> None:
    assert read_each("abc", reading({"a": 0, "c": 2})) == {"a": 0, "c": 2}


def test_the_error_of_a_single_unreadable_document_is_raised() -> None:
    fault = Corrupt("b is cut off")
    with pytest.raises(Corrupt) as caught:
        read_each("abc", reading({"a": 1, "b": fault, "c": 2}))
    assert caught.value is fault


def test_all_unreadable_documents_are_reported_at_once() -> None:
    """Each has a line, so that one fix does not only reveal the next fault."""
    faults = {"b": Unreachable("b is away"), "d": Corrupt("d is cut off")}
    with pytest.raises(SeveralUnreadable) as caught:
        read_each("abcd", reading({"a": 1, **faults}))
    assert caught.value.faults == tuple(faults.values())
    assert str(caught.value) == "b is away\nd is cut off"
