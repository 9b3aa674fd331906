"""The parsed events of Plug: they are readable, and nothing is lost (docs/plug-api.md#what-plug-sends)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import EVENTS, Event
from reconciler.plug.events import (
    MAX_DEPTH,
    Body,
    Category,
    FinishAttendance,
    MessageDeliveryError,
    MessageState,
    MessageStatus,
    ReceiveMessage,
    SendingMessage,
    StartAttendance,
    UnreadableEvent,
    WhenDisconnecting,
    parse_event,
)
from reconciler.plug.examples import example_bodies

DOCUMENTED = [(event, body) for event in EVENTS for body in example_bodies(event)]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
jsons = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
# names of the API, so that the interesting places are hit
names = st.sampled_from(
    ["attendance", "chat", "momment", "text", "message", "ids", "status", "phone", "attendanceCategory",
     "attendanceCategories", "customer", "startTime", "fromMe", "phoneDevice", "id", "operatorReport ", "moment", "raw",
     "to_body", "event", "model_dump", "_raw", "__class__", "self"]
)  # fmt: skip
objects = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner), max_leaves=20
).map(lambda value: value if isinstance(value, dict) else {"attendance": value})


def find_unknown(value: object, place: str = "") -> dict[str, object]:
    """Return the attributes that the types don't have, on every level."""
    inner: Iterable[tuple[object, object]] = ()
    found: dict[str, object] = {}
    if isinstance(value, Body):
        found = {f"{place}.{name}": unknown for name, unknown in (value.model_extra or {}).items()}
        inner = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, one in inner:
        found |= find_unknown(one, f"{place}.{name}")
    return found


# --- nothing is lost -------------------------------------------------------------------------------


@pytest.mark.parametrize(("event", "body"), DOCUMENTED)
def test_a_documented_body_comes_out_as_it_went_in(event: Event, body: bytes) -> None:
    """Keys, order and values are the same, and no attribute is unknown, on any level."""
    forms: tuple[Any, ...] = (body, body.decode(), bytearray(body), b"\xef\xbb\xbf" + body, json.loads(body))
    for given_as in forms:
        parsed = parse_event(event, given_as)
        assert parsed.event is event
        assert json.dumps(parsed.to_body()) == json.dumps(json.loads(body))
        assert find_unknown(parsed) == {}
    assert parse_event(event.value, body) == parse_event(event, body)


@pytest.mark.parametrize(("event", "body"), DOCUMENTED)
def test_unknown_fields_are_kept_in_their_place(event: Event, body: bytes) -> None:
    """They may have any name, on every level."""
    value = json.loads(body)
    value = {"moment": 1, "first": [None], **value, "image": {"url": "x", "size": 1e3}, "to_body": "y", "raw": 0}
    nested = value.keys() & {"attendance", "text"}
    for one in nested:
        value[one] = {"neu": 1, **value[one], "z": {"a": []}}
    parsed = parse_event(event, json.dumps(value))
    assert json.dumps(parsed.to_body()) == json.dumps(value)
    expected = {
        "moment",
        "first",
        "image",
        "to_body",
        "raw",
        *(f"{one}.{key}" for one in nested for key in ("neu", "z")),
    }
    assert find_unknown(parsed).keys() == {f".{name}" for name in expected}
    assert parsed.model_extra is not None
    assert parsed.model_extra["image"] == {"url": "x", "size": 1e3}
    assert parsed.model_extra["moment"] == 1


@given(objects)
def test_what_can_be_parsed_comes_out_as_it_went_in(value: dict[str, Any]) -> None:
    """The object has any values at the API's attributes."""
    for event in EVENTS:
        try:
            parsed = parse_event(event, json.dumps(value))
        except UnreadableEvent:
            continue
        assert json.dumps(parsed.to_body()) == json.dumps(value)
        assert parsed.raw == value


def test_a_parsed_event_shares_nothing_with_the_callers_body() -> None:
    """A later change of the mapping, or of a returned body, does not change the event."""
    value = {"text": {"message": "a"}, "image": {"url": "x"}}
    parsed = parse_event("receiveMessage", value)
    value["image"]["url"] = "y"
    parsed.to_body()["text"]["message"] = "b"
    assert parsed.to_body() == {"text": {"message": "a"}, "image": {"url": "x"}}
    with pytest.raises(ValueError, match="frozen"):
        parsed.phone = "1"  # type: ignore[union-attr, misc]


def test_a_part_that_is_put_into_another_event_keeps_what_came() -> None:
    """A receiver's author makes such an event in a test."""
    parsed = parse_event("receiveMessage", {"text": {"message": "a", "neu": 1}})
    assert isinstance(parsed, ReceiveMessage) and parsed.text is not None
    made = ReceiveMessage.model_validate({"phone": "1", "text": parsed.text})
    assert made.text is parsed.text
    assert parsed.text.to_body() == {"message": "a", "neu": 1}
    assert ReceiveMessage.model_validate(parsed).to_body() == parsed.to_body()


# --- readable --------------------------------------------------------------------------------------


def test_both_forms_of_the_categories_are_read_as_one() -> None:
    """One category, or a list of them with items."""
    one, several = (parse_event("finishAttendance", body) for body in example_bodies(Event.FINISH_ATTENDANCE))
    assert isinstance(one, FinishAttendance)
    assert isinstance(several, FinishAttendance)
    assert one.attendance is not None
    assert several.attendance is not None
    assert one.attendance.categories == (Category("id da categoria", "nome da categoria", "#DDDD"),)
    item = ("id_item_vinculado_na_categoria", "Nome do item")
    assert several.attendance.categories == (
        Category("id_categoria", "Padrão", "cor_categoria", *item),
        Category("id_categoria", "nome_categoria", "cor_categoria", *item),
    )
    assert one.attendance.operator_report == "Relato do operador"
    assert one.attendance.department == "Nome do departamento"
    assert one.attendance.number == 1492
    assert one.attendance.ended_at == datetime(2022, 4, 27, 13, 18, 1, 865000, tzinfo=UTC)
    assert one.attendance.raw["endTime"] == 1651065481865
    none = parse_event("finishAttendance", {"attendance": {"attendanceCategories": []}})
    assert isinstance(none, FinishAttendance)
    assert none.attendance is not None
    assert none.attendance.categories == ()


def test_a_chat_maps_message_ids_to_messages() -> None:
    """Their order is kept."""
    started = parse_event("startAttendance", example_bodies(Event.START_ATTENDANCE)[0])
    assert isinstance(started, StartAttendance)
    assert list(started.chat) == ["ID_DA_MENSAGEM_1", "ID_DA_MENSAGEM_2"]
    second = started.chat["ID_DA_MENSAGEM_2"]
    assert (second.from_me, second.is_automatic_message) == (True, True)
    assert second.text is not None
    assert second.text.message == "só um momento"
    assert started.attendance is not None
    assert started.attendance.operator == "Nome do operador"
    nothing = parse_event("startAttendance", {"chat": None})
    assert isinstance(nothing, StartAttendance)
    assert (nothing.chat, nothing.to_body()) == ({}, {"chat": None})


def test_the_other_events_have_their_attributes() -> None:
    """Under readable names."""
    received = parse_event("receiveMessage", example_bodies(Event.RECEIVE_MESSAGE)[0])
    status = parse_event("messageStatus", example_bodies(Event.MESSAGE_STATUS)[0])
    sent = parse_event("sendingMessage", example_bodies(Event.SENDING_MESSAGE)[0])
    lost = parse_event("whenDisconnecting", example_bodies(Event.WHEN_DISCONNECTING)[0])
    failed = parse_event("messageDeliveryError", b'{"error": {"code": 7}}')
    assert isinstance(received, ReceiveMessage)
    assert received.text is not None
    assert (received.text.message, received.sender_lid, received.participant_phone) == (
        "teste", "81896604192873@lid", None,
    )  # fmt: skip
    assert isinstance(status, MessageStatus)
    assert (status.status, status.phone_device) == (MessageState.SENT, 0)
    assert isinstance(sent, SendingMessage)
    assert sent.zaap_id == "A20DA9C0183A2D35A260F53F5D2B9244"
    assert isinstance(lost, WhenDisconnecting)
    assert (lost.moment, lost.raw["momment"]) == (datetime(2020, 1, 27, 22, 15, 42, tzinfo=UTC), 1580163342)
    assert isinstance(failed, MessageDeliveryError)
    assert failed.model_extra == {"error": {"code": 7}}


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        (1632228638000, datetime(2021, 9, 21, 12, 50, 38, tzinfo=UTC)),
        (1632228638, datetime(2021, 9, 21, 12, 50, 38, tzinfo=UTC)),
        (1632228638000.5, datetime(2021, 9, 21, 12, 50, 38, 500, tzinfo=UTC)),
        ("1632228638000", datetime(2021, 9, 21, 12, 50, 38, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_time_is_milliseconds_or_seconds(raw: object, at: datetime | None) -> None:
    """An aware UTC datetime; the number as it came is in `raw` and in the body."""
    parsed = parse_event("receiveMessage", {"momment": raw})
    assert isinstance(parsed, ReceiveMessage)
    assert parsed.moment == at
    assert parsed.raw["momment"] == raw
    assert parsed.to_body() == {"momment": raw}
    assert parsed.moment is None or parsed.moment.utcoffset() == timedelta(0)


def test_a_text_cut_in_the_middle_of_an_emoji_is_parsed() -> None:
    """The text and a message's id end in an unpaired surrogate."""
    parsed = parse_event("receiveMessage", rb'{"text": {"message": "oi \ud83d"}}')
    assert isinstance(parsed, ReceiveMessage)
    assert parsed.text is not None
    assert parsed.text.message == "oi \ud83d"
    assert parse_event("startAttendance", rb'{"chat": {"\ud83d": {}}}').to_body() == {"chat": {"\ud83d": {}}}


# --- what can't be parsed --------------------------------------------------------------------------


@given(jsons)
def test_no_json_raises_anything_but_the_declared_error(value: Any) -> None:
    """The value is given as bytes, as text or as itself."""
    for event in EVENTS:
        for body in (json.dumps(value).encode(), json.dumps(value), value):
            try:
                parse_event(event, body)
            except UnreadableEvent as error:
                assert error.problems
                assert str(error).startswith(event)


@given(st.binary() | st.text())
def test_no_bytes_and_no_text_raise_anything_else(body: bytes | str) -> None:
    """JSON or not."""
    for event in EVENTS:
        try:
            parse_event(event, body)
        except UnreadableEvent as error:
            assert error.problems


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"\xff{}", "the body is not UTF-8"),
        (b"null", "the body is not a JSON object"),
        (b"[" * 100_000, f"the body is nested more than {MAX_DEPTH} deep"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, f"the body is nested more than {MAX_DEPTH} deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the body is not JSON"),
        (b'{"a": NaN}', "the body holds a number that JSON has no words for"),
        (b'{"a": 1e999}', "the body holds a number that JSON has no words for"),
        ({"a": {1, 2}}, "the body holds a value that JSON has no words for"),
        ({1: 2}, "the body holds a key that is not a string"),
        (7, "the body is not a JSON object"),
        ({"momment": "canary"}, "momment: is not a time: a number of milliseconds since the epoch is expected"),
        ({"momment": True}, "momment: is not a time: a number of milliseconds since the epoch is expected"),
        ({"momment": 10**30}, "momment: is not a time: it lies beyond the calendar"),
        ({"text": "canary"}, "text: is not an object"),
        ({"text": {"message": 7}}, "text.message: is not a string"),
        ({"fromMe": 1}, "fromMe: is not true or false"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(body: Any, problem: str) -> None:
    """Nothing of the body is repeated."""
    with pytest.raises(UnreadableEvent) as caught:
        parse_event(Event.RECEIVE_MESSAGE, body)
    assert caught.value.problems == (problem,)
    assert caught.value.event == "receiveMessage"
    assert str(caught.value) == f"receiveMessage: {problem}"
    assert "canary" not in repr(caught.value.__cause__)
    assert isinstance(caught.value, ValueError)


def test_every_fault_is_reported_and_no_message_id_is_repeated() -> None:
    """A chat's keys are private data."""
    chat = {"canary-1": {"momment": "x"}, "canary-2": {"fromMe": "canary", "text": []}}
    with pytest.raises(UnreadableEvent) as caught:
        parse_event("finishAttendance", {"attendance": {"attendanceCategories": [{}, {"color": 1}]}, "chat": chat})
    assert caught.value.problems == (
        "attendance.attendanceCategories.1.color: is not a string",
        "chat.*.momment: is not a time: a number of milliseconds since the epoch is expected",
        "chat.*.fromMe: is not true or false",
        "chat.*.text: is not an object",
    )


@pytest.mark.parametrize("event", ["", "canary", "finishattendance", None, []])
def test_an_unknown_event_is_the_declared_error(event: Any) -> None:
    """It names the seven."""
    with pytest.raises(UnreadableEvent, match="the event is not one of finishAttendance") as caught:
        parse_event(event, b"{}")
    assert "canary" not in str(caught.value)


def test_importing_it_is_cheap() -> None:
    """A receiver's author gets pydantic, and neither an HTTP client nor a command line."""
    code = (
        "import sys; from reconciler.plug.events import parse_event; "
        "print(sorted({'httpx', 'httpcore', 'click', 'yaml', 'rich', 'asyncio', 'reconciler.cli'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
