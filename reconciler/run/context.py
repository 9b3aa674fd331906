"""The data that all environments of one apply share: ports, options, and the reason to begin no further one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from reconciler.core.accounts import ApplyWay
from reconciler.core.observe import Observation
from reconciler.core.planner import Fleet
from reconciler.model import DONE_OUTCOMES, By, Document, EnvironmentResult, Outcome, RunResult, Stored
from reconciler.ports import Clock, Fingerprinter, Observer, Plug, StateStore, Write, WriteResult
from reconciler.run.accounts import Accounts
from reconciler.run.pace import Pace
from reconciler.run.writer import Offload, StateWriter
from reconciler.text.counts import environments


class ApplyOptions(Struct, frozen=True):
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
    way: ApplyWay = ApplyWay.COMMAND  # for the advice in messages


@dataclass(slots=True)
class Stop:
    """A request to end the run: nothing new is begun, and PUTs in flight are finished (docs/contract.md#signals)."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __bool__(self) -> bool:
        return self.asked.is_set()


class WaveBegun(Struct, frozen=True):
    """A wave, for the progress display.

    `wave` is its number in the manifests. `number`, from 1, and `of` count only the waves in which anything is sent.
    """

    wave: int
    number: int
    of: int


class Interim(Struct, frozen=True):
    """The result so far, `after_s` seconds after the request to end, for a process that may be killed then.

    Every outcome in it is durable. If the process lives on, the run returns its final result as usual.
    """

    after_s: float
    report: Callable[[RunResult], None]


class World(Struct, frozen=True):
    """The ports of a run."""

    store: StateStore
    plug: Plug
    credentials: Fingerprinter
    clock: Clock
    by: By
    offload: Offload
    find_write_fault: Callable[[Document], str | None]  # returns why a document could not be read after its write
    pace: Pace | None = None  # that of the requests that this run has sent already; None makes a new one
    observer: Observer | None = None  # for environments that are planned again, with --observe
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    report: Callable[[EnvironmentResult], None] = lambda result: None  # for each environment with a PUT
    report_wave: Callable[[WaveBegun], None] = lambda begun: None
    warn: Callable[[str], None] = lambda warning: None
    interim: Interim | None = None


def explain_max_failures(failures: int) -> str:
    """Return why a wave with this number of failures is not continued."""
    verb = "was" if failures == 1 else "were"
    return f"{environments(failures)} of this wave {verb} not applied (max_failures)"


@dataclass(slots=True)
class RunContext:
    """One run. Its plan was made with `observations` and over `fleet`.

    `refused` maps environments that end before their intent to the reason (`--check-first`).
    """

    world: World
    options: ApplyOptions
    stop: Stop
    observations: Mapping[str, Observation]
    fleet: Fleet
    refused: Mapping[str, str]
    state_trouble: bool = False
    new_documents: int = 0  # written for environments that were not in the state
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # set when no further environment of the wave may begin
    writer: StateWriter = field(init=False)
    accounts: Accounts = field(init=False)
    pace: Pace = field(init=False)
    # (lineage, serial) of a document that this run has put in doubt -> that of the document before
    doubted: dict[tuple[str | None, int], tuple[str | None, int]] = field(default_factory=dict)
    release_waiting: Callable[[], None] = field(default=lambda: None)  # wakes up all that wait for a slot
    begun: set[str] = field(default_factory=set)
    known: dict[str, EnvironmentResult] = field(default_factory=dict)
    settling: set[asyncio.Task[EnvironmentResult]] = field(default_factory=set)  # writes of outcomes in flight
    _halted: str = ""  # the trouble with the state that ended the run
    _failures: int = 0  # in this wave; a wave with failures is the last one

    def __post_init__(self) -> None:
        world = self.world
        self.writer = StateWriter(world.store, world.offload)
        accepted, fleet = self.options.accepted, self.fleet
        self.accounts = Accounts(
            world.store,
            world.offload,
            world.clock,
            fleet,
            accepted,
            world.warn,
            self._find_present_account,
            self.options.way,
        )
        self.pace = self.world.pace or Pace(
            self.world.clock, self.options.rate_limit, longest_pause_s=self.options.deadline_s
        )

    @property
    def stop_reason(self) -> str:
        """Return why no further PUT may be begun; empty while one may."""
        if self.stop:
            return "the run was interrupted"
        if not self._halted and self._failures >= self.options.max_failures:
            return explain_max_failures(self._failures)
        return self._halted

    def _find_present_account(self, environment: str) -> str | None:
        desired = self.fleet.desired.get(environment)
        return None if desired is None else self.world.credentials.fingerprint(desired).account

    def now(self) -> datetime:
        """Return the time in whole seconds, so that the program compares what a person reads in the document."""
        return self.world.clock.now().replace(microsecond=0)

    async def write(self, environment: str, document: Document | None, over: Stored | None) -> WriteResult:
        """Write a document over the version that was read (None: over nothing). A document of None is a deletion."""
        result = await self.writer.write(Write(environment, document, over.version if over else None))
        if result.error is None or result.landed:
            self.accounts.record_written(environment, document)
        return result

    def count(self, outcome: Outcome) -> None:
        """Count an outcome before it is written, so that a slow store does not delay `max_failures`."""
        self._failures += outcome not in DONE_OUTCOMES and outcome is not Outcome.SKIPPED
        self._wake_waiting()

    def halt(self, why: str) -> None:
        """Begin no further environment of the run."""
        self._halted = why
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        """If the run is over, wake up the environments that wait for their first slot."""
        if self.stop_reason:
            self.ended.set()
