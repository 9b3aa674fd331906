"""In a fleet, intents are written ahead of a free slot. Those that are not sent at the run's end are removed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.attempts import Attempt
from reconciler.core.planner import PlanInput
from reconciler.model import By, Desired, Document, Outcome, RunResult
from reconciler.ports import Write
from reconciler.run.apply import FLEET, LOCAL_FACTOR, REMOTE_FACTOR, apply_plan
from reconciler.run.context import ApplyOptions, Stop
from reconciler.run.planning import plan_environments
from tests.fakes import (
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

WIDTH = 4
REFUSED = answer(400)


class Fleet:
    """Environments whose PUTs wait until a test lets them go on."""

    def __init__(self, count: int, gather_s: float = 0.0, **settings: Any) -> None:
        self.clock, self.plug, self.store = FakeClock(), FakePlug(), FaultyStore(gather_s)
        self.desired = [make_desired(f"e{number:03}") for number in range(count)]
        self.options: ApplyOptions = replace(OPTIONS, **{"concurrency": WIDTH, **settings})
        self.stop = Stop()

    def hold(self, *first: Behaviour) -> asyncio.Event:
        """Let the PUTs wait for the event; then the first answers are as given, and the others are 200."""
        gate = asyncio.Event()
        answers = list(first)

        async def behave(plug: FakePlug, desired: Desired) -> Attempt:
            await gate.wait()
            return await (answers.pop(0) if answers else answer(200, acts=True))(plug, desired)

        self.plug.script.extend([behave] * len(self.desired))
        return gate

    async def apply(self) -> RunResult:
        planned = plan_environments(self.desired, self.store, FakeCredentials(), PlanInput(START))
        world = make_world(self.store, self.plug, self.clock)
        try:
            return await apply_plan(planned, world, self.options, self.stop)
        finally:
            self.stop = Stop()  # one run has one loop

    def documents(self) -> dict[str, Document]:
        return {name: one.document for name, one in self.store.read([one.environment for one in self.desired]).items()}

    def intents(self) -> set[str]:
        return {name for name, document in self.documents().items() if document.intent is not None}


async def settle_down() -> None:
    """Let every task go as far as it can."""
    for _ in range(200):
        await asyncio.sleep(0)


def of(result: RunResult, outcome: Outcome) -> set[str]:
    return {one.environment for one in result.environments if one.outcome is outcome}


@pytest.mark.parametrize(
    ("count", "remote", "intents"),
    [
        (FLEET - 1, False, WIDTH),
        (FLEET - 1, True, WIDTH),
        (FLEET, False, LOCAL_FACTOR * WIDTH),
        (FLEET, True, REMOTE_FACTOR * WIDTH),
    ],
)
def test_intents_are_written_ahead_in_a_fleet_only(count: int, remote: bool, intents: int) -> None:
    """There are enough of them that no slot stays unused; in a small wave there are none."""
    fleet = Fleet(count)
    fleet.store.is_remote = remote

    async def run() -> RunResult:
        gate = fleet.hold()
        running = asyncio.create_task(fleet.apply())
        await settle_down()
        assert len(fleet.plug.received) == WIDTH
        assert len(fleet.intents()) == intents
        assert set(fleet.plug.received) <= fleet.intents()
        gate.set()
        return await running

    assert of(asyncio.run(run()), Outcome.APPLIED) == {one.environment for one in fleet.desired}


@pytest.mark.parametrize("gather_s", [0.0, 0.01])
def test_a_signal_removes_unsent_intents_and_skips_their_environments(gather_s: float) -> None:
    """PUTs in flight are finished; the next apply puts the skipped ones."""
    fleet = Fleet(FLEET, gather_s)

    async def run() -> RunResult:
        gate = fleet.hold()
        running = asyncio.create_task(fleet.apply())
        while len(fleet.plug.received) < WIDTH:
            await asyncio.sleep(0.001)
        await settle_down()
        fleet.stop.asked.set()
        gate.set()
        return await running

    result = asyncio.run(run())
    assert of(result, Outcome.APPLIED) == set(fleet.plug.received)
    assert len(fleet.plug.received) == WIDTH
    assert len(of(result, Outcome.SKIPPED)) == FLEET - WIDTH
    assert {one.message for one in result.environments if one.outcome is Outcome.SKIPPED} == {
        "not begun: the run was interrupted"
    }
    assert set(fleet.documents()) == set(fleet.plug.received)  # as if the rest had never been begun
    fleet.stop = Stop()
    fleet.plug.script.clear()
    assert len(of(asyncio.run(fleet.apply()), Outcome.APPLIED)) == FLEET - WIDTH


def test_max_failures_removes_intents_that_were_written_ahead() -> None:
    """Nothing more is sent, and environments that were not begun are no failures."""
    fleet = Fleet(FLEET, max_failures=2)

    async def run() -> RunResult:
        gate = fleet.hold(*[REFUSED] * WIDTH)
        running = asyncio.create_task(fleet.apply())
        await settle_down()
        gate.set()
        return await running

    result = asyncio.run(run())
    assert of(result, Outcome.REJECTED) <= set(fleet.plug.received)
    # a slot that becomes free before the second failure is counted may be used again
    assert 2 <= len(of(result, Outcome.REJECTED)) <= WIDTH
    assert len(fleet.plug.received) <= WIDTH + 1
    assert len(of(result, Outcome.SKIPPED)) == FLEET - len(fleet.plug.received)
    assert set(fleet.documents()) == set(fleet.plug.received)
    reported = {one.message for one in result.environments if one.outcome is Outcome.SKIPPED}
    assert all("environments of this wave were not applied (max_failures)" in message for message in reported)


def test_a_removed_intent_leaves_the_record_and_no_doubt() -> None:
    """Nothing was sent, so the applied record is still right."""
    fleet = Fleet(FLEET)
    asyncio.run(fleet.apply())
    before = {name: document.applied for name, document in fleet.documents().items()}
    sent = len(fleet.plug.received)
    fleet.desired = [make_desired(one.environment, "2") for one in fleet.desired]

    async def run() -> RunResult:
        gate = fleet.hold()
        running = asyncio.create_task(fleet.apply())
        await settle_down()
        assert len(fleet.intents()) == LOCAL_FACTOR * WIDTH
        fleet.stop.asked.set()
        gate.set()
        return await running

    skipped = of(asyncio.run(run()), Outcome.SKIPPED)
    assert len(skipped) == FLEET - WIDTH == FLEET - len(fleet.plug.received[sent:])
    assert fleet.intents() == set()
    assert all(fleet.documents()[name].applied == before[name] for name in skipped)


def test_an_older_doubt_outlives_a_removed_intent() -> None:
    """`skipped` ends no doubt: the intent stays in doubt, and its lease is released."""
    fleet = Fleet(FLEET)
    doubted = fleet.desired[WIDTH]  # the first that is claimed ahead
    begun = record.begin_intent(
        None, doubted, record.Claim("old", "lineage", START, OPTIONS.lease_s, By("ana", None, None))
    )
    fleet.store.inner.write([Write(doubted.environment, record.mark_in_doubt(begun), None)])

    async def run() -> RunResult:
        gate = fleet.hold()
        running = asyncio.create_task(fleet.apply())
        await settle_down()
        assert doubted.environment in fleet.intents()
        assert doubted.environment not in fleet.plug.received
        fleet.stop.asked.set()
        gate.set()
        return await running

    result = asyncio.run(run())
    assert doubted.environment in of(result, Outcome.SKIPPED)
    assert fleet.intents() == {doubted.environment}
    intent = fleet.documents()[doubted.environment].intent
    assert intent is not None
    assert (intent.doubt, intent.lease_until) == (True, None)
