"""The reads of --observe: the checks before them, and that none needs a token if there is nothing to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reconciler.core.observe import UNOBSERVABLE
from reconciler.errors import InputError
from reconciler.ports import Observer
from reconciler.run.live import LiveReads
from reconciler.run.observe import ObserveOptions
from reconciler.run.pace import Pace
from tests.fakes import FakeClock, FakeCredentials, FakeObserver, FakePlug, make_desired


class Bench:
    def __init__(self) -> None:
        self.credentials = FakeCredentials()
        self.observer = FakeObserver(FakePlug())
        self.opened = 0
        self.announced: list[int] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Observer]:
        self.opened += 1
        yield self.observer

    def reads(self) -> LiveReads:
        clock = FakeClock()
        return LiveReads(
            credentials=self.credentials,
            partner_token_env="PLUG_PARTNER_TOKEN",
            allowed_hosts=(),
            open_observer=self.open,
            clock=clock,
            options=ObserveOptions(concurrency=2, attempts=2, deadline_s=60),
            pace=Pace(clock, None),
            announce=self.announced.append,
        )


def test_without_any_account_no_token_is_needed() -> None:
    """Nothing is opened or announced."""
    bench = Bench()
    bench.credentials.no_partner_token = True
    assert bench.reads()([make_desired("a")], {}) == {"a": UNOBSERVABLE}
    assert (bench.opened, bench.announced) == (0, [])


def test_all_accounts_are_read_through_one_observer() -> None:
    """Their number is announced first."""
    bench = Bench()
    desired = [make_desired("a", account_id="1"), make_desired("b"), make_desired("c", account_id="3")]
    found = bench.reads()(desired, {})
    assert (set(found), found["b"]) == ({"a", "b", "c"}, UNOBSERVABLE)
    assert (bench.opened, bench.announced, len(bench.observer.read_at)) == (1, [2], 2)


def test_a_partner_token_that_is_missing_is_reported_before_anything_is_read() -> None:
    """Nothing is opened or announced."""
    bench = Bench()
    bench.credentials.no_partner_token = True
    with pytest.raises(InputError) as caught:
        bench.reads()([make_desired("a", account_id="1"), make_desired("b")], {})
    assert [problem.key for problem in caught.value.problems] == ["PLUG_PARTNER_TOKEN"]
    assert (bench.opened, bench.announced) == (0, [])
