"""Environments as the manifests describe them, and their seven webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from reconciler.model.problem import Location


class Event(StrEnum):
    """The seven webhook attributes, in the order of the vendor's page (docs/plug-api.md#the-call)."""

    FINISH_ATTENDANCE = "finishAttendance"
    START_ATTENDANCE = "startAttendance"
    RECEIVE_MESSAGE = "receiveMessage"
    SENDING_MESSAGE = "sendingMessage"
    MESSAGE_DELIVERY_ERROR = "messageDeliveryError"
    MESSAGE_STATUS = "messageStatus"
    WHEN_DISCONNECTING = "whenDisconnecting"


EVENTS: tuple[Event, ...] = tuple(Event)


_NUMBERS: Mapping[str, int] = {event: number for number, event in enumerate(EVENTS)}

Webhooks: TypeAlias = Mapping[Event, str]


class Sources(Mapping[Event, Location]):
    """The places of an environment's seven webhooks. A `Location` is made only when it is looked up.

    `lines` and `columns` have a number for each of `EVENTS`; many environments can share them. `files` has a name for
    each, or only one if it is that of all.
    """

    __slots__ = ("_columns", "_files", "_lines")

    def __init__(self, files: Sequence[str], lines: Sequence[int], columns: Sequence[int]) -> None:
        self._files = files
        self._lines = lines
        self._columns = columns

    def __getitem__(self, event: Event) -> Location:
        number = _NUMBERS[event]
        return Location(self._files[number % len(self._files)], self._lines[number], self._columns[number])

    def __iter__(self) -> Iterator[Event]:
        return iter(EVENTS)

    def __len__(self) -> int:
        return len(EVENTS)


class AuthScheme(StrEnum):
    """The form of the token in a request's header."""

    RAW = "raw"  # Authorization: <token>
    BEARER = "bearer"  # Authorization: Bearer <token>


class BodyForm(StrEnum):
    """The place of the seven webhooks in the body of the PUT (docs/plug-api.md)."""

    FLAT = "flat"  # at the top level
    VALUE = "value"  # inside one object under the key `value`


class DestinationPart(StrEnum):
    """The parts of a destination."""

    ENDPOINT = "endpoint"
    BODY = "body"
    AUTH_SCHEME = "auth_scheme"
    TOKEN_ENV = "token_env"  # noqa: S105 - a part's name


class Destination(Struct, frozen=True):
    """The destination of an environment's PUT, and of its token: where it is sent, and how."""

    endpoint: str  # the whole URL of the PUT
    body: BodyForm
    auth_scheme: AuthScheme
    token_env: str


class Desired(Struct, frozen=True):
    """One environment as the manifests want it: defaults merged, vars filled in."""

    environment: str
    wave: int
    webhooks: Webhooks
    endpoint: str  # the whole URL of the PUT
    auth_scheme: AuthScheme
    token_env: str
    account_id: str | None
    description: str | None
    secrets: tuple[str, ...]  # names of the {secret:NAME} used, sorted
    vars: Mapping[str, str]
    source: Location
    sources: Mapping[Event, Location]  # the place of the value that won the merge
    partner_base_url: str | None = None
    organization_id: str | None = None  # the company that this environment belongs to; None: not pinned
    body: BodyForm = BodyForm.FLAT
    overrides: frozenset[DestinationPart] = frozenset()  # the parts that differ from the settings or the default

    @property
    def destination(self) -> Destination:
        return Destination(self.endpoint, self.body, self.auth_scheme, self.token_env)
