"""The results of calling the receivers (CONTRACT §8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.manifest import Event


class CheckStage(StrEnum):
    """The way to a receiver, in order."""

    DNS = "dns"  # its name, and whether the addresses are public
    CONNECT = "connect"
    TLS = "tls"
    POST = "post"


@dataclass(frozen=True, slots=True)
class ReceiverCheck:
    """What became of one receiver URL and event.

    `stage` is where it failed, else the last one that was passed. `status` is the answer's to the POST that failed,
    else to the last. `latency_s` is that of the slowest POST, from its first byte to the answer's last; without a
    POST it is what connecting took, TLS included. `addresses` are all that the name resolved to.
    """

    url: str  # text form
    event: Event
    environments: tuple[str, ...]
    ok: bool
    stage: CheckStage
    status: int | None = None
    latency_s: float | None = None
    addresses: tuple[str, ...] = ()
    certificate_days: int | None = None  # whole days to its expiry; None without TLS, or where it was refused
    message: str = ""  # why it failed
    warning: str = ""
    place: str = ""  # host and port; empty in a result read back from a file


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`receivers` by environment and event."""

    receivers: tuple[ReceiverCheck, ...]
    posted: bool = True  # not with --no-post
