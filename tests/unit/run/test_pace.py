"""One rate for all workers of a run: fair, slowed by any 429, ended by a signal, and not counted in any deadline."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.attempts import Attempt, Fate
from reconciler.core.pace import Slowdown
from reconciler.core.planner import PlanInput
from reconciler.model import Desired, Outcome, RunResult
from reconciler.run.apply import apply_plan
from reconciler.run.context import ApplyOptions, Stop, WaveBegun
from reconciler.run.pace import NEAR_S, Pace
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


class LoopClock(FakeClock):
    """A clock whose time passes for all sleepers: the earliest wakes up first, once no other task can run."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    async def sleep(self, seconds: float) -> None:
        self._number += 1
        mine = (self.monotonic() + seconds, self._number, asyncio.get_running_loop().create_future())
        self._sleepers.append(mine)
        try:
            while not mine[2].done():
                for _ in range(20):  # let all others come to their own sleep
                    await asyncio.sleep(0)
                if not mine[2].done() and mine == min(self._sleepers, key=lambda one: one[:2]):
                    self.advance(max(0.0, mine[0] - self.monotonic()))
                    return
        finally:
            self._sleepers.remove(mine)


def limited(retry_after_s: float | None = None, status: int = 429) -> Behaviour:
    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        return Attempt(Fate.DEFINITE, status, complete=True, retry_after_s=retry_after_s, message=str(status))

    return behave


class Fleet:
    """Environments to be put for the first time, and the times of their PUTs."""

    def __init__(self, count: int, **settings: Any) -> None:
        self.clock, self.plug, self.store = LoopClock(), FakePlug(), FaultyStore()
        self.desired = [make_desired(f"e{number:03}") for number in range(count)]
        self.options: ApplyOptions = replace(OPTIONS, **{"concurrency": 8, "max_failures": 10_000, **settings})
        self.sent: list[tuple[float, str]] = []
        self.stop = Stop()
        self.waves: list[WaveBegun] = []
        self.plug.before = lambda desired: self.sent.append((self.clock.monotonic(), desired.environment))

    def apply(self) -> RunResult:
        planned = plan_environments(self.desired, self.store, FakeCredentials(), PlanInput(START))
        world = replace(make_world(self.store, self.plug, self.clock), report_wave=self.waves.append)
        try:
            return asyncio.run(apply_plan(planned, world, self.options, self.stop))
        finally:
            self.stop = Stop()  # one run has one loop


def outcomes(result: RunResult) -> set[Outcome]:
    return {one.outcome for one in result.environments}


def test_a_429_of_one_slows_all() -> None:
    """After it nothing is sent before Retry-After, and then at half the rate, without any setting."""
    fleet = Fleet(60)
    fleet.plug.script.extend([*[answer(200, acts=True)] * 20, limited(7.0)])
    assert outcomes(fleet.apply()) == {Outcome.APPLIED}
    limited_at = fleet.sent[20][0]
    later = [at for at, _ in fleet.sent[21:] if at > limited_at]
    assert len(later) >= 30
    assert min(later) >= limited_at + 7
    assert all(second - first >= 0.04 for first, second in pairwise(later))


def test_retries_wait_behind_earlier_requests() -> None:
    """An environment that is limited again and again blocks no other."""
    fleet = Fleet(12, rate_limit=10.0, attempts=50, concurrency=4)
    stubborn = fleet.desired[0].environment

    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        if desired.environment == stubborn and sum(name == stubborn for _, name in fleet.sent) < 12:
            return Attempt(Fate.DEFINITE, 425, complete=True, message="425")
        plug.hold(desired)
        return Attempt(Fate.DEFINITE, 200, complete=True)

    fleet.plug.script.extend([behave] * 100)
    assert outcomes(fleet.apply()) == {Outcome.APPLIED}
    names = [name for _, name in fleet.sent]
    for number, name in enumerate(names[:-1]):
        assert (name, names[number + 1]) != (stubborn, stubborn) or set(names[number:]) == {stubborn}


def test_waiting_for_a_slot_is_no_part_of_the_deadline() -> None:
    """A pause as long as the deadline, from another's answer, ends no attempts."""
    fleet = Fleet(40, deadline_s=20.0, concurrency=16)
    fleet.plug.script.extend([*[limited(15.0)] * 12])
    result = fleet.apply()
    assert outcomes(result) == {Outcome.APPLIED}
    assert fleet.sent[-1][0] > 20


def test_a_lease_that_was_spent_on_waiting_is_renewed() -> None:
    """A batch of intents is written, and then the server's pause is longer than a lease."""
    fleet = Fleet(50, lease_s=215, deadline_s=120.0, timeout_s=30, concurrency=2, attempts=100)
    fleet.store.gather_s = 0.001  # a batch of fifty intents
    fleet.plug.script.extend([answer(200, acts=True), *[limited(10.0)] * 30])
    # the two that got so many 429s are rejected; none of the others fails because its lease ended
    ended = Counter(one.outcome for one in fleet.apply().environments)
    assert ended[Outcome.APPLIED] + ended[Outcome.REJECTED] == 50
    assert ended[Outcome.REJECTED] <= 4
    assert fleet.sent[-1][0] > 215
    for document in fleet.store.read([one.environment for one in fleet.desired]).values():
        assert document.document.intent is None


@pytest.mark.parametrize(
    ("ahead_s", "outcome"),
    [
        (OPTIONS.lease_s - OPTIONS.timeout_s - 1, Outcome.APPLIED),
        (OPTIONS.lease_s - OPTIONS.timeout_s, Outcome.FAILED),
        (3600, Outcome.FAILED),
    ],
)
def test_a_lease_that_a_set_clock_ended_is_not_renewed(ahead_s: float, outcome: Outcome) -> None:
    """The plan is older than it looks: nothing is sent whose answer might come after the lease's end."""
    fleet = Fleet(1)
    fleet.clock.advance(5000)
    clock = fleet.clock
    before = clock.monotonic

    def jump(writes: object) -> None:
        clock.at += timedelta(seconds=ahead_s)
        clock.monotonic = lambda: before() - ahead_s  # type: ignore[method-assign]
        fleet.store.before_write = lambda writes: None

    fleet.store.before_write = jump
    result = fleet.apply().environments[0]
    assert (result.outcome, len(fleet.sent)) == (outcome, outcome is Outcome.APPLIED)


def test_a_signal_ends_all_waiting_at_once() -> None:
    """During a pause of two minutes, no waiting environment sends, and no time passes."""
    fleet = Fleet(30, concurrency=16)

    async def limit_and_stop(plug: FakePlug, desired: Desired) -> Attempt:
        asyncio.get_running_loop().call_later(0.05, fleet.stop.asked.set)
        return Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=110.0, message="429")

    async def never(seconds: float) -> None:
        await asyncio.Event().wait()

    fleet.clock.sleep = never  # type: ignore[method-assign]
    fleet.plug.script.extend([limit_and_stop] * 30)
    result = fleet.apply()
    assert result.interrupted
    assert fleet.clock.monotonic() == 0
    assert outcomes(result) <= {Outcome.REJECTED, Outcome.FAILED, Outcome.SKIPPED}
    assert len(fleet.sent) <= 16


def test_the_end_of_a_wave_ends_all_waiting_for_a_first_slot() -> None:
    """The last allowed failure comes during another's Retry-After, and the pause is not waited for."""
    fleet = Fleet(12, max_failures=1, concurrency=4, attempts=1, rate_limit=1.0)

    async def limited_after_a_while(plug: FakePlug, desired: Desired) -> Attempt:
        await fleet.clock.sleep(0.5)
        return Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=60.0, message="429")

    fleet.plug.script.append(limited_after_a_while)
    result = fleet.apply()
    assert Counter(one.outcome for one in result.environments) == {Outcome.REJECTED: 1, Outcome.SKIPPED: 11}
    assert fleet.clock.monotonic() < 10


def test_a_server_that_is_always_busy_ends_a_run_all_the_same() -> None:
    """There is no deadlock: every environment has its attempts and is rejected."""
    fleet = Fleet(10, attempts=2)
    fleet.plug.script.extend([limited()] * 100)
    assert outcomes(fleet.apply()) == {Outcome.REJECTED}
    assert len(fleet.sent) == 20


@pytest.mark.parametrize("limit", [None, 50.0])
def test_the_limit_of_a_server_is_found(limit: float | None) -> None:
    """It takes five a second; two hundred environments are applied with few 429s, at most four attempts each."""
    fleet = Fleet(200, rate_limit=limit, attempts=4)
    allowance = [5.0, 0.0]

    async def behave(plug: FakePlug, desired: Desired) -> Attempt:
        now = fleet.clock.monotonic()
        allowance[:] = [min(5.0, allowance[0] + (now - allowance[1]) * 5), now]
        if allowance[0] < 1:
            return Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=1.0, message="429")
        allowance[0] -= 1
        plug.hold(desired)
        return Attempt(Fate.DEFINITE, 200, complete=True)

    fleet.plug.script.extend([behave] * 1000)
    assert outcomes(fleet.apply()) == {Outcome.APPLIED}
    assert len(fleet.sent) <= 200 + 40
    assert fleet.sent[-1][0] <= 200 / 5 * 2.5


def test_waves_are_counted_by_what_is_put() -> None:
    """In `wave 2 of 3` a wave in which nothing changes does not count."""
    fleet = Fleet(0)
    fleet.desired = [make_desired(f"e{wave}", wave=wave) for wave in (0, 3, 7)]
    fleet.apply()
    fleet.desired[0] = make_desired("e0", "2", wave=0)
    fleet.desired[2] = make_desired("e7", "2", wave=7)
    fleet.apply()
    assert fleet.waves == [
        WaveBegun(0, 1, 3), WaveBegun(3, 2, 3), WaveBegun(7, 3, 3), WaveBegun(0, 1, 2), WaveBegun(7, 2, 2)
    ]  # fmt: skip


def test_a_pace_serves_more_than_one_event_loop() -> None:
    """The reads before an apply run in another loop, and share the limit."""
    clock = LoopClock()
    pace = Pace(clock, 10)

    async def three() -> None:
        await asyncio.gather(*(pace.wait(clock.sleep) for _ in range(3)))

    asyncio.run(three())
    asyncio.run(three())
    assert clock.monotonic() >= 5 * 0.1


def test_begun_environments_keep_their_backoff_if_the_wave_ends() -> None:
    """`max_failures` begins nothing new; an environment between two attempts still waits."""
    fleet = Fleet(3, max_failures=1, concurrency=2)

    async def early(plug: FakePlug, desired: Desired) -> Attempt:
        return Attempt(Fate.DEFINITE, 425, complete=True, retry_after_s=30.0, message="425")

    fleet.plug.script.extend([early, answer(400)])
    result = fleet.apply()
    assert [one.outcome for one in result.environments] == [Outcome.APPLIED, Outcome.REJECTED, Outcome.SKIPPED]
    assert [name for _, name in fleet.sent] == ["e000", "e001", "e000"]
    assert fleet.sent[2][0] - fleet.sent[0][0] >= 30


def test_no_intent_is_written_during_a_pause_of_the_server() -> None:
    """A lease would be spent on waiting, and others would find the environment locked."""
    fleet = Fleet(20, concurrency=4)
    begun: dict[str, float] = {}

    def look(desired: Desired) -> None:
        intent = fleet.store.read([desired.environment])[desired.environment].document.intent
        assert intent is not None
        begun[desired.environment] = (intent.at - START).total_seconds()

    async def limit_the_first(plug: FakePlug, desired: Desired) -> Attempt:
        is_limited = fleet.clock.monotonic() == 0 and desired.environment == "e000"
        await fleet.clock.sleep(0.5 if is_limited else 1.0)
        if is_limited:
            return Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=60.0, message="429")
        plug.hold(desired)
        return Attempt(Fate.DEFINITE, 200, complete=True)

    fleet.plug.before = look
    fleet.plug.script.extend([limit_the_first] * 30)
    assert outcomes(fleet.apply()) == {Outcome.APPLIED}
    assert sum(at == 0 for at in begun.values()) == 4
    assert all(at == 0 or at >= 60 - NEAR_S for at in begun.values())


def test_an_environment_woken_early_claims_nothing_and_the_slowdown_is_reported() -> None:
    """The end of the run wakes up those that wait until a slot is near."""
    clock = FakeClock()
    pace = Pace(clock, None)
    assert pace.slowdown is None
    pace.slow_down_after(Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=60.0), 0.0)
    rests: list[float] = []

    async def woken(seconds: float) -> None:
        rests.append(seconds)

    asyncio.run(pace.wait_until_near(woken))
    assert len(rests) == 1
    assert pace.slowdown == Slowdown(429, 1.0, 60.0)
