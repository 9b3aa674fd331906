"""Fakes that work and fakes that fail. They are not mocks: each behaves like the real thing."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from msgspec.structs import replace

from reconciler.core.attempts import Attempt, Fate, classify_answer
from reconciler.core.partner_account import FIELDS, AvailableSecrets, compare_account, parse_account
from reconciler.errors import Unreachable
from reconciler.model import (
    EVENTS,
    Applied,
    AuthScheme,
    By,
    Desired,
    Document,
    Event,
    Fingerprint,
    Location,
    Original,
    Problem,
    Snapshot,
    Stored,
    Webhooks,
)
from reconciler.ports import Changes, Reading, Shrink, StateStore, Write, WriteAccess, WriteResult, keep_head
from reconciler.run.adopting import make_adoption, write_adoptions
from reconciler.run.context import ApplyOptions, World
from reconciler.state.document import find_write_fault
from tests.memory_store import MemoryStore

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENDPOINT = "https://plug.example.com/api/integrations/update-webhooks"


class Killed(BaseException):
    """Raised to end the process at this moment: no code after it runs."""


class FakeClock:
    """A clock whose time passes only when the code sleeps or a test moves it."""

    def __init__(self) -> None:
        self.at = START
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def jitter(self) -> float:
        return 0.5


def make_desired(environment: str = "production", version: str = "1", **values: Any) -> Desired:
    webhooks = {event: f"https://hooks.example.com/{environment}/{event}/{version}" for event in EVENTS}
    source = Location(f"manifests/{environment}.yaml", 1, 1)
    desired = Desired(
        environment=environment,
        wave=0,
        webhooks=webhooks,
        endpoint=ENDPOINT,
        auth_scheme=AuthScheme.RAW,
        token_env=f"PLUG_TOKEN_{environment.upper()}",
        account_id=None,
        description=None,
        secrets=(),
        vars={},
        source=source,
        sources={event: Location(source.file, 3 + place, 3) for place, event in enumerate(EVENTS)},
    )
    return replace(desired, **values)


def adopt_by_hand(store: StateStore, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By) -> Document:
    """Adopt one environment as `state adopt` does after its comparison. Raises StateError."""
    stored = store.read([desired.environment]).get(desired.environment)
    adoption = make_adoption(stored, desired, fingerprint, now, by)
    for error in write_adoptions(store, [adoption]):
        raise error
    return adoption.document


class FakeCredentials:
    """Every environment has a token; `accounts` and `secrets` can be changed to play a rotation.

    The names in `malformed`, `missing`, `shared` and `expired` have that fault.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, str | None] = {}
        self.expiries: dict[str, datetime] = {}
        self.secrets: dict[str, str] = {}
        self.malformed: set[str] = set()
        self.missing: set[str] = set()
        self.shared: set[str] = set()
        self.expired: set[str] = set()
        self.no_partner_token = False

    def fingerprint(self, desired: Desired) -> Fingerprint:
        signed = {
            name: "hmac-sha256:" + hashlib.sha256(self.secrets.get(name, name).encode()).hexdigest()
            for name in desired.secrets
        }
        return Fingerprint(self.account(desired), signed, self.expiries.get(desired.environment))

    def account(self, desired: Desired) -> str | None:
        return self.accounts.get(desired.environment, f"org:{desired.environment}")

    def organization(self, desired: Desired) -> str | None:
        account = self.account(desired) or ""
        return account.removeprefix("org:") if account.startswith("org:") else None

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        return self._find(desired, self.malformed, "a malformed token")

    def find_missing(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        return self._find(desired, self.missing, "no token")

    def find_shared_accounts(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        return self._find(desired, self.shared, "a shared account")

    def find_expired(self, desired: Iterable[Desired], now: datetime) -> Sequence[str]:
        return [f"{one.environment}: expired" for one in desired if one.environment in self.expired]

    def find_partner_problems(
        self, observed: Sequence[Desired], token_env: str, allowed_hosts: Collection[str]
    ) -> Sequence[Problem]:
        return [Problem.of(token_env, "no partner token")] if self.no_partner_token else []

    @staticmethod
    def _find(desired: Iterable[Desired], bad: Collection[str], fault: str) -> list[Problem]:
        return [Problem.of(one.environment, fault) for one in desired if one.environment in bad]


Behaviour = Callable[["FakePlug", Desired], Awaitable[Attempt]]


def answer(status: int, *, acts: bool = False, complete: bool = True, denied: bool = False) -> Behaviour:
    """Return an answer with `status`. Plug acted on the request or not."""

    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        if acts:
            plug.hold(desired)
        return Attempt(
            classify_answer(status, complete=complete), status, complete=complete, denied=denied, message=str(status)
        )

    return behave


def no_answer(*, acts: bool) -> Behaviour:
    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        if acts:
            plug.hold(desired)
        return Attempt(Fate.AMBIGUOUS, message="no answer")

    return behave


async def unsent(plug: FakePlug, desired: Desired) -> Attempt:
    return Attempt(Fate.UNSENT, message="not sent")


def killed(*, acts: bool) -> Behaviour:
    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        if acts:
            plug.hold(desired)
        raise Killed

    return behave


HEALTHY = answer(200, acts=True)


@dataclass
class FakePlug:
    """A model of Plug. `script` says how the next attempts go; after that it is healthy."""

    holds: dict[str, dict[Event, str]] = field(default_factory=dict)
    script: deque[Behaviour] = field(default_factory=deque)
    received: list[str] = field(default_factory=list)  # environments, in the order of the attempts
    confirmed: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    before: Callable[[Desired], None] = field(default=lambda desired: None)
    company_of: Callable[[Desired], str] = field(default=lambda desired: desired.environment)  # the key of `holds`

    def hold(self, desired: Desired) -> None:
        self.holds[self.company_of(desired)] = dict(desired.webhooks)

    async def put(self, desired: Desired) -> Attempt:
        self.before(desired)
        self.received.append(desired.environment)
        behave = self.script.popleft() if self.script else HEALTHY
        attempt = await behave(self, desired)
        if attempt.confirmed:
            self.confirmed.add((desired.environment, tuple(desired.webhooks[event] for event in EVENTS)))
        return attempt


@dataclass
class FakeObserver:
    """Shows what a FakePlug holds, as the partner API does; the next reads go as `script` says."""

    plug: FakePlug
    script: deque[Attempt] = field(default_factory=deque)
    read_at: list[float] = field(default_factory=list)
    clock: FakeClock | None = None
    busy: int = 0
    busiest: int = 0

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading:
        self.read_at.append(self.clock.monotonic() if self.clock else 0.0)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.script:
            return Reading(self.script.popleft())
        held = self.plug.holds.get(desired.environment, {})
        account = parse_account({name: held.get(event) for event, name in FIELDS.items()})
        available = AvailableSecrets(value_of=lambda name: None, occur_in=lambda url: False)
        comparisons = compare_account(account, desired.webhooks, applied.webhooks if applied else None, available, past)
        return Reading(Attempt(Fate.DEFINITE, 200, complete=True), comparisons)


class StoreFault(StrEnum):
    """The fault of one write to a `FaultyStore`."""

    FAILS = "fails"  # nothing is stored, and an error is reported
    LANDS = "lands"  # it is stored, although an error is reported
    KILLED_BEFORE = "killed-before"
    KILLED_AFTER = "killed-after"


class FaultyStore:
    """A memory store whose next writes fail as `faults` says; None is a success."""

    def __init__(self, gather_s: float = 0.0) -> None:
        self.inner = MemoryStore()
        self.gather_s = gather_s
        self.is_remote = gather_s > 0
        self.faults: deque[StoreFault | None] = deque()
        self.before_write: Callable[[Sequence[Write]], None] = lambda writes: None

    @property
    def location(self) -> str:
        return "memory"

    @property
    def identity(self) -> str:
        return self.inner.identity

    def close(self) -> None:
        pass

    def find_near(self) -> str | None:
        return self.inner.find_near()

    def find_write_access(self) -> WriteAccess:
        return self.inner.find_write_access()

    def names(self) -> frozenset[str]:
        return self.inner.names()

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        return self.inner.read(environments)

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        return self.inner.read_originals(environments)

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        return self.inner.read_changes(since, shrink)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        self.before_write(writes)
        fault = self.faults.popleft() if self.faults else None
        if fault is StoreFault.KILLED_BEFORE:
            raise Killed
        if fault is StoreFault.FAILS:
            return [WriteResult(write.environment, None, Unreachable("no space left on device")) for write in writes]
        written = self.inner.write(writes)
        if fault is StoreFault.KILLED_AFTER:
            raise Killed
        if fault is StoreFault.LANDS:
            return [WriteResult(write.environment, None, Unreachable("input/output error")) for write in writes]
        return written


Returned = TypeVar("Returned")


async def run_here(call: Callable[[], Returned]) -> Returned:
    """An offloader without threads, so that a test decides the order of everything."""
    return call()


OPTIONS = ApplyOptions(
    concurrency=2,
    rate_limit=None,
    timeout_s=30,
    attempts=3,
    deadline_s=120,
    lease_s=900,
    max_age_s=None,
    max_failures=10,
)


def make_world(
    store: StateStore, plug: FakePlug, clock: FakeClock, credentials: FakeCredentials | None = None
) -> World:
    return World(
        store=store,
        plug=plug,
        credentials=credentials or FakeCredentials(),
        clock=clock,
        by=By("ana", "c0ffee", "1/1"),
        offload=run_here,
        find_write_fault=find_write_fault,
    )
