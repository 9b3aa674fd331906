"""The apply of a plan, seen from outside: waves, their widths, and the report of each environment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.attempts import Attempt
from reconciler.core.planner import PlanInput, Planned
from reconciler.model import Desired, EnvironmentResult, Outcome, RunResult
from reconciler.ports import Write
from reconciler.run.apply import FLEET, INTENTS_AHEAD_FACTOR, apply_plan, make_idle_result
from reconciler.run.context import ApplyOptions, Interim, Stop, WaveBegun
from reconciler.run.planning import plan_environments
from tests.fakes import (
    HEALTHY,
    OPTIONS,
    START,
    Behaviour,
    FakeClock,
    FakeCredentials,
    FakePlug,
    FaultyStore,
    answer,
    make_desired,
    make_world,
)


class Fleet:
    """Environments of any waves, and what is reported while they are applied."""

    def __init__(self, *desired: Desired, gather_s: float = 0.0) -> None:
        self.clock, self.plug, self.store = FakeClock(), FakePlug(), FaultyStore(gather_s)
        self.desired = list(desired)
        self.stop = Stop()
        self.interim: Interim | None = None
        self.reported: list[EnvironmentResult] = []
        self.waves: list[WaveBegun] = []

    def plan(self) -> Planned:
        return plan_environments(self.desired, self.store, FakeCredentials(), PlanInput(START))

    async def apply(self, options: ApplyOptions = OPTIONS) -> RunResult:
        world = replace(
            make_world(self.store, self.plug, self.clock),
            report=self.reported.append,
            report_wave=self.waves.append,
            interim=self.interim,
        )
        planned = self.plan()
        try:
            return await apply_plan(planned, world, options, self.stop)
        finally:
            self.stop = Stop()  # one run has one loop


def outcomes(result: RunResult) -> dict[str, Outcome]:
    return {one.environment: one.outcome for one in result.environments}


def test_an_unchanged_environment_is_neither_read_nor_written_nor_reported() -> None:
    fleet = Fleet(make_desired("a"), make_desired("b"))
    asyncio.run(fleet.apply())
    fleet.desired[0] = make_desired("a", "2")
    written: list[Write] = []

    def note(writes: Sequence[Write]) -> None:
        written.extend(writes)

    fleet.store.before_write = note
    fleet.reported.clear()
    result = asyncio.run(fleet.apply())
    assert outcomes(result) == {"a": Outcome.APPLIED, "b": Outcome.UNCHANGED}
    assert {one.environment for one in written} == {"a"}
    assert [one.environment for one in fleet.reported] == ["a"]


def test_the_result_counts_the_documents_of_the_state_after_the_run() -> None:
    """Two are new, and one was there before."""
    fleet = Fleet(make_desired("a"))
    asyncio.run(fleet.apply())
    fleet.desired = [make_desired("a", "2"), make_desired("b"), make_desired("c")]
    result = asyncio.run(fleet.apply())
    assert result.where is not None and result.where.documents == 3


def test_each_environment_is_reported_once_with_its_duration() -> None:
    fleet = Fleet(make_desired("a"), make_desired("b"))

    async def slow(plug: FakePlug, desired: Desired) -> Attempt:
        fleet.clock.advance(1.23456)
        return await HEALTHY(plug, desired)

    fleet.clock.advance(5000)
    fleet.plug.script.append(slow)
    result = asyncio.run(fleet.apply(replace(OPTIONS, concurrency=1)))
    assert sorted(fleet.reported, key=lambda one: one.environment) == list(result.environments)
    assert result.environments[0].seconds == 1.235


def test_a_plan_with_nothing_to_do_has_a_result() -> None:
    fleet = Fleet(make_desired("a"), make_desired("gone"))
    asyncio.run(fleet.apply())
    fleet.desired.pop()
    assert outcomes(make_idle_result(fleet.plan().plan)) == {"a": Outcome.UNCHANGED}


@pytest.mark.parametrize(
    ("first", "signal", "why"),
    [
        (answer(400), False, "not begun: wave 0 did not succeed"),
        (answer(200, acts=True), True, "not begun: the run was interrupted"),
        (answer(400), True, "not begun: the run was interrupted"),
    ],
)
def test_a_later_wave_says_why_it_was_not_begun(first: Behaviour, signal: bool, why: str) -> None:
    fleet = Fleet(make_desired("a", wave=0), make_desired("b", wave=5), make_desired("c", wave=5))

    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        if signal:
            fleet.stop.asked.set()
        return await first(plug, desired)

    fleet.plug.script.append(behave)
    result = asyncio.run(fleet.apply())
    assert [one.message for one in result.environments[1:]] == [why] * 2
    assert fleet.plug.received == ["a"]
    assert fleet.waves == [WaveBegun(0, 1, 2)]


def test_a_single_failure_that_stops_the_wave_is_counted_in_the_singular() -> None:
    fleet = Fleet(make_desired("a"), make_desired("b"))
    fleet.plug.script.append(answer(400))
    result = asyncio.run(fleet.apply(replace(OPTIONS, concurrency=1, max_failures=1)))
    assert [one.outcome for one in result.environments] == [Outcome.REJECTED, Outcome.SKIPPED]
    assert result.environments[1].message == ("not begun: 1 environment of this wave was not applied (max_failures)")


def test_applied_environments_do_not_count_towards_max_failures() -> None:
    fleet = Fleet(*(make_desired(name, wave=wave) for wave, name in enumerate("abc")))
    assert set(outcomes(asyncio.run(fleet.apply(replace(OPTIONS, max_failures=1)))).values()) == {Outcome.APPLIED}


@pytest.mark.parametrize(
    ("count", "gather_s", "options", "begun"),
    [
        (FLEET - 1, 0.0, {"concurrency": 4}, 4),
        (FLEET - 1, 0.0, {"concurrency": 8, "rate_limit": 0.1}, 3),  # in 30 s, a request's timeout
        (FLEET - 1, 0.0, {"concurrency": 8, "rate_limit": 0.001}, 1),
        (FLEET - 1, 0.0, {"concurrency": 8, "rate_limit": 100.0}, 8),
        (4 * INTENTS_AHEAD_FACTOR + 10, 0.01, {"concurrency": 4}, 4 * INTENTS_AHEAD_FACTOR),
    ],
)
def test_no_more_are_begun_than_can_be_put_within_a_lease(
    count: int, gather_s: float, options: dict[str, Any], begun: int
) -> None:
    """If a write costs a round trip, one write carries the intents of a batch."""
    fleet = Fleet(*(make_desired(f"e{number:03}") for number in range(count)), gather_s=gather_s)
    names = [one.environment for one in fleet.desired]
    gate = asyncio.Event()

    async def held(plug: FakePlug, desired: Desired) -> Attempt:
        await gate.wait()
        return await HEALTHY(plug, desired)

    def count_intents() -> int:
        return sum(one.document.intent is not None for one in fleet.store.read(names).values())

    async def run() -> int:
        running = asyncio.create_task(fleet.apply(replace(OPTIONS, **options)))
        while count_intents() < begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # time for one too many
        intents = count_intents()
        fleet.stop.asked.set()
        gate.set()
        await running
        return intents

    fleet.plug.script.extend([held] * count)
    assert asyncio.run(run()) == begun


def test_the_interim_result_of_an_interrupted_run_has_only_durable_outcomes() -> None:
    """An outcome that waits for its batch is written first, because the process may be killed."""
    fleet = Fleet(*map(make_desired, "abcd"), gather_s=60)
    gate, reports, slept = asyncio.Event(), list[tuple[RunResult, set[str]]](), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for _ in range(100):  # time for all that need not wait for Plug
            await asyncio.sleep(0)

    def intents() -> set[str]:
        documents = fleet.store.read("abcd")
        return {name for name, stored in documents.items() if stored.document.intent is not None}

    async def held(plug: FakePlug, desired: Desired) -> Attempt:
        if desired.environment != "a":
            await gate.wait()
        return await HEALTHY(plug, desired)

    async def run() -> RunResult:
        fleet.interim = Interim(9.0, lambda result: reports.append((result, intents())))
        fleet.clock.sleep = sleep  # type: ignore[method-assign]
        running = asyncio.create_task(fleet.apply(replace(OPTIONS, concurrency=2)))
        while len(fleet.plug.received) < 3:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        fleet.stop.asked.set()
        while not reports:
            await asyncio.sleep(0)
        gate.set()
        return await running

    fleet.plug.script.extend([held] * 3)
    result = asyncio.run(run())
    ((known, in_doubt),) = reports
    assert known.interrupted and slept == [9.0]
    sent = {"a": Outcome.APPLIED, "b": Outcome.UNCERTAIN, "c": Outcome.UNCERTAIN, "d": Outcome.SKIPPED}
    assert outcomes(known) == sent
    assert in_doubt == {"b", "c"}  # what waited for a slot took its intent back
    assert outcomes(result) == {**dict.fromkeys("abc", Outcome.APPLIED), "d": Outcome.SKIPPED}


def test_a_run_that_ends_sooner_makes_no_interim_result() -> None:
    """It makes no difference whether it was interrupted."""

    async def forever(seconds: float) -> None:
        await asyncio.Event().wait()

    fleet = Fleet(make_desired("a"))
    reports: list[RunResult] = []
    fleet.interim = Interim(9.0, reports.append)
    fleet.clock.sleep = forever  # type: ignore[method-assign]
    assert outcomes(asyncio.run(fleet.apply())) == {"a": Outcome.APPLIED}
    fleet.desired = [make_desired("a", "2")]
    fleet.stop.asked.set()
    assert outcomes(asyncio.run(fleet.apply())) == {"a": Outcome.SKIPPED}
    assert reports == []
