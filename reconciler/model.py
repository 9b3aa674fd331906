"""The words of the contract as types: frozen, without behaviour that reads or writes anything.

`Webhooks` maps each of the seven events to a URL in its *text form*: vars filled in, secrets as
`{secret:NAME}`, literal braces doubled (CONTRACT §2). The text form is what state, plans and every
output show; only `plug/` and `receivers.py` ever hold the filled-in URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias


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


class SourceRef(NamedTuple):
    """Where a value stands: `file` as shown to people, `line` and `column` from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault or warning of the input. `file` is empty where no file holds it (a flag, a variable)."""

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{key}{self.message}{hint}"


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
    source: SourceRef
    sources: Mapping[Event, SourceRef]  # where the value stands that won the merge
    partner_base_url: str | None = None


# --- state (CONTRACT §7) ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class By:
    """Who did it: GITHUB_ACTOR, GITHUB_SHA, run id and attempt, else the login name and git."""

    actor: str | None = None
    commit: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a complete 2xx confirmed, or what a person adopted."""

    endpoint: str
    account: str | None  # "org:…" or "token:…"; None: adopted without the token at hand
    webhooks: Webhooks
    secrets: Mapping[str, str]  # name -> "hmac-sha256:…"
    at: datetime
    by: By
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before a PUT. Live while `now < lease_until`; otherwise nobody knows what its PUT did."""

    id: str
    webhooks: Webhooks
    doubt: bool
    at: datetime
    lease_until: datetime | None
    by: By

    def is_live(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One applied record of the past (the latest included), with only the events it changed."""

    at: datetime
    by: By
    webhooks: Webhooks
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What decides of an environment's state: all but its past. `lineage` is made once; `serial` grows by one with
    every write."""

    environment: str
    lineage: str
    serial: int
    applied: Applied | None = None
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class Document(Head):
    """The state of one environment, whole, as it is written."""

    history: tuple[HistoryEntry, ...] = ()  # newest first, at most 10


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as read, with the store's own version of it: what a compare-and-swap compares."""

    document: Document
    version: str


# --- plan (CONTRACT §5) ----------------------------------------------------------------------------


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REASSERT = "reassert"
    NOOP = "noop"
    ORPHAN = "orphan"

    @property
    def puts(self) -> bool:
        """Whether `apply` PUTs an environment planned so."""
        return self in (Action.CREATE, Action.UPDATE, Action.REASSERT)


class Reason(StrEnum):
    """In the order in which they are listed."""

    NEVER_APPLIED = "never-applied"
    WEBHOOKS_CHANGED = "webhooks-changed"
    UNCERTAIN = "uncertain"
    ENDPOINT_CHANGED = "endpoint-changed"
    ACCOUNT_CHANGED = "account-changed"
    SECRET_CHANGED = "secret-changed"  # noqa: S105 - a reason's name
    EXPIRED = "expired"
    LIVE_DRIFT = "live-drift"
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a token and secrets at hand look like in the state: nothing can be guessed back from it.

    `account` is None when no token is at hand; `secrets` holds those whose value and token are.
    """

    account: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One event that differs. `before` is None in a create."""

    event: Event
    before: str | None
    after: str
    source: SourceRef


@dataclass(frozen=True, slots=True)
class LiveDifference:
    """An event of which Plug holds something else than what was applied."""

    event: Event
    actual: str | None  # masked where the URL holds a secret; None: nothing is registered
    expected: str | None = None  # what was applied; not part of the saved plan


@dataclass(frozen=True, slots=True)
class EnvironmentPlan:
    environment: str
    action: Action
    wave: int  # 0 for an orphan
    reasons: tuple[Reason, ...]
    unchecked: tuple[str, ...]  # "account", "secret:NAME", "live" (a read of --observe that failed)
    source: SourceRef | None  # None for an orphan
    changes: tuple[Change, ...]
    serial: int  # 0 where nothing is stored
    lineage: str | None
    live: tuple[LiveDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Shard:
    """`number` (from 1) `of` so many: those of the selected environments whose name hashes to it."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`environments` is sorted by wave and name. `warnings` are shown, never compared."""

    created_at: datetime
    manifests_digest: str
    digest: str
    environments: tuple[EnvironmentPlan, ...]
    selection: tuple[str, ...] = ()  # the globs of -e
    requested: bool = False  # --reassert
    observed: bool = False  # --observe
    shard: Shard | None = None  # --shard
    warnings: tuple[str, ...] = ()
    # what the text view folds alike environments by; not part of the saved plan
    vars: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


# --- apply (CONTRACT §6) ---------------------------------------------------------------------------


class Outcome(StrEnum):
    APPLIED = "applied"
    REJECTED = "rejected"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class EnvironmentResult:
    environment: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    attempts: int  # PUTs sent by this run
    status: int | None  # of the last answer
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """`environments` in the plan's order, orphans left out."""

    environments: tuple[EnvironmentResult, ...]
    state_trouble: bool = False
    interrupted: bool = False


# --- drift (CONTRACT §8) ---------------------------------------------------------------------------


class FindingKind(StrEnum):
    """Most telling first."""

    LIVE = "live"
    UNCERTAIN = "uncertain"
    UNAPPLIED = "unapplied"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    SECRET = "secret"  # noqa: S105 - a kind's name
    EXPIRED = "expired"
    ORPHAN = "orphan"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Finding:
    environment: str
    kind: FindingKind
    event: Event | None
    expected: str | None
    actual: str | None
    message: str


# --- check (CONTRACT §8) ---------------------------------------------------------------------------


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
    place: str  # host and port
    ok: bool
    stage: CheckStage
    status: int | None
    latency_s: float | None
    addresses: tuple[str, ...]
    certificate_days: int | None  # whole days to its expiry; None without TLS, or where it was refused
    message: str = ""  # why it failed
    warning: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`receivers` by environment and event."""

    receivers: tuple[ReceiverCheck, ...]
    posted: bool = True  # not with --no-post
