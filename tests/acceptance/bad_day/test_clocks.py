"""Clocks that jump, on this machine or another runner, and a machine that sleeps."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.core.attempts import Attempt
from reconciler.core.planner import PlanInput, Planned
from reconciler.io.clock import SystemClock
from reconciler.model import Action, Desired, Outcome, RunResult
from reconciler.run.apply import apply_plan
from reconciler.run.context import Stop
from reconciler.run.planning import plan_environments
from reconciler.sandbox.server import Sandbox
from tests.acceptance.bad_day.world import assert_converges, assert_whole, message_of, release
from tests.acceptance.conftest import Cli, only, wait_until
from tests.fakes import HEALTHY, OPTIONS, FakeClock, FakeCredentials, FakePlug, FaultyStore, make_desired, make_world

DAY_S = 86_400


class SetClock(FakeClock):
    """A clock whose wall time can be set; its monotonic time isn't changed by that, as on any machine."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong = timedelta()

    def now(self) -> datetime:
        return self.at + self.wrong


class World:
    """One environment, and everything that a run needs."""

    def __init__(self) -> None:
        self.store = FaultyStore()
        self.plug = FakePlug()
        self.clock = SetClock()

    def plan(self, version: str = "1", max_age_s: float | None = None) -> Planned:
        given = PlanInput(now=self.clock.now(), max_age_s=max_age_s)
        return plan_environments([make_desired("loja", version)], self.store, FakeCredentials(), given)

    def apply(self, planned: Planned) -> RunResult:
        world = make_world(self.store, self.plug, self.clock)
        return asyncio.run(apply_plan(planned, world, OPTIONS, Stop()))

    @property
    def document(self) -> Any:
        return self.store.read(["loja"])["loja"].document

    def assert_converges(self, version: str = "1") -> None:
        sent = len(self.plug.received)
        assert only(self.apply(self.plan(version)).environments).outcome in (Outcome.APPLIED, Outcome.UNCHANGED)
        assert len(self.plug.received) <= sent + 1
        assert only(self.plan(version).plan.environments).action is Action.NOOP
        assert self.plug.holds["loja"] == make_desired("loja", version).webhooks


@pytest.mark.parametrize("jump_s", [-DAY_S, -10, 890, DAY_S], ids=["a day back", "back", "on", "a day on"])
def test_a_clock_that_jumps_between_intent_and_send_sends_nothing(jump_s: int) -> None:
    """The lease is no longer reliable: failed, the intent removed, and the reason reported."""
    world = World()
    planned = world.plan()

    def jump(writes: object) -> None:
        world.clock.wrong = timedelta(seconds=jump_s)

    world.store.before_write = jump
    result = only(world.apply(planned).environments)
    assert (result.outcome, result.attempts) == (Outcome.FAILED, 0)
    assert result.message == (
        "not sent: its lease had ended, or began in the future, when it could be sent: this machine slept, its clock "
        "was set, or the state is very slow. Run apply again"
    )
    assert world.plug.received == []
    assert (world.document.intent, world.document.applied) == (None, None)
    world.store.before_write = lambda writes: None
    world.assert_converges()


@pytest.mark.parametrize("jump_s", [-DAY_S, DAY_S])
def test_a_clock_that_jumps_during_the_put_loses_nothing(jump_s: int) -> None:
    """A 2xx stays a success; the record has the new time, and the desired webhooks are unchanged."""
    world = World()

    async def jump(plug: FakePlug, desired: Desired) -> Attempt:
        world.clock.wrong = timedelta(seconds=jump_s)
        return await HEALTHY(plug, desired)

    world.plug.script.append(jump)
    assert only(world.apply(world.plan()).environments).outcome is Outcome.APPLIED
    assert world.document.applied.at == world.clock.now()
    world.clock.wrong = timedelta()
    assert only(world.plan().plan.environments).action is Action.NOOP
    world.assert_converges("2")


def test_a_clock_that_jumps_between_two_attempts_ends_them_in_doubt() -> None:
    """The first may have had an effect, so it is uncertain; no second is sent after the lease has ended."""
    world = World()

    async def lose(plug: FakePlug, desired: Desired) -> Attempt:
        plug.hold(desired)
        world.clock.wrong = timedelta(days=1)
        attempt = await HEALTHY(plug, desired)
        return replace(attempt, fate=replace(attempt).fate.AMBIGUOUS, status=503, message="503")

    world.plug.script.append(lose)
    result = only(world.apply(world.plan()).environments)
    assert (result.outcome, result.attempts) == (Outcome.UNCERTAIN, 1)
    assert (world.document.intent.doubt, world.document.intent.lease_until) == (True, None)
    world.clock.wrong = timedelta()
    world.assert_converges()


def test_a_record_from_the_future_is_not_expired_and_a_reassert_fixes_it(cli: Cli) -> None:
    """max_age counts from the wrong time, so it changes nothing by itself; --reassert fixes the record."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    document = cli.document("loja")
    document["applied"]["at"] = "2126-01-01T00:00:00Z"
    cli.put_document("loja", document)
    assert cli.run("plan", "--max-age", "1d", "--format", "json", code=0).actions == {"loja": "noop"}
    assert "2126-01-01" in cli.run("state", "list", code=0).out
    cli.run("apply", "--yes", "--reassert", "-e", "loja", code=0)
    assert cli.puts("loja") == 2
    assert cli.document("loja")["applied"]["at"] < "2126"


def test_a_lease_from_the_future_is_reported_as_a_wrong_clock_and_unlocked(cli: Cli) -> None:
    """Another runner's clock was a century ahead: the lease would never end, and the message says what to do."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    cli.manifest("loja", version="2")
    document = cli.document("loja")
    intent = {"id": "x", "webhooks": document["applied"]["webhooks"], "doubt": False}
    by = {"actor": "ana", "commit": None, "run": "17/1"}
    times = {"at": "2126-01-01T00:00:00Z", "lease_until": "2126-01-01T00:15:00Z"}
    cli.put_document("loja", {**document, "serial": document["serial"] + 1, "intent": {**intent, **times, "by": by}})
    before = cli.state_bytes()

    message = (
        "another run is at work: ana (run 17/1), since 2126-01-01T00:00:00Z, until 2126-01-01T00:15:00Z at the latest; "
        "that began in the future, so its clock or this machine's is wrong"
    )
    ran = cli.run("apply", "--yes", "--format", "json", code=4)
    assert (ran.outcomes, message_of(ran, "loja")) == ({"loja": "locked"}, message)
    assert f"loja: {message}" in cli.run("plan", code=0).out
    assert "reconciler state unlock" in cli.run("apply", "--yes", code=4).out
    assert cli.state_bytes() == before
    release(cli, "loja")
    assert_converges(cli, "loja", version="2")
    assert cli.puts("loja") == 2


def test_a_plan_from_the_future_is_applied(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that planned was a year ahead: its plan shows that time, and is applied exactly."""

    class Ahead(SystemClock):
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(days=365)

    cli.fleet("loja")
    monkeypatch.setattr("sys.stdout", StringIO())
    given = Session(environ=cli.environ, folder=cli.folder, clock=Ahead())
    assert run(["plan", "--out", "plan.json"], obj=given) == 0
    monkeypatch.undo()
    ran = cli.run("apply", "--yes", "plan.json", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied"}
    assert cli.document("loja")["applied"]["at"] < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") + "Z"
    assert_converges(cli, "loja")
    assert cli.puts("loja") == 1


# --- a machine that sleeps ---------------------------------------------------------------------------


def _freeze_in_its_put(cli: Cli, sandbox: Sandbox, latency_s: float) -> Any:
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=latency_s)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--format", "json")
    wait_until(lambda: sandbox.plug.requests > before, "the PUT")
    running.process.send_signal(signal.SIGSTOP)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    return running


def test_a_machine_that_sleeps_during_its_put_and_wakes_within_the_lease_continues(cli: Cli, sandbox: Sandbox) -> None:
    """Its answer arrives after the sleep, and no other run took over, so it is applied."""
    cli.fleet("loja")
    running = _freeze_in_its_put(cli, sandbox, 0.5)
    wait_until(lambda: cli.puts("loja") == 1, "the PUT to act")
    locked = cli.run("apply", "--yes", "--format", "json", code=4)
    assert locked.outcomes == {"loja": "locked"}
    running.process.send_signal(signal.SIGCONT)
    assert running.finish().outcomes == {"loja": "applied"}
    assert_converges(cli, "loja")
    assert cli.puts("loja") == 1


@pytest.mark.parametrize("taken_over", [True, False], ids=["taken over", "unlocked alone"])
def test_a_machine_that_sleeps_longer_than_its_lease_ends_in_doubt(
    cli: Cli, sandbox: Sandbox, taken_over: bool
) -> None:
    """Its PUT may have arrived last: uncertain, exit 4, doubt on the other run's record; one PUT settles it."""
    cli.fleet("loja")
    running = _freeze_in_its_put(cli, sandbox, 0.5)
    # This is the duration of the lease, without waiting for it.
    document = cli.document("loja")
    document["intent"]["at"], document["intent"]["lease_until"] = "2020-01-01T00:00:00Z", "2020-01-01T00:15:00Z"
    cli.put_document("loja", document)
    wait_until(lambda: cli.puts("loja") == 1, "what Plug has taken to act")
    if taken_over:
        other = cli.run("apply", "--yes", "--format", "json", code=0)
        assert only(other.json["environments"])["reasons"] == ["never-applied", "uncertain"]
    running.process.send_signal(signal.SIGCONT)
    ran = running.finish()
    assert (ran.code, ran.outcomes) == (4, {"loja": "uncertain"})
    assert message_of(ran, "loja") == (
        "while the PUT was in flight, another run, unlock or forget removed the intent, or the state was restored or "
        "deleted: in doubt"
    )
    assert_whole(cli)
    after = cli.document("loja")
    assert (after["applied"] is not None, after["intent"]["doubt"], after["intent"]["lease_until"]) == (
        taken_over,
        True,
        None,
    )
    assert_converges(cli, "loja")


def test_a_machine_that_never_wakes_up_keeps_its_lease(cli: Cli, sandbox: Sandbox) -> None:
    """The environment is locked until the lease ends, as after `kill -9`; after unlock one apply converges."""
    cli.fleet("loja")
    running = _freeze_in_its_put(cli, sandbox, 0.2)
    os.kill(running.process.pid, signal.SIGKILL)
    running.finish()
    wait_until(lambda: cli.puts("loja") == 1, "what Plug has taken to act")
    assert cli.run("apply", "--yes", "--format", "json", code=4).outcomes == {"loja": "locked"}
    assert_whole(cli)
    release(cli, "loja")
    assert_converges(cli, "loja")
