"""State writes of many environments in few batches: which write joins which, and how long a batch waits."""

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
    """An offload whose calls run one by one, when a test lets them."""

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


def test_a_write_requested_while_another_is_in_flight_joins_the_next_batch() -> None:
    """Each caller gets its own result."""

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


def test_a_cancelled_write_cancels_no_other() -> None:
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


def test_a_batch_waits_for_all_expected_writes_if_a_write_costs_a_round_trip() -> None:
    async def test() -> None:
        store = Journal(gather_s=60)
        writer = StateWriter(store, at_once)
        assert writer.gathers
        with ExitStack() as inside:
            for _ in range(3):
                inside.enter_context(writer.expecting_write())
            tasks = begin(writer, "ab")
            await settle_down()
            assert store.batches == []
            tasks += begin(writer, "c")
            await asyncio.gather(*tasks)
        assert store.batches == ["abc"]

    run(test)


def test_a_caller_that_leaves_without_a_write_is_not_waited_for() -> None:
    async def test() -> None:
        store = Journal(gather_s=60)
        writer = StateWriter(store, at_once)
        with writer.expecting_write():
            with writer.expecting_write():
                tasks = begin(writer, "a")
                await settle_down()
                assert store.batches == []
            await asyncio.gather(*tasks)
        assert store.batches == ["a"]

    run(test)


def test_a_late_write_is_not_waited_for() -> None:
    async def test() -> None:
        store = Journal(gather_s=0.02)
        writer = StateWriter(store, at_once)
        with writer.expecting_write(), writer.expecting_write():
            await asyncio.gather(*begin(writer, "a"))
        assert store.batches == ["a"]

    run(test)


def test_a_write_requested_during_a_round_trip_joins_the_next_batch() -> None:
    """The next batch is still gathering then."""

    async def test() -> None:
        store, gate = Journal(gather_s=60), Gate()
        writer = StateWriter(store, gate)
        with writer.expecting_write():
            first = begin(writer, "a")
            await settle_down()
            with writer.expecting_write(), writer.expecting_write():
                later = begin(writer, "b")
                await settle_down()
                gate.let_through()
                await asyncio.gather(*first)
                later += begin(writer, "cd")
                gate.let_through()
                await asyncio.gather(*later)
        assert store.batches == ["a", "bcd"]

    run(test)


def test_without_a_round_trip_no_batch_waits() -> None:
    async def test() -> None:
        store = Journal()
        writer = StateWriter(store, at_once)
        assert not writer.gathers
        with writer.expecting_write(), writer.expecting_write():
            await asyncio.gather(*begin(writer, "a"))
        assert store.batches == ["a"]

    run(test)


def test_after_stop_gathering_no_batch_waits() -> None:
    """This holds for the gathering batch and for later ones; a write requested meanwhile still joins the next."""

    async def test() -> None:
        store, gate = Journal(gather_s=60), Gate()
        writer = StateWriter(store, gate)
        with writer.expecting_write(), writer.expecting_write(), writer.expecting_write():
            tasks = begin(writer, "a")
            await settle_down()
            assert gate.waiting == 0
            writer.stop_gathering()
            await settle_down()
            assert gate.waiting == 1
            tasks += begin(writer, "bc")
            gate.let_through(2)
            await asyncio.gather(*tasks)
        assert store.batches == ["a", "bc"]

    run(test)
