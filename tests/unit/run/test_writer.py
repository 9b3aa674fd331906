"""State writes of many environments in few: who joins which, how long a batch waits, and whom a cancel concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from reconciler.core.record import adopt
from reconciler.model import By, Fingerprint
from reconciler.ports import Write, WriteResult
from reconciler.run.writer import StateWriter
from tests.fakes import START, FaultyStore, make_desired

T = TypeVar("T")


class Journal(FaultyStore):
    """Remembers which environments each write carried."""

    def __init__(self, gather_s: float = 0.0) -> None:
        super().__init__(gather_s)
        self.batches: list[str] = []

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        self.batches.append("".join(write.environment for write in writes))
        return super().write(writes)


class Gate:
    """An offload whose calls go through one by one, when a test lets them."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = asyncio.Semaphore(0)

    async def __call__(self, call: Callable[[], T], /) -> T:
        self.waiting += 1
        await self._open.acquire()
        self.waiting -= 1
        return call()

    def let_through(self, count: int = 1) -> None:
        for _ in range(count):
            self._open.release()


async def at_once(call: Callable[[], T], /) -> T:
    await asyncio.sleep(0)
    return call()


def write_of(name: str) -> Write:
    document = adopt(None, make_desired(name), Fingerprint("org:1"), START, By("ana"), lineage="l")
    return Write(name, document, None)


def begin(writer: StateWriter, names: str) -> list[asyncio.Task[WriteResult]]:
    return [asyncio.create_task(writer.write(write_of(name))) for name in names]


async def settle_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await test()

    asyncio.run(bounded())


def test_who_comes_while_a_write_is_under_way_joins_the_next() -> None:
    """And each gets its own result."""

    async def test() -> None:
        store, gate = Journal(), Gate()
        writer = StateWriter(store, gate)
        first = begin(writer, "a")
        await settle_down()
        later = begin(writer, "bcd")
        await settle_down()
        assert (gate.waiting, store.batches) == (1, []), "one write at a time"
        gate.let_through(2)
        written = await asyncio.gather(*first, *later)
        assert store.batches == ["a", "bcd"]
        assert [one.environment for one in written] == list("abcd")
        assert all(one.error is None for one in written)

    run(test)


def test_a_write_that_is_cancelled_takes_nobody_elses_back() -> None:
    async def test() -> None:
        store, gate = Journal(), Gate()
        writer = StateWriter(store, gate)
        one, other = begin(writer, "ab")
        await settle_down()
        one.cancel()
        await settle_down()
        gate.let_through()
        assert (await other).error is None
        assert one.cancelled()
        assert store.names() == {"a", "b"}

    run(test)


def test_where_a_write_is_a_journey_it_waits_for_all_who_may_come() -> None:
    async def test() -> None:
        store = Journal(gather_s=60)
        writer = StateWriter(store, at_once)
        assert writer.gathers
        with ExitStack() as inside:
            for _ in range(3):
                inside.enter_context(writer.inside())
            tasks = begin(writer, "ab")
            await settle_down()
            assert store.batches == []
            tasks += begin(writer, "c")
            await asyncio.gather(*tasks)
        assert store.batches == ["abc"]

    run(test)


def test_who_leaves_without_a_write_is_waited_for_no_longer() -> None:
    async def test() -> None:
        store = Journal(gather_s=60)
        writer = StateWriter(store, at_once)
        with writer.inside():
            with writer.inside():
                tasks = begin(writer, "a")
                await settle_down()
                assert store.batches == []
            await asyncio.gather(*tasks)
        assert store.batches == ["a"]

    run(test)


def test_who_does_not_come_in_time_is_not_waited_for() -> None:
    async def test() -> None:
        store = Journal(gather_s=0.02)
        writer = StateWriter(store, at_once)
        with writer.inside(), writer.inside():
            await asyncio.gather(*begin(writer, "a"))
        assert store.batches == ["a"]

    run(test)


def test_who_comes_before_the_last_journey_is_over_travels_with_the_others_of_the_next() -> None:
    """The next batch is still gathering then."""

    async def test() -> None:
        store, gate = Journal(gather_s=60), Gate()
        writer = StateWriter(store, gate)
        with writer.inside():
            first = begin(writer, "a")
            await settle_down()
            with writer.inside(), writer.inside():
                later = begin(writer, "b")
                await settle_down()
                gate.let_through()
                await asyncio.gather(*first)
                later += begin(writer, "cd")
                gate.let_through()
                await asyncio.gather(*later)
        assert store.batches == ["a", "bcd"]

    run(test)


def test_where_a_write_is_no_journey_nobody_is_waited_for() -> None:
    async def test() -> None:
        store = Journal()
        writer = StateWriter(store, at_once)
        assert not writer.gathers
        with writer.inside(), writer.inside():
            await asyncio.gather(*begin(writer, "a"))
        assert store.batches == ["a"]

    run(test)


def test_once_it_hurries_nobody_is_waited_for() -> None:
    """Neither by the batch that is gathering nor by a later one; who comes meanwhile still joins the next."""

    async def test() -> None:
        store, gate = Journal(gather_s=60), Gate()
        writer = StateWriter(store, gate)
        with writer.inside(), writer.inside(), writer.inside():
            tasks = begin(writer, "a")
            await settle_down()
            assert gate.waiting == 0
            writer.hurry()
            await settle_down()
            assert gate.waiting == 1
            tasks += begin(writer, "bc")
            gate.let_through(2)
            await asyncio.gather(*tasks)
        assert store.batches == ["a", "bc"]

    run(test)
