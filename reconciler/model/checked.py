"""The results of calling the receivers (docs/contract.md#drift)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from reconciler.model.manifest import Event


class CheckStage(StrEnum):
    """The stages of a receiver's check, in order."""

    DNS = "dns"  # its name, and whether the addresses are public
    CONNECT = "connect"
    TLS = "tls"
    POST = "post"


class ReceiverCheck(Struct, frozen=True):
    """The result for one receiver URL and event.

    `stage` is the one that failed, else the last one that passed. `status` is the status of the answer to the POST
    that failed, else to the last POST. `latency_s` is the time of the slowest POST, from its first byte to the last
    one of the answer; without a POST it is the time to connect, TLS included. `addresses` are all that the name
    resolved to.
    """

    url: str  # text form
    event: Event
    environments: tuple[str, ...]
    ok: bool
    stage: CheckStage
    status: int | None = None
    latency_s: float | None = None
    addresses: tuple[str, ...] = ()
    certificate_days: int | None = None  # whole days left; None without TLS, or if the certificate was refused
    message: str = ""  # the reason of a failure
    warning: str = ""
    place: str = ""  # host and port; empty in a result read back from a file


class CheckResult(Struct, frozen=True):
    """The result of a check, ordered by environment and event."""

    receivers: tuple[ReceiverCheck, ...]
    posted: bool = True  # False with --no-post
    unchecked: int = 0  # receivers that were not checked because of an interrupt
    interrupted: bool = False
