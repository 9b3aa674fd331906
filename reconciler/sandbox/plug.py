"""Plug as its documentation describes it, without HTTP: companies by token, and simulated faults.

The fate of a PUT depends only on the seed, the company and the number of the PUT. So a run gives the same faults again,
in whatever order the requests of different companies arrive.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, MutableSequence
from enum import StrEnum
from typing import Any, assert_never
from urllib.parse import urlsplit

from msgspec import Struct, field

from reconciler.model import EVENTS, BodyForm, Event, Unprinted

MAX_BODY_BYTES = 1024 * 1024  # seven URLs of 2,048 bytes take 15 KiB; anything near this is a mistake

# no white space, and no unpaired surrogate, which JSON can express but UTF-8 can't
_URL = re.compile(r"(?P<scheme>https?)://[^\s\ud800-\udfff/?#]+(?:[/?#][^\s\ud800-\udfff]*)?", re.IGNORECASE)
_NAMES = frozenset(event.value for event in EVENTS)

# the names of the partner API (docs/plug-api.md#the-partner-api); whenDisconnecting can't be seen there
_ACCOUNT_FIELDS: Mapping[str, Event] = {
    "onStartAttendance": Event.START_ATTENDANCE,
    "onFinishAttendance": Event.FINISH_ATTENDANCE,
    "onReceiveMessage": Event.RECEIVE_MESSAGE,
    "onSendingMessage": Event.SENDING_MESSAGE,
    "onMessageStatus": Event.MESSAGE_STATUS,
}


class Options(Unprinted, frozen=True):
    """The options of `reconciler sandbox`.

    `failure_rate` and `lost_answers` are probabilities from 0 to 1; `port` 0 is any free port. Without `tokens`, any
    non-empty token is valid; the same holds for `partner_tokens`. `accounts` maps the id of a partner API's account to
    its token. `rate_limit` is in PUTs a second, for all companies together. A PUT whose body has a form that is not in
    `body_forms` is refused with 400, or, with `ignore_other_form`, answered with 200 and not done.
    """

    port: int = 0
    tokens: frozenset[str] = frozenset()
    accounts: Mapping[str, str] = field(default_factory=dict)
    partner_tokens: frozenset[str] = frozenset()
    latency_s: float = 0.0
    failure_rate: float = 0.0
    rate_limit: float | None = None
    lost_answers: float = 0.0
    seed: int = 0
    body_forms: frozenset[BodyForm] = frozenset(BodyForm)
    ignore_other_form: bool = False


class PutFate(StrEnum):
    """The result of a well-formed PUT."""

    DONE = "done"
    LOST = "lost"  # done, and the answer never arrives
    UNAVAILABLE = "unavailable"  # 503, not done
    BROKEN = "broken"  # 500, not done
    LIMITED = "limited"  # 429, not done
    IGNORED = "ignored"  # answered as if it were done, not done: the body has another form

    @property
    def acts(self) -> bool:
        return self in (PutFate.DONE, PutFate.LOST)


class Malformed(ValueError):
    """Raised for a wrong body. The message repeats nothing of it but the API's own names."""


class Company(Struct):
    """The company of one token. `puts` counts the PUTs that were done, `received` all well-formed ones."""

    webhooks: dict[Event, str | None] = field(default_factory=lambda: dict.fromkeys(EVENTS))
    puts: int = 0
    received: int = 0


class ReceivedPut(Unprinted, frozen=True):
    token: str
    webhooks: Mapping[Event, str]
    fate: PutFate


class SimulatedPlug:
    """The memory of the sandbox. One thread changes it; others may read it.

    `options` may be replaced while it runs. `forced` has the fates of the next PUTs of any company, which are used
    before random ones. `requests` counts all requests to the PUT's address, also refused ones.
    """

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self.companies: dict[str, Company] = {}
        self.received: MutableSequence[ReceivedPut] = []
        self.forced: deque[PutFate] = deque()
        self.requests = 0
        self._clock = clock
        self._allowance = math.inf  # a full bucket, once the limit is known
        self._allowance_at = clock()

    def knows(self, token: str) -> bool:
        """Return whether `token` is valid."""
        return token in self.options.tokens if self.options.tokens else bool(token)

    def knows_partner(self, token: str) -> bool:
        """Return whether `token` is a valid partner token."""
        return token in self.options.partner_tokens if self.options.partner_tokens else bool(token)

    def company(self, token: str) -> Company:
        """Return the company of a valid token; a new one has no webhooks."""
        return self.companies.get(token) or self.companies.setdefault(token, Company())

    def put(self, token: str, webhooks: Mapping[Event, str], form: BodyForm = BodyForm.FLAT) -> PutFate:
        """Replace the company's webhooks, if the fate says so, and return the fate."""
        company = self.company(token)
        fate = self._find_fate(token, company)
        if fate.acts and form not in self.options.body_forms:
            fate = PutFate.IGNORED
        company.received += 1
        self.received.append(ReceivedPut(token, webhooks, fate))
        if fate.acts:
            company.webhooks = {event: webhooks[event] for event in EVENTS}
            company.puts += 1
        return fate

    def edit(self, token: str, changes: Mapping[Event, str | None]) -> dict[Event, str | None]:
        """Change some webhooks as a user does in Plug's dashboard, and return them all."""
        company = self.company(token)
        company.webhooks = {**company.webhooks, **changes}
        return company.webhooks

    def account(self, account_id: str) -> dict[str, Any] | None:
        """Return what the partner API shows of an account; None for an unknown id (docs/plug-api.md#the-partner-api).

        `onMessageDeliveryError` is documented only for the creation of an account, so it is shown only if it is set.
        """
        token = self.options.accounts.get(account_id)
        if token is None:
            return None
        webhooks = self.company(token).webhooks
        shown: dict[str, Any] = {"name": f"sandbox {account_id}", "externalId": account_id, "active": True}
        shown |= {name: webhooks[event] for name, event in _ACCOUNT_FIELDS.items()}
        if webhooks[Event.MESSAGE_DELIVERY_ERROR] is not None:
            shown["onMessageDeliveryError"] = webhooks[Event.MESSAGE_DELIVERY_ERROR]
        return shown

    def retry_after_s(self) -> int:
        """Return the whole seconds until the rate limit allows another PUT, at least one."""
        limit = self.options.rate_limit
        return max(1, math.ceil((1 - min(1.0, self._allowance)) / limit)) if limit else 1

    def _find_fate(self, token: str, company: Company) -> PutFate:
        if self.forced:
            return self.forced.popleft()
        if not self._within_limit():
            return PutFate.LIMITED
        options = self.options
        if not options.failure_rate and not options.lost_answers:
            return PutFate.DONE
        failure, lost, kind = _draw(options.seed, token, company.received)
        if failure < options.failure_rate:
            return PutFate.UNAVAILABLE if kind < 0.5 else PutFate.BROKEN
        return PutFate.LOST if lost < options.lost_answers else PutFate.DONE

    def _within_limit(self) -> bool:
        """Take one token from the bucket of the rate limit, and return whether there was one.

        The bucket holds the tokens of one second: a burst of N passes, then N a second.
        """
        limit = self.options.rate_limit
        if limit is None:
            return True
        now = self._clock()
        filled = self._allowance + (now - self._allowance_at) * limit
        self._allowance_at = now
        self._allowance = min(max(1.0, limit), filled)
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def _draw(seed: int, token: str, number: int) -> tuple[float, float, float]:
    """Return three pseudo-random numbers in [0, 1) that depend only on the arguments."""
    digest = hashlib.blake2b(f"{seed}\0{number}\0{token}".encode(), digest_size=24).digest()
    first, second, third = (int.from_bytes(digest[at : at + 6], "big") / 2**48 for at in (0, 8, 16))
    return first, second, third


# --- bodies ----------------------------------------------------------------------------------------


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`. Raises Malformed."""
    if len(body) > MAX_BODY_BYTES:
        raise Malformed(f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Malformed("the body is not a JSON object")
    return value


def parse_webhooks(body: bytes) -> tuple[BodyForm, dict[Event, str]]:
    """Return the form of a PUT's body, and its seven webhooks (docs/plug-api.md). Raises Malformed."""
    form, value = BodyForm.FLAT, parse_object(body)
    if value.keys() == {"value"} and isinstance(value["value"], dict):
        form, value = BodyForm.VALUE, value["value"]
    if value.keys() != _NAMES:
        raise Malformed(_describe_names(value))
    return form, {event: _check_url(event, value[event]) for event in EVENTS}


def describe_other_form(form: BodyForm) -> str:
    """Return the refusal of a body in this form."""
    match form:
        case BodyForm.FLAT:
            return "the seven webhooks are at the top level of the body; this sandbox takes them in an object `value`"
        case BodyForm.VALUE:
            return "the seven webhooks are in an object `value`; this sandbox takes them at the top level of the body"
        case _:
            assert_never(form)


def parse_edit(value: object) -> dict[Event, str | None]:
    """Return some of the seven webhooks, each a URL or None. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("webhooks is not an object")
    if not value.keys() <= _NAMES:
        raise Malformed("webhooks holds a name that is not one of " + ", ".join(EVENTS))
    return {Event(name): None if url is None else _check_url(name, url) for name, url in value.items()}


def is_loopback(host: str | None) -> bool:
    """Return whether a URL's host is this machine, by its spelling alone: nothing is resolved."""
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("an attribute is given twice")
    return value


def _describe_names(value: Mapping[str, object]) -> str:
    missing = [event for event in EVENTS if event not in value]
    unknown = len(value.keys() - _NAMES)
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"not among the seven: {unknown}"] if unknown else []  # counted, never repeated
    return "the object must hold exactly the seven webhooks; " + "; ".join(parts)


def _check_url(name: str, url: object) -> str:
    if not isinstance(url, str):
        raise Malformed(f"{name} is not a string")
    match = _URL.fullmatch(url)
    if match is None:
        raise Malformed(f"{name} is not an https URL")
    if match["scheme"].lower() != "https" and not is_loopback(_find_host(url)):
        raise Malformed(f"{name} is not https")
    return url


def _find_host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
