"""The apply of a plan: its waves in order, the environments of a wave by a few workers at a time.

See docs/contract.md#apply.

apply_plan                     return a result for every environment
  └ _Wave.apply                run the environments of one wave until all are done, or no further one may be begun
      └ _Wave._apply_one       run one of them: claim, put and settle of environment.py
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from types import MappingProxyType

from msgspec.structs import replace

from reconciler.core.planner import Planned
from reconciler.errors import StateError
from reconciler.model import (
    DONE_OUTCOMES,
    Action,
    Desired,
    EnvironmentPlan,
    EnvironmentResult,
    Outcome,
    Plan,
    RunResult,
    Stored,
)
from reconciler.run.context import ApplyOptions, RunContext, Stop, WaveBegun, World
from reconciler.run.environment import EnvironmentRun, make_result
from reconciler.run.holders import doubt_holders
from reconciler.run.pool import for_each
from reconciler.run.reader import StateReader

logger = logging.getLogger(__name__)

INTENTS_AHEAD_FACTOR = 25  # times the concurrency; so many are sent in a minute or two, well within a lease
# the same if writes are not gathered: before a PUT, an object store takes up to twice as long as the PUT
REMOTE_FACTOR, LOCAL_FACTOR = 4, 2
FLEET = 100  # environments in a wave; from this number on, intents are written ahead of their slots


async def apply_plan(
    planned: Planned,
    world: World,
    options: ApplyOptions,
    stop: Stop,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> RunResult:
    """Apply the plan, wave by wave. The caller has checked everything that must be checked first.

    `refused` maps environments that end before their intent to the reason (`--check-first`). Returns a result for every
    environment of the plan except orphans. Raises only for a fault of this program.
    """
    context = RunContext(world, options, stop, planned.observations, planned.fleet, refused)
    async with _watching(context, planned.plan):
        results = await _apply_waves(context, planned)
    return _make_result(context, planned.plan, results)


def _make_result(context: RunContext, plan: Plan, results: Sequence[EnvironmentResult]) -> RunResult:
    where = plan.where and plan.where.with_more_documents(context.new_documents)
    return RunResult(tuple(results), context.state_trouble, bool(context.stop), where)


@asynccontextmanager
async def _watching(context: RunContext, plan: Plan) -> AsyncIterator[None]:
    """Once the run is asked to end within the block, stop gathering writes, and make the interim result."""
    watch = asyncio.create_task(_watch(context, plan))
    try:
        yield
    finally:
        if not watch.done():
            watch.cancel()
        await asyncio.wait({watch})
    if not watch.cancelled():
        watch.result()  # raises what the report raised


async def _watch(context: RunContext, plan: Plan) -> None:
    await context.stop.asked.wait()
    context.release_waiting()
    context.writer.stop_gathering()
    interim = context.world.interim
    if interim is None:
        return
    await context.world.clock.sleep(interim.after_s)
    if context.settling:
        await asyncio.wait(context.settling)
    interim.report(_make_result(context, plan, [_find_known(context, one) for one in _without_orphans(plan)]))


def _find_known(context: RunContext, planned: EnvironmentPlan) -> EnvironmentResult:
    name = planned.environment
    if name in context.known:
        return context.known[name]
    if name not in context.begun or not planned.action.puts:
        return _make_skipped(planned, context.stop_reason)
    message = "the run was interrupted while its PUT was in flight: its intent stays until its lease ends"
    return make_result(planned, Outcome.UNCERTAIN, message=message)


async def _apply_waves(context: RunContext, planned: Planned) -> list[EnvironmentResult]:
    """Apply wave by wave, and return a result for each environment in the plan's order."""
    world, stop, todo = context.world, context.stop, _without_orphans(planned.plan)
    numbers = {wave: number for number, wave in enumerate(sorted({one.wave for one in todo if one.action.puts}), 1)}
    results: list[EnvironmentResult] = []
    failed_wave: int | None = None
    for number, members in groupby(todo, key=lambda planned: planned.wave):
        wave = _Wave(context, list(members), planned.desired)
        logger.info("wave %d: begins", number)
        if failed_wave is not None or stop:
            wave.skip("the run was interrupted" if stop else f"wave {failed_wave} did not succeed")
        else:
            if number in numbers:
                world.report_wave(WaveBegun(number, numbers[number], len(numbers)))
            if not await wave.apply():
                failed_wave = number
        results.extend(wave.results())
    return results


def make_idle_result(plan: Plan) -> RunResult:
    """Return the result of a plan with nothing to do."""
    results = tuple(make_result(planned, Outcome.UNCHANGED) for planned in _without_orphans(plan))
    return RunResult(results, where=plan.where)


def make_skipped_result(plan: Plan, why: str) -> RunResult:
    """Return the result of a plan of which nothing is begun."""
    return RunResult(tuple(_make_skipped(planned, why) for planned in _without_orphans(plan)), where=plan.where)


def _make_skipped(planned: EnvironmentPlan, why: str) -> EnvironmentResult:
    """Return the result of an environment that is not begun. If it has nothing to do, it is `unchanged`."""
    if not planned.action.puts:
        return make_result(planned, Outcome.UNCHANGED)
    return make_result(planned, Outcome.SKIPPED, message=f"not begun: {why}")


def _without_orphans(plan: Plan) -> list[EnvironmentPlan]:
    return [planned for planned in plan.environments if planned.action is not Action.ORPHAN]


class _Wave:
    """The environments of one wave."""

    def __init__(
        self, context: RunContext, environments: Sequence[EnvironmentPlan], desired: Mapping[str, Desired]
    ) -> None:
        self._context = context
        self._environments = environments
        self._desired = desired
        self._results: dict[str, EnvironmentResult] = {}
        width = self._find_width()
        claims = self._find_claims(width)
        # environments with an intent hold the first semaphore, those with a PUT in flight also the second
        self._begun, self._sending = asyncio.Semaphore(claims), asyncio.Semaphore(width)
        # further workers, because an environment frees both after its last answer and must still write its outcome
        self._workers = min(claims + width, len(environments))
        # Without a document at the plan there is none to read. The write of the intent finds one that was made since.
        to_read = (one.environment for one in environments if one.action.puts and one.lineage is not None)
        self._reader = StateReader(
            context.world.store, context.world.offload, to_read, is_over=lambda: bool(context.stop_reason)
        )

    def results(self) -> Iterator[EnvironmentResult]:
        """Yield the results in the plan's order."""
        return (self._results[planned.environment] for planned in self._environments)

    async def apply(self) -> bool:
        """Apply the wave, and return whether every outcome is `applied` or `unchanged`."""
        self._context.release_waiting = self._release_waiting
        await self._doubt_holders()
        await for_each(self._environments, self._workers, self._begin)
        return all(result.outcome in DONE_OUTCOMES for result in self._results.values())

    async def _doubt_holders(self) -> None:
        """Put environments in doubt whose webhooks the wave's accepted account changes overwrite.

        This happens before the wave's first intent. Otherwise, if two environments exchange their companies, one would
        find the other with a live intent. Each environment checks it again before its PUT, so a failure is reported
        there.
        """
        world, accepted = self._context.world, self._context.options.accepted
        for planned in self._environments:
            name = planned.environment
            if planned.action.puts and name in accepted and name not in self._context.refused:
                desired = self._desired[name]
                try:
                    why = await doubt_holders(self._context, desired, world.credentials.fingerprint(desired).account)
                except StateError as fault:
                    why = str(fault)
                if why:
                    logger.info("%s: the environment that it overwrites is not in doubt yet: %s", name, why)

    def skip(self, why: str) -> None:
        """Skip all environments of the wave."""
        for planned in self._environments:
            self._finish(planned, _make_skipped(planned, why))

    async def _begin(self, planned: EnvironmentPlan) -> None:
        await self._begun.acquire()
        if self._context.stop_reason:
            self._begun.release()
            self._finish(planned, _make_skipped(planned, self._context.stop_reason))
        else:
            self._context.begun.add(planned.environment)
            self._finish(planned, await self._apply_one(planned))

    async def _apply_one(self, planned: EnvironmentPlan) -> EnvironmentResult:
        """Apply one environment. It frees its slot with the last answer, before the outcome is written."""
        if planned.action is Action.NOOP:
            self._begun.release()
            return make_result(planned, Outcome.UNCHANGED)
        clock = self._context.world.clock
        since = clock.monotonic()
        one = EnvironmentRun(self._context, planned, self._desired[planned.environment])
        with self._context.writer.expecting_write():
            try:
                ours = await one.claim(self._reader)
                if isinstance(ours, Stored):
                    async with self._sending:
                        ours = await one.put(ours)
            finally:
                self._begun.release()
            result = ours if isinstance(ours, EnvironmentResult) else await self._settle(one, ours)
        return replace(result, seconds=round(clock.monotonic() - since, 3))

    def _release_waiting(self) -> None:
        """Wake up all environments that have an intent and wait for a slot.

        The run is asked to end, so none of them sends: each removes its intent without waiting for the PUTs in flight.
        """
        for _ in self._environments:
            self._sending.release()

    async def _settle(self, one: EnvironmentRun, ours: Stored) -> EnvironmentResult:
        """Write the outcome, as a task that an interim result waits for."""
        settling = self._context.settling
        task = asyncio.create_task(one.settle(ours))
        settling.add(task)
        try:
            return await task
        finally:
            settling.discard(task)

    def _finish(self, planned: EnvironmentPlan, result: EnvironmentResult) -> None:
        self._results[planned.environment] = self._context.known[planned.environment] = result
        if planned.action.puts:
            self._context.world.report(result)

    def _find_claims(self, width: int) -> int:
        """Return how many environments may be between the write of their intent and their last answer.

        In a fleet, intents are written while other PUTs are in flight, so that no slot stays unused while a disk syncs
        or an object store answers. If writes are gathered, one write carries the intents of all environments that fit
        into a lease. After a signal or `max_failures`, an intent without a PUT is removed and its environment is
        `skipped`. In a small wave no intent is written ahead, because it would gain nothing.
        """
        if self._context.writer.gathers:
            return INTENTS_AHEAD_FACTOR * width
        if len(self._environments) < FLEET:
            return width
        return (REMOTE_FACTOR if self._context.world.store.is_remote else LOCAL_FACTOR) * width

    def _find_width(self) -> int:
        """Return how many PUTs may be in flight.

        It is at most what the rate limit allows, so that no lease is spent on waiting for a slot.
        """
        options = self._context.options
        if options.rate_limit is None:
            return options.concurrency
        return max(1, min(options.concurrency, int(options.rate_limit * options.timeout_s)))
