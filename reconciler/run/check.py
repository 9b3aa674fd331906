"""Calls to the receivers: first each host and port, then each URL with the documented bodies.

See docs/contract.md#drift.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from reconciler.core.planner import Planned
from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver, conclude
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.model import CheckResult, CheckStage, Desired, Event, ReceiverCheck, Shard, Webhooks
from reconciler.ports import Clock, Receivers
from reconciler.run.context import Stop
from reconciler.run.pace import Pace
from reconciler.run.pool import for_each

# After so many POSTs in a row without an answer, a host and port is no longer called. Otherwise a check of ten thousand
# receivers of a dead server would wait for seventy thousand timeouts.
MAX_UNANSWERED = 20

logger = logging.getLogger(__name__)


class CheckOptions(Struct, frozen=True):
    concurrency: int
    rate_limit: float | None  # POSTs a second
    post: bool = True  # False: stop after TLS


class CheckWorld(Struct, frozen=True):
    """The ports of a check. `bodies` gives an event's documented examples."""

    receivers: Receivers
    clock: Clock
    bodies: Callable[[Event], Sequence[bytes]]
    report: Callable[[ReceiverCheck], None] = lambda result: None


def select_checked(
    desired: Sequence[Desired], globs: Sequence[str], shard: Shard | None, find_stored: Callable[[], Collection[str]]
) -> list[Desired]:
    """Return the selected environments of the manifests. A glob may match only orphans, which have no receivers.

    `find_stored` returns the names in the state; it is called only if a glob matches no manifest. Raises InputError,
    StateError.
    """
    names = {one.environment for one in desired}
    try:
        selected = select(globs, names, shard)
    except InputError:
        selected = select(globs, names | set(find_stored()), shard)
    return [one for one in desired if one.environment in selected]


def find_applied(planned: Planned) -> Mapping[str, Webhooks]:
    """Return the applied webhooks of each environment of a plan that was ever applied."""
    return {name: head.applied.webhooks for name, head in planned.heads.items() if head.applied is not None}


async def check_receivers(
    receivers: Sequence[Receiver], world: CheckWorld, options: CheckOptions, stop: Stop | None = None
) -> CheckResult:
    """Return a result for each receiver, in the given order. Raises only for a fault of this program.

    Once `stop` is asked for, calls in flight are cancelled, and the result has what was checked so far.
    """
    results: dict[int, ReceiverCheck] = {}
    checking = asyncio.create_task(_check_all(receivers, world, options, results))
    stopping = asyncio.create_task((Stop() if stop is None else stop).asked.wait())
    await asyncio.wait((checking, stopping), return_when=asyncio.FIRST_COMPLETED)
    interrupted = not checking.done()
    for task in (checking, stopping):
        task.cancel()
    await asyncio.wait((checking, stopping))
    if not interrupted:
        checking.result()  # raises what a worker raised
    return CheckResult(
        tuple(results[number] for number in sorted(results)),
        posted=options.post,
        unchecked=len(receivers) - len(results),
        interrupted=interrupted,
    )


async def _check_all(
    receivers: Sequence[Receiver], world: CheckWorld, options: CheckOptions, results: dict[int, ReceiverCheck]
) -> None:
    """Check all receivers, and put each one's result into `results` by its number."""
    run = _Check(world, options)
    await for_each(sorted({receiver.place for receiver in receivers}), options.concurrency, run.probe)
    # by host and port: a server's connections are closed after its last receiver, however many servers there are
    by_place = sorted(range(len(receivers)), key=lambda number: receivers[number].place)
    run.left = Counter(receiver.place for receiver in receivers)

    async def check(number: int) -> None:
        results[number] = await run.check(receivers[number])
        world.report(results[number])

    await for_each(by_place, options.concurrency, check)


@dataclass(slots=True)
class _Check:
    """The state that the workers of one check share."""

    world: CheckWorld
    options: CheckOptions
    probes: dict[Place, ProbeResult] = field(default_factory=dict)
    left: Counter[Place] = field(default_factory=Counter)  # receivers still to be checked
    silent: Counter[Place] = field(default_factory=Counter)  # POSTs in a row without an answer
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.world.clock, self.options.rate_limit)

    async def probe(self, place: Place) -> None:
        self.probes[place] = probe = await self.world.receivers.probe(place)
        logger.info("%s:%d: %s", place.host, place.port, f"reached by {probe.stage}" if probe.ok else probe.message)

    async def check(self, receiver: Receiver) -> ReceiverCheck:
        place = receiver.place
        probe = self.probes[place]
        answers = await self._call(receiver, probe) if probe.ok and self.options.post else []
        self.left[place] -= 1
        if not self.left[place]:
            await self.world.receivers.leave(place)
        return conclude(receiver, probe, answers, self.world.clock.now())

    async def _call(self, receiver: Receiver, probe: ProbeResult) -> list[Answer]:
        """POST the documented bodies one after another, until one of them gets no answer."""
        answers: list[Answer] = []
        place = receiver.place
        for body in self.world.bodies(receiver.event):
            if self.silent[place] >= MAX_UNANSWERED:
                message = f"not called: the last {MAX_UNANSWERED} calls to {place.host} got no whole answer"
                return [*answers, Answer(CheckStage.POST, message=message)]
            await self.pace.wait(self.world.clock.sleep)
            answer = await self.world.receivers.post(receiver, probe, body)
            answers.append(answer)
            shown = answer.message if answer.status is None else f"{answer.status} in {answer.latency_s or 0:.3f} s"
            logger.info("%s:%d: POST of %s: %s", place.host, place.port, receiver.event, shown)
            self.silent[place] = self.silent[place] + 1 if answer.status is None else 0
            if answer.status is None:
                break
        return answers
