"""The data that all environments of one apply share: ports, options, and why no further one may be begun."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.core.observe import Observation
from reconciler.core.planner import Fleet
from reconciler.model import By, Document, EnvironmentResult, Outcome, RunResult, Stored
from reconciler.model.result import DONE_OUTCOMES
from reconciler.ports import Clock, Fingerprinter, Observer, Plug, StateStore, Write, WriteResult
from reconciler.run.accounts import Accounts
from reconciler.run.pace import Pace
from reconciler.run.writer import Offload, StateWriter


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The settings of a run; times in seconds."""

    concurrency: int
    rate_limit: float | None
    timeout_s: float
    attempts: int
    deadline_s: float
    lease_s: float
    max_age_s: float | None
    max_failures: int
    exact: bool = False  # a plan file or --expect: an environment that has moved on is not planned again
    accepted: Collection[str] = ()  # the environments of --accept-account-change


@dataclass(slots=True)
class Stop:
    """A request to end the run: nothing new is begun, PUTs under way are finished (CONTRACT §6.11)."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __bool__(self) -> bool:
        return self.asked.is_set()


@dataclass(frozen=True, slots=True)
class WaveBegun:
    """A wave for the progress display.

    `wave` is its number in the manifests; `number` (from 1) and `of` count the waves in which anything is sent.
    """

    wave: int
    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Interim:
    """The result of what is known `after_s` seconds after the request to end, for a process that may be killed then.

    Everything that it calls done is durable. The run goes on, and returns its result as ever if it may.
    """

    after_s: float
    report: Callable[[RunResult], None]


@dataclass(frozen=True, slots=True)
class World:
    """The ports of a run."""

    store: StateStore
    plug: Plug
    credentials: Fingerprinter
    clock: Clock
    by: By
    offload: Offload
    find_write_fault: Callable[[Document], str | None]  # why a document could not be read once it is written
    pace: Pace | None = None  # the one of the requests that this run has sent already; None: a new one
    observer: Observer | None = None  # with --observe, for environments that are planned again
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    report: Callable[[EnvironmentResult], None] = field(default=lambda result: None)  # of each environment with a PUT
    report_wave: Callable[[WaveBegun], None] = field(default=lambda begun: None)
    warn: Callable[[str], None] = field(default=lambda warning: None)
    interim: Interim | None = None


@dataclass(slots=True)
class RunContext:
    """One run. Its plan was made with `observations` and over `fleet`; `refused` says why an environment ends before
    its intent (`--check-first`)."""

    world: World
    options: ApplyOptions
    stop: Stop
    observations: Mapping[str, Observation]
    fleet: Fleet
    refused: Mapping[str, str]
    state_trouble: bool = False
    new_documents: int = 0  # written where the state held none of that environment
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # no further environment of this wave is begun
    writer: StateWriter = field(init=False)
    accounts: Accounts = field(init=False)
    pace: Pace = field(init=False)
    # (lineage, serial) of a document that this run has put in doubt -> of the one that it was before
    doubted: dict[tuple[str | None, int], tuple[str | None, int]] = field(default_factory=dict)
    let_pass: Callable[[], None] = field(default=lambda: None)  # of the wave: wake up all that wait for a slot
    begun: set[str] = field(default_factory=set)
    known: dict[str, EnvironmentResult] = field(default_factory=dict)
    settling: set[asyncio.Task[EnvironmentResult]] = field(default_factory=set)  # answered, and being written down
    _halted: str = ""  # by trouble with the state
    _failures: int = 0  # in this wave: the next one begins only after one without any

    def __post_init__(self) -> None:
        world = self.world
        self.writer = StateWriter(world.store, world.offload)
        accepted, fleet = self.options.accepted, self.fleet
        self.accounts = Accounts(
            world.store, world.offload, world.clock, fleet, accepted, world.warn, self._find_present_account
        )
        self.pace = self.world.pace or Pace(
            self.world.clock, self.options.rate_limit, longest_pause_s=self.options.deadline_s
        )

    @property
    def stop_reason(self) -> str:
        """The reason why no further PUT may be begun; empty while one may."""
        if self.stop:
            return "the run was interrupted"
        if not self._halted and self._failures >= self.options.max_failures:
            return f"{self._failures} environments of this wave were not applied (max_failures)"
        return self._halted

    def _find_present_account(self, environment: str) -> str | None:
        desired = self.fleet.desired.get(environment)
        return None if desired is None else self.world.credentials.fingerprint(desired).account

    def now(self) -> datetime:
        """The time in whole seconds: what a person reads in the document is what the program compares."""
        return self.world.clock.now().replace(microsecond=0)

    async def write(self, environment: str, document: Document | None, over: Stored | None) -> WriteResult:
        """Write a document (None: delete it) over the version that was read; None: over nothing."""
        result = await self.writer.write(Write(environment, document, over.version if over else None))
        if result.error is None:
            self.accounts.note(environment, document)
        return result

    def count(self, outcome: Outcome) -> None:
        """Count an outcome before it is written, so that a slow state does not delay `max_failures`."""
        self._failures += outcome not in DONE_OUTCOMES and outcome is not Outcome.SKIPPED
        self._wake_waiting()

    def halt(self, why: str) -> None:
        """Begin no further environment of the run."""
        self._halted = why
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        """Wake up the environments that wait for their first slot, where the run is over."""
        if self.stop_reason:
            self.ended.set()
