"""What the manifests want: environments and their seven webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from reconciler.model.problem import Location


class Event(StrEnum):
    """The seven webhook attributes, in the order of the vendor's page (FACTS S)."""

    FINISH_ATTENDANCE = "finishAttendance"
    START_ATTENDANCE = "startAttendance"
    RECEIVE_MESSAGE = "receiveMessage"
    SENDING_MESSAGE = "sendingMessage"
    MESSAGE_DELIVERY_ERROR = "messageDeliveryError"
    MESSAGE_STATUS = "messageStatus"
    WHEN_DISCONNECTING = "whenDisconnecting"


EVENTS: tuple[Event, ...] = tuple(Event)


Webhooks: TypeAlias = Mapping[Event, str]


class AuthScheme(StrEnum):
    RAW = "raw"  # Authorization: <token>
    BEARER = "bearer"  # Authorization: Bearer <token>


@dataclass(frozen=True, slots=True)
class Desired:
    """What the manifests want of one environment, resolved: defaults merged, vars filled in."""

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
    sources: Mapping[Event, Location]  # where the value stands that won the merge
    partner_base_url: str | None = None
