"""Receivers: the list of them, the addresses that may be called, and the meaning of an answer.

See docs/contract.md#drift.

Only the status of an answer is ever repeated, as the rest may echo a secret.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from reconciler.core.hosts import is_special_address
from reconciler.core.urls import host_of, is_loopback_url, port_of, split_url
from reconciler.model import EVENTS, CheckResult, CheckStage, Desired, Event, ReceiverCheck, Webhooks
from reconciler.text.counts import counted

CERTIFICATE_WARNING_DAYS = 21  # 90-day certificates are usually renewed with 30 left: 21 is nine days late
REASONS_NAMED = 2  # of one environment's failing receivers; the others are counted


class Place(Struct, frozen=True, order=True):
    """The address of a receiver, with the host that its certificate must name.

    `host` is in lower case, an IPv6 address without brackets.
    """

    scheme: str
    host: str
    port: int
    allow_local: bool  # loopback addresses may be connected to

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Receiver(Struct, frozen=True):
    """A URL and event, with the `environments` that have both, sorted."""

    url: str  # text form. Secrets are only in the path or the query, so `place` shows none
    event: Event
    environments: tuple[str, ...]
    place: Place


class ProbeResult(Struct, frozen=True):
    """The result of resolving a name, connecting and TLS. `address` is the one that accepted the connection."""

    stage: CheckStage  # the one that failed, else the last one
    addresses: tuple[str, ...] = ()
    address: str | None = None
    certificate_until: datetime | None = None
    seconds: float | None = None  # connecting, TLS included
    message: str = ""  # why it failed; empty if it did not

    @property
    def ok(self) -> bool:
        return not self.message


class Answer(Struct, frozen=True):
    """The result of one POST. `status` is None if no complete answer arrived; `message` then says why."""

    stage: CheckStage
    status: int | None = None
    latency_s: float | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


# --- receivers and their addresses -----------------------------------------------------------------


def find_receivers(
    desired: Iterable[Desired],
    *,
    allow_local_receivers: bool,
    find_scope: Callable[[Desired, str], str | None] = lambda desired, url: None,
    applied: Mapping[str, Webhooks] | None = None,
) -> list[Receiver]:
    """Return each distinct URL and event once, in the order of the environments and events given.

    With `applied`, the applied webhooks by environment, it returns only those whose URL's text differs from the
    applied one.

    `find_scope` returns the environment if a URL has a secret whose value only that environment uses. Such a URL is
    distinct from equal texts of other environments.

    Loopback is allowed if the setting allows it and every environment that uses the URL has its base URL on loopback
    too, as in `validate` (docs/manifests.md).
    """
    users: dict[tuple[str, Event, str | None], list[Desired]] = {}
    for one in desired:
        for event in EVENTS:
            url = one.webhooks[event]
            if applied is not None and applied.get(one.environment, {}).get(event) == url:
                continue
            users.setdefault((url, event, find_scope(one, url)), []).append(one)
    return [
        Receiver(
            url=url,
            event=event,
            environments=tuple(sorted(one.environment for one in using)),
            place=place_of(
                url, allow_local=allow_local_receivers and all(is_loopback_url(one.endpoint) for one in using)
            ),
        )
        for (url, event, _), using in users.items()
    ]


def place_of(url: str, *, allow_local: bool) -> Place:
    host = host_of(url)
    host = host[1:-1] if host.startswith("[") else host
    return Place(split_url(url)[0], host, port_of(url), allow_local)


def choose_addresses(found: Sequence[str], *, allow_local: bool) -> tuple[str, ...]:
    """Return the addresses that may be connected to, in the order given: public ones, and loopback if it is allowed.

    A name server may answer with an address of this machine's own network, to which nothing must be sent.
    """
    return tuple(address for address in found if _may_connect(address, allow_local=allow_local))


def _may_connect(text: str, *, allow_local: bool) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not is_special_address(address) or (allow_local and address.is_loopback)


def is_address(host: str) -> bool:
    """Return whether a place's host is an IP address, which needs no resolving."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# --- results ---------------------------------------------------------------------------------------


def conclude(receiver: Receiver, probe: ProbeResult, answers: Sequence[Answer], now: datetime) -> ReceiverCheck:
    """Return the result: the probe's if it failed, else the first failing answer's, else the last answer's."""
    days = None if probe.certificate_until is None else (probe.certificate_until - now).days
    failed = next(((number, one) for number, one in enumerate(answers, 1) if not one.ok), None)
    decisive = failed[1] if failed else answers[-1] if answers else None
    latencies = [one.latency_s for one in answers if one.latency_s is not None]
    message = probe.message
    if failed is not None:
        example = f"example {failed[0]}: " if len(answers) > 1 else ""
        message = f"{example}{failed[1].message or explain_status(failed[1].status)}"
    return ReceiverCheck(
        url=receiver.url,
        event=receiver.event,
        environments=receiver.environments,
        place=str(receiver.place),
        ok=probe.ok and failed is None,
        stage=decisive.stage if decisive else probe.stage,
        status=decisive.status if decisive else None,
        latency_s=max(latencies) if latencies else None if answers else probe.seconds,
        addresses=probe.addresses,
        certificate_days=days,
        message=message,
        warning="; ".join(_find_warnings(receiver.place, probe, days)),
    )


def _find_warnings(place: Place, probe: ProbeResult, days: int | None) -> Iterator[str]:
    if days is not None and days < CERTIFICATE_WARNING_DAYS:
        when = counted(days, "day") if days >= 1 else "less than a day"
        yield f"the certificate of {place.host} expires in {when}"
    left_out = len(probe.addresses) - len(choose_addresses(probe.addresses, allow_local=place.allow_local))
    if probe.ok and left_out:
        addresses = counted(left_out, "private or special address", "private or special addresses")
        yield f"{place.host} also resolves to {addresses}, which Plug can't reach"


def explain_status(status: int | None) -> str:
    """Return what a status other than a 2xx means, and what to do about it."""
    if status is None:
        return "no answer"
    if 300 <= status < 400:
        return f"answered {status}, a redirect, which is never followed: register the address that it leads to"
    if status in _REASONS:
        return f"answered {status}: {_REASONS[status]}"
    if status >= 500:
        return f"answered {status}: the receiver failed while it handled the example. Its log says why"
    if status >= 400:
        return f"answered {status}: the receiver refused the example"
    return f"answered {status}, which is not a 2xx"


_REASONS = {
    401: "the receiver did not accept the call. Is the secret in the URL the one that it expects?",
    403: "the receiver did not accept the call. Is the secret in the URL the one that it expects?",
    404: "there is nothing at this path",
    405: "this address takes no POST",
    410: "there is nothing at this path any more",
    413: "the receiver takes no body of this size",
    415: "the receiver doesn't take application/json",
    429: "the receiver asks for fewer calls. Set rate_limit, or raise its limit",
    502: "a gateway got no good answer from the receiver behind it",
    503: "the receiver, or the gateway before it, is not available",
    504: "a gateway got no answer in time from the receiver behind it",
}


def find_refusals(result: CheckResult) -> Mapping[str, str]:
    """Return why not to apply each environment that has a failing receiver, by environment (`apply --check-first`)."""
    failing: dict[str, list[ReceiverCheck]] = {}
    for receiver in result.receivers:
        if not receiver.ok:
            for environment in receiver.environments:
                failing.setdefault(environment, []).append(receiver)
    return {environment: _refusal(receivers) for environment, receivers in failing.items()}


def _refusal(receivers: Sequence[ReceiverCheck]) -> str:
    ordered = sorted(receivers, key=lambda receiver: EVENTS.index(receiver.event))
    reasons = "; ".join(f"{receiver.event}: {receiver.message}" for receiver in ordered[:REASONS_NAMED])
    more = len(ordered) - REASONS_NAMED
    what = "a receiver fails" if len(ordered) == 1 else f"{len(ordered)} receivers fail"
    return f"not sent: {what} the check. {reasons}" + (f"; and {more} more (`reconciler check`)" if more > 0 else "")
