"""Checks and `--check-first` with fake ports: rate, order, and the effect of a refused environment on a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from reconciler.cli.exitcode import of_check
from reconciler.core.planner import PlanInput
from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver, find_receivers
from reconciler.errors import InputError
from reconciler.formats.check_file import encode_check
from reconciler.model import EVENTS, By, CheckResult, CheckStage, Document, Event, Intent, Outcome, RunResult
from reconciler.plug.examples import example_bodies
from reconciler.ports import Write
from reconciler.run.apply import apply_plan
from reconciler.run.check import MAX_UNANSWERED, CheckOptions, CheckWorld, check_receivers, select_checked
from reconciler.run.context import ApplyOptions, Stop
from reconciler.run.planning import plan_environments
from reconciler.views.words import check_summary
from tests.fakes import OPTIONS, START, FakeClock, FakeCredentials, FakePlug, make_desired, make_world
from tests.memory_store import MemoryStore


@dataclass
class FakeReceivers:
    """Answers with `status`. Counts the most POSTs in flight, and records the places that were left."""

    clock: FakeClock
    statuses: Mapping[str, int | None] = field(default_factory=dict)
    unreachable: frozenset[str] = frozenset()
    posts: list[tuple[str, Event, bytes, float]] = field(default_factory=list)
    probes: list[Place] = field(default_factory=list)
    left: list[Place] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def probe(self, place: Place) -> ProbeResult:
        self.probes.append(place)
        if place.host in self.unreachable:
            return ProbeResult(CheckStage.CONNECT, ("93.184.216.34",), message="refused")
        return ProbeResult(CheckStage.TLS, ("93.184.216.34",), "93.184.216.34")

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        assert receiver.place not in self.left
        self.posts.append((receiver.url, receiver.event, body, self.clock.monotonic()))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        status = self.statuses.get(receiver.url, 200)
        return Answer(CheckStage.POST, status, 0.1, message="" if status else "no answer")

    async def leave(self, place: Place) -> None:
        self.left.append(place)


def check(
    fake: FakeReceivers, *names: str, rate_limit: float | None = None, post: bool = True, concurrency: int = 3
) -> CheckResult:
    receivers = find_receivers(map(make_desired, names), allow_local_receivers=False)
    world = CheckWorld(fake, fake.clock, example_bodies)
    return asyncio.run(check_receivers(receivers, world, CheckOptions(concurrency, rate_limit, post)))


def test_every_event_is_called_with_its_bodies() -> None:
    """The shared host is probed and left once; results are in the order of the environments."""
    fake = FakeReceivers(FakeClock())
    result = check(fake, "b", "a")
    called = {(url, event, body) for url, event, body, _ in fake.posts}
    assert called == {
        (make_desired(name).webhooks[event], event, body)
        for name in "ab"
        for event in EVENTS
        for body in example_bodies(event)
    }
    assert len(fake.posts) == 16
    assert (len(fake.probes), len(fake.left)) == (1, 1)
    assert [(one.environments[0], one.event) for one in result.receivers] == [(n, e) for n in "ba" for e in EVENTS]
    assert 1 < fake.most <= 3


def test_posts_keep_to_the_rate_limit() -> None:
    """They are evenly spaced, over all receivers."""
    fake = FakeReceivers(FakeClock())
    check(fake, "a", rate_limit=2)
    assert fake.clock.monotonic() >= 7 * 0.5


def test_no_post_sends_nothing() -> None:
    """The result is that of the probe."""
    reachable = FakeReceivers(FakeClock())
    unreachable = FakeReceivers(FakeClock(), unreachable=frozenset({"hooks.example.com"}))
    assert [one.ok for one in check(reachable, "a", post=False).receivers] == [True] * 7
    assert [one.ok for one in check(unreachable, "a", post=False).receivers] == [False] * 7
    assert reachable.posts == unreachable.posts == []


def test_a_body_that_got_no_answer_is_the_last_one() -> None:
    """Waiting for the second body of finishAttendance would be useless; after an answer it is sent."""
    url = make_desired("a").webhooks[Event.FINISH_ATTENDANCE]
    for status, calls in ((None, 1), (500, 2)):
        fake = FakeReceivers(FakeClock(), {url: status})
        check(fake, "a")
        assert sum(1 for post in fake.posts if post[0] == url) == calls


def test_a_host_that_never_answers_is_no_longer_called() -> None:
    """Only POSTs in a row count: an answer in between begins a new row."""
    names = [f"e{number}" for number in range(4)]
    silent: dict[str, int | None] = {url: None for name in names for url in make_desired(name).webhooks.values()}
    fake = FakeReceivers(FakeClock(), silent)
    result = check(fake, *names, concurrency=1)
    assert (len(fake.posts), len(result.receivers)) == (MAX_UNANSWERED, 28)
    assert {one.message for one in result.receivers[MAX_UNANSWERED:]} == {
        "not called: the last 20 calls to hooks.example.com got no whole answer"
    }
    awake = FakeReceivers(FakeClock(), {**silent, make_desired("e1").webhooks[EVENTS[3]]: 200})
    check(awake, *names, concurrency=1)
    assert len(awake.posts) == 28


def test_a_glob_that_matches_an_orphan_alone_selects_nothing() -> None:
    """The state is read only if a glob matches no manifest."""
    desired, asked = [make_desired("a"), make_desired("b")], []

    def find_stored() -> list[str]:
        asked.append(1)
        return ["gone"]

    assert select_checked(desired, ["a*"], None, find_stored) == desired[:1]
    assert asked == []
    assert select_checked(desired, ["gone", "b"], None, find_stored) == desired[1:]
    with pytest.raises(InputError, match="'other' matches no environment"):
        select_checked(desired, ["other"], None, find_stored)


def interrupt_after(calls: int) -> CheckResult:
    """Check one environment, and stop when `calls` POSTs have begun; the last one is never answered."""
    stop = Stop()

    @dataclass
    class Hanging(FakeReceivers):
        async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
            if len(self.posts) + 1 < calls:
                return await FakeReceivers.post(self, receiver, probe, body)
            stop.asked.set()
            await asyncio.Event().wait()
            raise AssertionError("the wait has no end")

    fake = Hanging(FakeClock())
    receivers = find_receivers([make_desired("a")], allow_local_receivers=False)
    world = CheckWorld(fake, fake.clock, example_bodies)
    return asyncio.run(check_receivers(receivers, world, CheckOptions(1, None), stop))


def test_an_interrupted_check_returns_what_was_checked_so_far() -> None:
    """A call in flight is cancelled, and its receiver counts as not checked."""
    result = interrupt_after(4)
    assert (result.interrupted, len(result.receivers), result.unchecked) == (True, 2, 5)
    assert all(one.ok for one in result.receivers)
    assert of_check(result) == 130
    assert check_summary(result) == "Check: 2 receivers: 2 passed; interrupted: 5 not checked."
    assert json.loads(encode_check(result))["summary"]["unchecked"] == 5


def test_a_complete_check_is_not_interrupted() -> None:
    """Its JSON says so too, and has no count of unchecked receivers."""
    result = check(FakeReceivers(FakeClock()), "a")
    document = json.loads(encode_check(result))
    assert (document["interrupted"], "unchecked" in document["summary"]) == (False, False)


def test_a_fault_of_a_worker_is_raised() -> None:
    """It is a fault of this program, not of a receiver."""

    @dataclass
    class Broken(FakeReceivers):
        async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        check(Broken(FakeClock()), "a")
    assert caught.group_contains(ZeroDivisionError)


# --- apply --check-first ---------------------------------------------------------------------------


def apply(
    refused: Mapping[str, str],
    *desired: str,
    waves: Mapping[str, int] | None = None,
    options: ApplyOptions = OPTIONS,
    store: MemoryStore | None = None,
) -> tuple[RunResult, FakePlug, MemoryStore]:
    store, plug, clock = store or MemoryStore(), FakePlug(), FakeClock()
    wanted = [replace(make_desired(name), wave=(waves or {}).get(name, 0)) for name in desired]
    planned = plan_environments(wanted, store, FakeCredentials(), PlanInput(now=clock.now()))
    world = make_world(store, plug, clock)
    run = apply_plan(planned, world, options, Stop(), refused=refused)
    return asyncio.run(run), plug, store


def outcomes(result: RunResult) -> dict[str, Outcome]:
    return {one.environment: one.outcome for one in result.environments}


def test_a_refused_environment_fails_before_any_intent() -> None:
    """No document is written and nothing is sent; the reason is the message, and the others continue."""
    result, plug, store = apply({"b": "its receiver fails"}, "a", "b", "c")
    assert outcomes(result) == {"a": Outcome.APPLIED, "b": Outcome.FAILED, "c": Outcome.APPLIED}
    (one,) = [one for one in result.environments if one.environment == "b"]
    assert (one.attempts, one.status, one.message) == (0, None, "its receiver fails")
    assert sorted(plug.received) == ["a", "c"]
    assert store.names() == {"a", "c"}


def test_a_refused_environment_fails_its_wave() -> None:
    """Later waves are skipped; the other environments of its wave are applied."""
    result, plug, _ = apply({"a": "no"}, "a", "b", "c", waves={"c": 1})
    assert outcomes(result) == {"a": Outcome.FAILED, "b": Outcome.APPLIED, "c": Outcome.SKIPPED}
    assert plug.received == ["b"]


def test_refused_environments_count_as_failures() -> None:
    """They count towards `max_failures`."""
    names = [f"e{number}" for number in range(6)]
    result, plug, _ = apply(dict.fromkeys(names[:5], "no"), *names, options=replace(OPTIONS, max_failures=2))
    assert outcomes(result)["e5"] is Outcome.SKIPPED
    assert plug.received == []
    assert 2 <= list(outcomes(result).values()).count(Outcome.FAILED) <= 3


@pytest.mark.parametrize(
    ("lease_until", "outcome"), [(None, Outcome.UNCERTAIN), (START + timedelta(minutes=5), Outcome.LOCKED)]
)
def test_an_older_doubt_and_a_lock_stay(lease_until: datetime | None, outcome: Outcome) -> None:
    """A check does not show the effect of the earlier PUT, so the document is not written."""
    store, one = MemoryStore(), make_desired("a")
    intent = Intent("i", one.webhooks, lease_until is None, START, lease_until, By("ana"))
    store.write([Write("a", Document("a", "lineage", 1, intent=intent), None)])
    before = store.read(["a"])
    result, plug, _ = apply({"a": "no"}, "a", store=store)
    assert outcomes(result) == {"a": outcome}
    assert plug.received == []
    assert store.read(["a"]) == before


def test_an_unchanged_environment_is_not_refused() -> None:
    """Only environments that would be PUT are checked."""
    _, _, store = apply({}, "a")
    result, _, _ = apply({"a": "no"}, "a", store=store)
    assert outcomes(result) == {"a": Outcome.UNCHANGED}
