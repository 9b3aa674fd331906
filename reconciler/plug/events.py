"""The events that Plug sends, as types, for authors of receivers (docs/plug-api.md#what-plug-sends).

    from reconciler.plug.events import FinishAttendance, ReceiveMessage, parse_event

    match parse_event("receiveMessage", body):       # bytes, str, or what json.loads gave
        case ReceiveMessage(text=text) as event if text:
            print(event.phone, event.moment, text.message)
        case FinishAttendance(attendance=attendance) if attendance:
            print([category.name for category in attendance.categories])

Plug documents examples and no schema, so nothing is required: an attribute that is absent or null is None. A value of
another type than documented is an error, because the receiver's code would fail on it later. What isn't documented
(the image of an image message) is kept in `event.model_extra`. `event.raw` is the object as it came, under the API's
own names, and `event.to_body()` returns a copy of it. No error repeats any part of a body, which is a private message.

This module imports pydantic, and nothing that uses a network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeAlias

from msgspec import Struct
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from reconciler.model import EVENTS, Event

MAX_DEPTH = 100  # of nesting; the documented bodies have four
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# a number below it is in seconds (until the year 5138), any other is in milliseconds (since 1973)
FIRST_MILLISECONDS = 100_000_000_000


class UnreadableEvent(ValueError):
    """Raised for a body that is not a valid event. `problems` says where and why, and repeats nothing of the body.

    Keep such a body before you refuse it: Plug does not promise to send it again.
    """

    def __init__(self, event: str, problems: tuple[str, ...]) -> None:
        self.event = event
        self.problems = problems
        super().__init__(f"{event}: {'; '.join(problems)}" if event else "; ".join(problems))


class MessageState(StrEnum):
    """The documented values of `MessageStatus.status`, which stays a str: Plug may have more."""

    SENT = "SENT"
    RECEIVED = "RECEIVED"
    READ = "READ"
    READ_SELF = "READ-SELF"
    PLAYED = "PLAYED"


def parse_moment(value: object) -> datetime | None:
    """Return a time of the API as an aware UTC datetime. Raises ValueError.

    `value` is a number, or a string with a number: milliseconds since the epoch, or seconds (`whenDisconnecting`).
    """
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a time: a number of milliseconds since the epoch is expected")
    try:
        if abs(value) < FIRST_MILLISECONDS:
            return EPOCH + timedelta(seconds=value)
        return EPOCH + timedelta(milliseconds=value)
    except (OverflowError, ValueError) as error:
        raise ValueError("is not a time: it lies beyond the calendar") from error


def _empty_if_null(value: object) -> object:
    return {} if value is None else value


# A str without further checks: a text cut off in the middle of an emoji is not valid Unicode, but must not be refused.
Text: TypeAlias = InstanceOf[str]
Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(parse_moment)]


class Body(BaseModel):
    """An object of a body. It is frozen, and equal to another one if all their values are equal."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_raw(cls, value: Any, handler: ModelWrapValidatorHandler[Body]) -> Body:
        body = handler(value)
        if isinstance(value, Mapping):
            body._raw = dict(value)
        return body

    @property
    def raw(self) -> Mapping[str, Any]:
        """Return the object as it came: the API's own names (`momment`, `operatorReport `), times as numbers."""
        return MappingProxyType(self._raw)

    def to_body(self) -> dict[str, Any]:
        """Return a copy of what was parsed: the same keys in the same order, with the same values."""
        return {key: _copy(value) for key, value in self._raw.items()}


# --- the parts -------------------------------------------------------------------------------------


class Customer(Body):
    name: Text | None = None
    phone: Text | None = None


class SingleCategory(Body):
    """The object `attendanceCategory`."""

    id: Text | None = None
    name: Text | None = None
    color: Text | None = None


class ListedCategory(Body):
    """An item of `attendanceCategories`."""

    category_id: Text | None = Field(None, alias="categoryId")
    category_name: Text | None = Field(None, alias="categoryName")
    color: Text | None = None
    item_id: Text | None = Field(None, alias="itemId")
    item_name: Text | None = Field(None, alias="itemName")


class Category(Struct, frozen=True):
    """A category in either form; only the listed ones have an item."""

    id: str | None
    name: str | None
    color: str | None
    item_id: str | None = None
    item_name: str | None = None


class Attendance(Body):
    number: int | None = Field(None, alias="attendanceNumber")
    customer: Customer | None = None
    department: Text | None = Field(None, alias="departament")
    started_at: Moment = Field(None, alias="startTime")
    status: Text | None = None  # PROGRESS, FINISH


class StartedAttendance(Attendance):
    operator: Text | None = None
    moment: Moment = Field(None, alias="momment")


class FinishedAttendance(Attendance):
    """An attendance that ended. The dashboard decides which form its categories have; `categories` holds either."""

    single_category: SingleCategory | None = Field(None, alias="attendanceCategory")
    listed_categories: list[ListedCategory] | None = Field(None, alias="attendanceCategories")
    requested_at: Moment = Field(None, alias="requestTime")
    ended_at: Moment = Field(None, alias="endTime")
    finished_by: Text | None = Field(None, alias="finishBy")
    operator_report: Text | None = Field(None, alias="operatorReport ")  # the space is the API's
    rating_observation: Text | None = Field(None, alias="ratingObservation")

    @property
    def categories(self) -> tuple[Category, ...]:
        found = [] if self.single_category is None else [self.single_category]
        single = [Category(one.id, one.name, one.color) for one in found]
        listed = [
            Category(one.category_id, one.category_name, one.color, one.item_id, one.item_name)
            for one in self.listed_categories or ()
        ]
        return (*single, *listed)


class MessageText(Body):
    message: Text | None = None


class Message(Body):
    """A message, in a chat or alone. The content of a message without text is in `model_extra`."""

    message_id: Text | None = Field(None, alias="messageId")
    instance_id: Text | None = Field(None, alias="instanceId")
    phone: Text | None = None
    from_me: bool | None = Field(None, alias="fromMe")
    moment: Moment = Field(None, alias="momment")
    status: Text | None = None
    type: Text | None = None
    text: MessageText | None = None
    chat_name: Text | None = Field(None, alias="chatName")
    sender_name: Text | None = Field(None, alias="senderName")
    photo: Text | None = None
    broadcast: bool | None = None
    forwarded: bool | None = None
    is_group: bool | None = Field(None, alias="isGroup")
    is_automatic_message: bool | None = Field(None, alias="isAutomaticMessage")
    waiting_message: bool | None = Field(None, alias="waitingMessage")


Chat: TypeAlias = Annotated[dict[Text, Message], BeforeValidator(_empty_if_null)]  # by message id


# --- the events ------------------------------------------------------------------------------------


class PlugEvent(Body):
    """One of the seven events."""

    event: ClassVar[Event]


class FinishAttendance(PlugEvent):
    event: ClassVar[Event] = Event.FINISH_ATTENDANCE

    attendance: FinishedAttendance | None = None
    chat: Chat = Field(default_factory=dict)


class StartAttendance(PlugEvent):
    event: ClassVar[Event] = Event.START_ATTENDANCE

    attendance: StartedAttendance | None = None
    chat: Chat = Field(default_factory=dict)


class ReceiveMessage(PlugEvent, Message):
    event: ClassVar[Event] = Event.RECEIVE_MESSAGE

    connected_phone: Text | None = Field(None, alias="connectedPhone")
    sender_lid: Text | None = Field(None, alias="senderLid")
    sender_photo: Text | None = Field(None, alias="senderPhoto")
    participant_phone: Text | None = Field(None, alias="participantPhone")
    participant_lid: Text | None = Field(None, alias="participantLid")
    is_status_reply: bool | None = Field(None, alias="isStatusReply")
    is_edit: bool | None = Field(None, alias="isEdit")
    is_newsletter: bool | None = Field(None, alias="isNewsletter")


class SendingMessage(PlugEvent):
    event: ClassVar[Event] = Event.SENDING_MESSAGE

    phone: Text | None = None
    zaap_id: Text | None = Field(None, alias="zaapId")
    message_id: Text | None = Field(None, alias="messageId")
    instance_id: Text | None = Field(None, alias="instanceId")
    type: Text | None = None


class MessageDeliveryError(PlugEvent):
    """An event without a documented body: all its attributes are in `model_extra`."""

    event: ClassVar[Event] = Event.MESSAGE_DELIVERY_ERROR


class MessageStatus(PlugEvent):
    """A change of a message's status. Compare `status` with `MessageState`."""

    event: ClassVar[Event] = Event.MESSAGE_STATUS

    instance_id: Text | None = Field(None, alias="instanceId")
    status: Text | None = None
    ids: list[Text] | None = None
    moment: Moment = Field(None, alias="momment")
    phone_device: int | None = Field(None, alias="phoneDevice")
    phone: Text | None = None
    type: Text | None = None
    is_group: bool | None = Field(None, alias="isGroup")


class WhenDisconnecting(PlugEvent):
    event: ClassVar[Event] = Event.WHEN_DISCONNECTING

    moment: Moment = Field(None, alias="momment")
    error: Text | None = None
    disconnected: bool | None = None
    type: Text | None = None


AnyEvent: TypeAlias = (
    FinishAttendance
    | StartAttendance
    | ReceiveMessage
    | SendingMessage
    | MessageDeliveryError
    | MessageStatus
    | WhenDisconnecting
)

_MODELS: Mapping[Event, type[AnyEvent]] = {
    model.event: model
    for model in (
        FinishAttendance,
        StartAttendance,
        ReceiveMessage,
        SendingMessage,
        MessageDeliveryError,
        MessageStatus,
        WhenDisconnecting,
    )
}


# --- parsing ---------------------------------------------------------------------------------------


def parse_event(event: Event | str, body: bytes | str | Mapping[str, Any]) -> AnyEvent:
    """Return the event in `body`: the bytes of the request, its text, or the object that `json.loads` made of it.

    Plug's bodies don't say which event they are: the receiver knows it from its own URL. Raises UnreadableEvent, and
    nothing else, for any body that is not a valid event.
    """
    try:
        model = _MODELS[Event(event)]
    except ValueError:
        raise UnreadableEvent("", (f"the event is not one of {', '.join(EVENTS)}",)) from None
    try:
        return model.model_validate(_read(body))
    except _NoBody as error:
        raise UnreadableEvent(model.event, (str(error),)) from None
    except ValidationError as error:
        # without its cause, which quotes the values
        raise UnreadableEvent(model.event, tuple(_describe(error))) from None


class _NoBody(Exception):
    """Raised for a body that is not a JSON object."""


def _read(body: object) -> dict[str, Any]:
    value = body
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            value = bytes(value).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _NoBody("the body is not UTF-8") from None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except RecursionError:
            raise _NoBody(f"the body is nested more than {MAX_DEPTH} deep") from None
        except ValueError:  # a number of thousands of digits too, which Python doesn't convert
            raise _NoBody("the body is not JSON") from None
    if not isinstance(value, Mapping):
        raise _NoBody("the body is not a JSON object")
    read: dict[str, Any] = _copy(value)
    return read


def _copy(value: object, depth: int = 0) -> Any:
    """Return a copy of a JSON value. Raises _NoBody for a value that JSON can't express."""
    if depth > MAX_DEPTH:
        raise _NoBody(f"the body is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _NoBody("the body holds a key that is not a string")
        return {key: _copy(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(one, depth + 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise _NoBody("the body holds a number that JSON has no words for")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise _NoBody("the body holds a value that JSON has no words for")


_EXPECTED = {
    "is_instance_of": "is not a string",
    "bool_type": "is not true or false",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
    "dict_type": "is not an object",
    "list_type": "is not a list",
    "string_unicode": "holds a key that is not Unicode",
}


def _describe(error: ValidationError) -> list[str]:
    """Return where and why, each problem once. A key that isn't the API's own may be a message's id: it becomes `*`."""
    described = []
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) if isinstance(part, int) or part in _NAMES else "*" for part in fault["loc"])
        context = fault.get("ctx", {})
        reason = str(context["error"]) if "error" in context else _EXPECTED.get(fault["type"], "is not as documented")
        described.append(f"{place}: {reason}" if place else reason)
    return list(dict.fromkeys(described))


def _find_bodies(base: type[Body] = Body) -> Iterator[type[Body]]:
    yield base
    for body in base.__subclasses__():
        yield from _find_bodies(body)


_NAMES = frozenset(
    field.alias or name for body in _find_bodies() for name, field in body.model_fields.items()
)  # of the attributes, in the API's own spelling
