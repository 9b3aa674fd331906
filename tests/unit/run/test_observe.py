"""The reads of accounts: concurrency, rate, retries, and the read again after a lost race."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from reconciler.core.attempts import Attempt, Fate
from reconciler.core.observe import UNOBSERVABLE, Observation
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.record import adopt
from reconciler.model import Action, By, Desired, Document, Event, Outcome, Reason, RunResult, Stored
from reconciler.ports import Write
from reconciler.run.apply import apply_plan
from reconciler.run.context import Stop
from reconciler.run.observe import ObserveOptions, observe_all, observe_one
from reconciler.run.pace import Pace
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import (
    OPTIONS,
    START,
    FakeClock,
    FakeCredentials,
    FakeObserver,
    FakePlug,
    FaultyStore,
    make_desired,
    make_world,
    no_answer,
)

SETTINGS = ObserveOptions(concurrency=3, attempts=3, deadline_s=60)
BROKEN = Attempt(Fate.AMBIGUOUS, 500, complete=True, message="500: broken")
REFUSED = Attempt(Fate.DEFINITE, 401, complete=True, message="401: no")


def fleet(count: int) -> list[Desired]:
    return [make_desired(f"e{number}", account_id=f"id-{number}") for number in range(count)]


def observe(
    desired: list[Desired],
    observer: FakeObserver,
    options: ObserveOptions = SETTINGS,
    clock: FakeClock | None = None,
    rate_limit: float | None = None,
) -> dict[str, Observation]:
    clock = clock or FakeClock()
    return asyncio.run(observe_all(desired, {}, observer, clock, options, Pace(clock, rate_limit)))


def test_up_to_concurrency_accounts_are_read_at_a_time() -> None:
    """There are exactly that many in flight."""
    observer = FakeObserver(FakePlug())
    assert len(observe(fleet(10), observer)) == 10
    assert observer.busiest == 3


def test_what_has_no_account_id_is_not_read() -> None:
    """It is reported as unobservable. The progress counts the others."""
    observer = FakeObserver(FakePlug())
    reported: list[tuple[int, int]] = []
    options = replace(SETTINGS, report=lambda done, total: reported.append((done, total)))
    found = observe([make_desired("a"), *fleet(2)], observer, options)
    assert (found["a"], len(observer.read_at)) == (UNOBSERVABLE, 2)
    assert reported == [(1, 2), (2, 2)]


def test_reads_keep_to_the_rate_limit_retries_included() -> None:
    """They are evenly spaced."""
    clock = FakeClock()
    observer = FakeObserver(FakePlug(), clock=clock, script=deque([BROKEN] * 3))
    observe(fleet(5), observer, replace(SETTINGS, concurrency=1), clock, rate_limit=2)
    gaps = [after - before for before, after in zip(observer.read_at, observer.read_at[1:], strict=False)]
    assert len(observer.read_at) == 7
    assert min(gaps) >= 0.5


def test_a_read_is_tried_again_up_to_attempts() -> None:
    """The last answer is reported."""
    for attempts in (2, 3):
        observer = FakeObserver(FakePlug(), script=deque([BROKEN] * attempts))
        found = observe(fleet(1), observer, replace(SETTINGS, attempts=attempts))
        assert found["e0"] == Observation(failure=f"500: broken (tried {attempts} times)")


def test_a_read_that_succeeds_at_last_counts() -> None:
    """The failed attempts leave no trace."""
    observer = FakeObserver(FakePlug(), script=deque([BROKEN] * 2))
    found = observe(fleet(1), observer)["e0"]
    assert (found.faults, found.observable, len(observer.read_at)) == ((), True, 3)


def test_a_refusal_is_not_tried_again() -> None:
    """The same token would be refused again."""
    observer = FakeObserver(FakePlug(), script=deque([REFUSED] * 2))
    assert observe(fleet(1), observer)["e0"].failure == "401: no"
    assert len(observer.read_at) == 1


def test_a_retry_after_beyond_the_deadline_ends_the_attempts() -> None:
    """It ends them at once, as for a PUT."""
    clock = FakeClock()
    later = replace(BROKEN, status=503, retry_after_s=61)
    observer = FakeObserver(FakePlug(), clock=clock, script=deque([later] * 2))
    assert observe(fleet(1), observer, clock=clock)["e0"].failure == "500: broken"
    assert clock.slept == []


# --- apply -------------------------------------------------------------------------------------------

ONE = make_desired("production", account_id="1")
BY_HAND = "https://by.hand.example.com/"


class World:
    """One applied environment, and then an edit in the dashboard."""

    def __init__(self) -> None:
        self.store, self.plug, self.clock = FaultyStore(), FakePlug(), FakeClock()
        self.credentials = FakeCredentials()
        self.observer = FakeObserver(self.plug, clock=self.clock)
        self.pace = Pace(self.clock, 2)
        self.stop = Stop()
        document = adopt(None, ONE, self.credentials.fingerprint(ONE), START, By(), lineage="l")
        self.store.inner.write([Write("production", document, None)])
        self.plug.hold(ONE)
        self.plug.holds["production"][Event.MESSAGE_STATUS] = BY_HAND

    def plan(self, desired: Desired = ONE) -> Planned:
        def look(wanted: Iterable[Desired], stored: Mapping[str, Document]) -> dict[str, Observation]:
            return asyncio.run(observe_all(wanted, stored, self.observer, self.clock, SETTINGS, self.pace))

        return plan_environments([desired], self.store, self.credentials, PlanInput(START), PlanScope(observe=look))

    def apply(self, planned: Planned) -> RunResult:
        world = replace(
            make_world(self.store, self.plug, self.clock, self.credentials), observer=self.observer, pace=self.pace
        )
        return asyncio.run(apply_plan(planned, world, OPTIONS, self.stop))

    def stored(self) -> Stored:
        return self.store.read(["production"])["production"]

    def rewrite(self) -> None:
        """Write the document as another run that changed no webhook: it cleared a rejection."""
        standing = self.stored()
        document = replace(standing.document, serial=standing.document.serial + 1)
        self.store.inner.write([Write("production", document, standing.version)])


def test_live_drift_is_repaired() -> None:
    """A second read finds no drift."""
    world = World()
    planned = world.plan()
    assert planned.plan.environments[0].action is Action.REASSERT
    assert world.apply(planned).environments[0].outcome is Outcome.APPLIED
    assert world.plug.holds["production"] == dict(ONE.webhooks)
    assert world.plan().plan.environments[0].action is Action.NOOP


def test_the_puts_that_follow_keep_to_the_same_rate_limit() -> None:
    """The first PUT comes no sooner after the last read than another read would."""
    world = World()
    put_at: list[float] = []
    world.plug.before = lambda desired: put_at.append(world.clock.monotonic())
    world.apply(world.plan())
    assert put_at[0] - world.observer.read_at[-1] >= 0.5


def test_a_lost_race_does_not_lose_the_live_reason() -> None:
    """The other run changed nothing in Plug."""
    world = World()
    planned = world.plan()
    world.rewrite()
    result = world.apply(planned).environments[0]
    assert (result.outcome, result.reasons) == (Outcome.APPLIED, (Reason.LIVE_DRIFT,))
    assert world.plug.holds["production"] == dict(ONE.webhooks)


def test_after_a_lost_race_the_account_is_read_again() -> None:
    """The other run fixed the drift, so there is nothing left to put."""
    world = World()
    planned = world.plan()
    world.rewrite()
    world.plug.hold(ONE)
    result = world.apply(planned).environments[0]
    assert (result.outcome, world.plug.received) == (Outcome.UNCHANGED, [])


def test_a_read_that_fails_after_a_lost_race_keeps_what_was_seen() -> None:
    """An unnecessary PUT costs less than forgotten drift."""
    world = World()
    planned = world.plan()
    world.rewrite()
    world.plug.hold(ONE)
    world.observer.script.extend([REFUSED])
    result = world.apply(planned).environments[0]
    assert (result.outcome, result.reasons) == (Outcome.APPLIED, (Reason.LIVE_DRIFT,))


def test_after_a_lost_race_what_has_no_account_is_not_read() -> None:
    """Another environment has an account, so there is an observer."""
    world = World()
    wanted = make_desired("production", "2")
    planned = world.plan(wanted)
    world.rewrite()
    assert world.apply(planned).environments[0].outcome is Outcome.APPLIED
    assert world.observer.read_at == []


def test_a_signal_ends_the_reads_after_a_lost_race() -> None:
    """After a request to end, a partner API that is down is not waited for, and nothing is begun."""
    world = World()
    planned = world.plan()
    world.rewrite()
    before = len(world.observer.read_at)

    class Interrupted(FakeClock):
        async def sleep(self, seconds: float) -> None:
            world.stop.asked.set()
            await asyncio.sleep(60)

    world.clock = Interrupted()
    world.pace = Pace(world.clock, None)
    world.observer.script.extend([BROKEN] * 3)
    result = world.apply(planned).environments[0]
    assert result.outcome is Outcome.SKIPPED
    assert len(world.observer.read_at) == before + 1
    assert world.plug.received == []
    assert world.stored().document.intent is None


def test_in_doubt_an_account_that_looks_right_changes_nothing() -> None:
    """Not all seven webhooks can be seen, so they are put again."""
    world = World()
    world.plug.script.extend([no_answer(acts=True)] * OPTIONS.attempts)
    assert world.apply(world.plan()).environments[0].outcome is Outcome.UNCERTAIN
    assert world.plug.holds["production"] == dict(ONE.webhooks)
    planned = world.plan().plan.environments[0]
    assert (planned.action, planned.reasons, planned.live) == (Action.REASSERT, (Reason.UNCERTAIN,), ())


def test_a_machine_that_slept_through_the_deadline_reads_no_further() -> None:
    class Sleepy(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + SETTINGS.deadline_s)

    clock = Sleepy()
    observer = FakeObserver(FakePlug(), script=deque([BROKEN] * 3))
    assert observe(fleet(1), observer, clock=clock)["e0"] == Observation(failure="500: broken")
    assert len(observer.read_at) == 1


def test_a_run_that_is_asked_to_end_reads_no_further() -> None:
    """The first attempt is made, because its answer is reported."""
    clock = FakeClock()
    observer = FakeObserver(FakePlug(), script=deque([BROKEN] * 3))
    (desired,) = fleet(1)
    pace = Pace(clock, None)
    found = asyncio.run(observe_one(desired, None, observer, clock, SETTINGS, pace, stopped=lambda: True))
    assert found == Observation(failure="500: broken")
    assert len(observer.read_at) == 1
