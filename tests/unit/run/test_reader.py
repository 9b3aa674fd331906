"""Whole documents are read at most a batch ahead, and an environment whose document changed is planned again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from msgspec.structs import replace

from reconciler.core.planner import PlanInput, Planned
from reconciler.errors import Corrupt, StateError, Unreachable
from reconciler.model import Desired, Outcome, RunResult, Stored
from reconciler.run.apply import apply_plan
from reconciler.run.context import ApplyOptions, Stop
from reconciler.run.planning import plan_environments
from reconciler.run.reader import BATCH, REST, StateReader
from tests.fakes import (
    OPTIONS,
    START,
    FakeClock,
    FakeCredentials,
    FakePlug,
    Returned,
    make_desired,
    make_world,
    run_here,
)
from tests.memory_store import MemoryStore


class CountingStore(MemoryStore):
    """Remembers how many documents each read asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        wanted = list(environments)
        self.reads.append(len(wanted))
        return super().read(wanted)


class LosingStore(CountingStore):
    """A store that could be read for the plan, and answers no read after it."""

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        super().read(environments)
        raise Unreachable("no answer within 120 s")


class World:
    """Some environments, a Plug and a state, with runs that plan and apply when a test says so."""

    def __init__(self, *names: str) -> None:
        self.clock, self.plug, self.store = FakeClock(), FakePlug(), CountingStore()
        self.desired = [make_desired(name) for name in names]

    def plan(self) -> Planned:
        return plan_environments(self.desired, self.store, FakeCredentials(), PlanInput(START))

    async def apply(self, planned: Planned, options: ApplyOptions = OPTIONS) -> RunResult:
        world = make_world(self.store, self.plug, self.clock)
        return await apply_plan(planned, world, options, Stop())


def names(count: int) -> list[str]:
    return [f"e{number:04d}" for number in range(count)]


def make_reader(store: MemoryStore, environments: Iterable[str]) -> StateReader:
    return StateReader(store, run_here, environments, lambda: False)


def test_the_next_batch_is_read_while_the_one_before_is_used_up() -> None:
    """At most one and a half batches are in memory."""
    store, wanted = CountingStore(), names(3 * BATCH)

    async def take_most() -> None:
        reader = make_reader(store, wanted)
        for taken, name in enumerate(wanted[:-1], 1):
            await reader.take(name)
            await asyncio.sleep(0)  # a read that was begun goes on
            assert sum(store.reads) - taken <= BATCH + REST
            assert sum(store.reads) - taken > 0, "the next one need not wait"

    asyncio.run(take_most())
    assert store.reads == [BATCH] * 3


def test_a_cancelled_take_cancels_no_read_of_others() -> None:
    store = CountingStore()

    async def offload(call: Callable[[], Returned]) -> Returned:
        await asyncio.sleep(0)
        return call()

    async def run() -> Stored | None:
        reader = StateReader(store, offload, names(2), lambda: False)
        one, other = (asyncio.create_task(reader.take(name)) for name in names(2))
        await asyncio.sleep(0)
        one.cancel()
        return await other

    assert asyncio.run(run()) is None
    assert store.reads == [2]


def test_an_environment_without_a_read_overtakes_no_other() -> None:
    """The environments of a wave begin in its order."""
    taken: list[str] = []

    async def offload(call: Callable[[], Returned]) -> Returned:
        await asyncio.sleep(0)
        return call()

    async def run() -> None:
        reader = StateReader(CountingStore(), offload, names(1), lambda: False)

        async def take(name: str) -> None:
            await reader.take(name)
            taken.append(name)

        await asyncio.gather(*(take(name) for name in names(3)))

    asyncio.run(run())
    assert taken == names(3)


def test_what_had_no_document_at_the_plan_is_not_read() -> None:
    """The write of its intent finds a document that was made since then."""
    world = World("a", "b")
    asyncio.run(world.apply(world.plan()))
    assert world.store.reads == []
    world.desired = [make_desired(name, "2") for name in "abc"]
    asyncio.run(world.apply(world.plan()))
    assert world.store.reads == [2]
    assert world.plug.received == ["a", "b", "a", "b", "c"]


def test_workers_that_ask_at_once_share_a_read() -> None:
    store = CountingStore()

    async def take_all() -> list[Stored | None]:
        reader = make_reader(store, names(16))
        return await asyncio.gather(*(reader.take(name) for name in reversed(names(16))))

    assert asyncio.run(take_all()) == [None] * 16
    assert store.reads == [16]


def test_a_document_that_can_not_be_read_fails_only_its_own_environment() -> None:
    world = World("a", "b", "c")
    asyncio.run(world.apply(world.plan()))
    world.store.documents["b"] = b"{"

    async def take_all() -> dict[str, Stored | StateError | None]:
        reader = make_reader(world.store, "abc")
        found: dict[str, Stored | StateError | None] = {}
        for name in "bac":
            try:
                found[name] = await reader.take(name)
            except StateError as fault:
                found[name] = fault
        return found

    taken = asyncio.run(take_all())
    assert isinstance(taken.pop("b"), Corrupt)
    assert taken == world.store.read("ac")


def test_a_plan_holds_no_history_and_an_apply_keeps_it() -> None:
    world = World("a")
    for version in "123":
        world.desired = [make_desired("a", version)]
        planned = world.plan()
        assert planned.documents == {}
        assert not any(hasattr(head, "history") for head in planned.heads.values())
        asyncio.run(world.apply(planned))
    assert len(world.store.read("a")["a"].document.history) == 3


@pytest.mark.parametrize("exact", [False, True])
def test_what_another_run_applied_since_the_plan_is_not_sent_again(exact: bool) -> None:
    """Without a document at the plan, the compare-and-swap finds it."""
    world = World("a", "b")
    late = world.plan()
    asyncio.run(world.apply(world.plan()))
    standing = dict(world.store.documents)
    result = asyncio.run(world.apply(late, replace(OPTIONS, exact=exact)))
    assert {one.outcome for one in result.environments} == {Outcome.UNCHANGED}
    assert world.plug.received == ["a", "b"]
    assert world.store.documents == standing


def test_what_another_run_applies_after_the_read_is_found_by_the_compare_and_swap() -> None:
    world = World("a", "b")

    def apply_second(desired: Desired) -> None:
        """Apply the second environment as another run while the first is put; both documents were read in one batch."""
        world.plug.before = lambda desired: None
        late = world.plan()
        assert [one.reasons for one in late.plan.environments if one.environment == "b"]
        others.append(asyncio.get_running_loop().create_task(world.apply(late)))

    async def run() -> RunResult:
        world.plug.before = apply_second
        result = await world.apply(world.plan(), replace(OPTIONS, concurrency=1))
        for other in others:
            await other
        return result

    others: list[asyncio.Task[RunResult]] = []
    result = asyncio.run(run())
    assert {one.environment: one.outcome for one in result.environments}["a"] is Outcome.APPLIED
    assert sorted(world.plug.received) == ["a", "b"]


def test_a_document_that_turned_corrupt_since_the_plan_keeps_its_doubt_and_sends_nothing() -> None:
    world = World("a")
    asyncio.run(world.apply(world.plan()))
    world.desired = [make_desired("a", "2")]
    late = world.plan()
    world.store.documents["a"] = b""
    result = asyncio.run(world.apply(late))
    (one,) = result.environments
    assert (one.outcome, one.attempts, result.state_trouble) == (Outcome.FAILED, 0, True)
    assert "is empty" in one.message
    assert world.plug.received == ["a"]


def test_a_store_that_answers_no_more_is_not_asked_again_for_each_environment() -> None:
    """Each request may take two minutes, and a signal would wait for all of them."""
    world = World(*names(BATCH))
    asyncio.run(world.apply(world.plan()))
    world.plug.received.clear()
    world.desired = [make_desired(name, "2") for name in names(BATCH)]
    documents, world.store = world.store.documents, LosingStore()
    world.store.documents.update(documents)
    result = asyncio.run(world.apply(world.plan(), replace(OPTIONS, concurrency=8)))
    assert world.store.reads == [BATCH, 1]
    found = Counter(one.outcome for one in result.environments)
    assert found == {Outcome.FAILED: 1, Outcome.SKIPPED: BATCH - 1}
    assert result.state_trouble
    assert world.plug.received == []


def test_workers_that_wait_for_a_read_at_the_runs_end_read_nothing_more() -> None:
    """All but the first worker wait for the store, whose answers may take minutes."""
    store, stop = CountingStore(), Stop()

    async def offload(call: Callable[[], Returned]) -> Returned:
        await asyncio.sleep(0)
        stop.asked.set()
        raise Unreachable("no answer within 120 s")

    async def run() -> list[Stored | StateError | BaseException | None]:
        reader = StateReader(store, offload, names(3), lambda: bool(stop))
        return await asyncio.gather(*(reader.take(name) for name in names(3)), return_exceptions=True)

    assert asyncio.run(run()) == [None] * 3


def test_after_a_document_that_turned_corrupt_under_a_put_no_further_environment_is_begun() -> None:
    """Neither the record nor doubt could be written, so nothing in the state shows the PUT."""
    world = World(*names(6))

    def spoil(desired: Desired) -> None:
        if desired.environment == "e0000":
            world.store.documents["e0000"] = b""

    world.plug.before = spoil
    result = asyncio.run(world.apply(world.plan(), replace(OPTIONS, concurrency=1)))
    outcomes = [one.outcome for one in result.environments]
    assert outcomes[0] is Outcome.UNCERTAIN
    assert outcomes[2:] == [Outcome.SKIPPED] * 4  # the second's intent may be on its way by then
    assert result.state_trouble
