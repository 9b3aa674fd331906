"""What all environments of one apply share: the ports, the options, and why no further one may be begun."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.core.observe import Observation
from reconciler.model import By, Document, EnvironmentResult, Outcome
from reconciler.model.result import DONE_OUTCOMES
from reconciler.ports import Clock, Fingerprinter, Observer, Plug, StateStore
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
    exact: bool = False  # a plan file or --expect: what has moved on is not planned anew


@dataclass(slots=True)
class Stop:
    """Asked to end: nothing new is begun, what is under way is finished (CONTRACT §6.11)."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __bool__(self) -> bool:
        return self.asked.is_set()


@dataclass(frozen=True, slots=True)
class WaveBegun:
    """For who watches: `number` (from 1) `of` the waves in which anything is put."""

    wave: int
    number: int
    of: int


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
    pace: Pace | None = None  # where the run sent requests before
    observer: Observer | None = None  # of --observe: what is planned anew is observed anew
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    report: Callable[[EnvironmentResult], None] = field(default=lambda result: None)  # of each that was to be put
    report_wave: Callable[[WaveBegun], None] = field(default=lambda begun: None)


@dataclass(slots=True)
class RunContext:
    """One run. `observations` are what its plan was made from; `refused` says why an environment ends before any
    intent (`--check-first`)."""

    world: World
    options: ApplyOptions
    stop: Stop
    observations: Mapping[str, Observation]
    refused: Mapping[str, str]
    state_trouble: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # no further environment of this wave is begun
    writer: StateWriter = field(init=False)
    pace: Pace = field(init=False)
    _halted: str = ""  # by trouble with the state
    _failures: int = 0  # in this wave: the next one begins only after one without any

    def __post_init__(self) -> None:
        self.writer = StateWriter(self.world.store, self.world.offload)
        self.pace = self.world.pace or Pace(
            self.world.clock, self.options.rate_limit, longest_pause_s=self.options.deadline_s
        )

    @property
    def stop_reason(self) -> str:
        """Why no further PUT may be begun; empty while one may."""
        if self.stop:
            return "the run was interrupted"
        if not self._halted and self._failures >= self.options.max_failures:
            return f"{self._failures} environments of this wave were not applied (max_failures)"
        return self._halted

    def count(self, outcome: Outcome) -> None:
        """At once, before the outcome is written: `max_failures` must not be outrun by a slow state."""
        self._failures += outcome not in DONE_OUTCOMES and outcome is not Outcome.SKIPPED
        self._tell_end()

    def halt(self, why: str) -> None:
        """No further environment of the run is begun."""
        self._halted = why
        self._tell_end()

    def _tell_end(self) -> None:
        """Wakes up who waits for a first slot."""
        if self.stop_reason:
            self.ended.set()
