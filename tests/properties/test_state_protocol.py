"""The six rules of docs/state.md against a model of Plug, with edits, kills, lost answers and takeovers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.attempts import Attempt
from reconciler.core.planner import PlanInput, Planned
from reconciler.errors import Locked
from reconciler.model import EVENTS, Action, Desired, Document, Outcome, Plan, RunResult
from reconciler.ports import Write
from reconciler.run import apply, environment
from reconciler.run.accounts import Accounts
from reconciler.run.apply import apply_plan
from reconciler.run.context import Stop
from reconciler.run.planning import plan_environments
from reconciler.run.state_edits import find_stored, forget, unlock
from reconciler.run.writer import Offload
from reconciler.state.document import decode_document
from tests.conftest import examples
from tests.fakes import (
    OPTIONS,
    START,
    Behaviour,
    FakeClock,
    FakeCredentials,
    FakePlug,
    FaultyStore,
    Killed,
    StoreFault,
    adopt_by_hand,
    answer,
    killed,
    make_desired,
    make_world,
    no_answer,
    run_here,
    unsent,
)

T = TypeVar("T")

NAMES = ("a", "b")

BEHAVIOURS: dict[str, Behaviour] = {
    "lost answer": no_answer(acts=True),
    "lost request": no_answer(acts=False),
    "unsent": unsent,
    "503 that acted": answer(503, acts=True),
    "503": answer(503),
    "501 that acted": answer(501, acts=True),
    "408 that acted": answer(408, acts=True),
    "400": answer(400),
    "401": answer(401),
    "302": answer(302),
    "429": answer(429),
    "denied": answer(200, denied=True),
    "200 cut short": answer(200, acts=True, complete=False),
    "killed before": killed(acts=False),
    "killed after": killed(acts=True),
}
# After these, Plug may hold the webhooks that this environment sent for its company.
MAY_HAVE_ACTED = ("lost answer", "lost request", "503 that acted", "501 that acted", "408 that acted", "200 cut short")
SHARED = "org:shared"
STORE_FAULTS = [None, *StoreFault]


def find_places(document: Document) -> list[tuple[str, str | None]]:
    """Return the endpoint and account of each record of the history, newest first."""
    if document.applied is None:
        return []
    place = document.applied.endpoint, document.applied.account
    places = []
    for entry in document.history:
        place = place if entry.endpoint is None else (entry.endpoint, entry.account)
        places.append(place)
    return places


class Protocol(RuleBasedStateMachine):
    gather_s = 0.0
    options = OPTIONS

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = FaultyStore(self.gather_s)
        self.plug = FakePlug(before=self._check_intent)
        self.credentials = FakeCredentials()
        self.plug.company_of = self._find_company
        self.desired = {name: make_desired(name) for name in NAMES}
        self.vouched: set[tuple[str, tuple[str, ...]]] = set()
        self.taken_away = False  # A live intent was overwritten: what a run then finds has its own rule.
        self.store.before_write = self._check_writes

    # --- what runs ---------------------------------------------------------------------------------

    def make_plan(self, desired: dict[str, Desired] | None = None) -> Planned:
        given = PlanInput(now=self.clock.now())
        wanted = list((desired or self.desired).values())
        return plan_environments(wanted, self.store, self.credentials, given)

    def _find_company(self, desired: Desired) -> str:
        account = self.credentials.account(desired)
        assert account is not None
        return account

    async def _apply(
        self, planned: Planned | None = None, offload: Offload = run_here, accepted: Collection[str] = ()
    ) -> RunResult:
        planned = planned or self.make_plan()
        world = make_world(self.store, self.plug, self.clock, self.credentials)
        world = replace(world, offload=offload)
        return await apply_plan(planned, world, replace(self.options, accepted=accepted), Stop())

    def _run(self, work: Coroutine[None, None, RunResult]) -> RunResult | None:
        """Run to the end; None if the process was killed."""
        result = None
        try:
            result = asyncio.run(work)
        except* Killed:
            pass
        return result

    # --- actions of a user and events ---------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), version=st.sampled_from("123"))
    def edit(self, name: str, version: str) -> None:
        """Edit or revert: with few versions, an old one comes back."""
        self.desired[name] = make_desired(name, version)

    @rule(name=st.sampled_from(NAMES), account=st.sampled_from(["org:1", "org:2"]), days=st.sampled_from([0, 1]))
    def change_token(self, name: str, account: str, days: int) -> None:
        self.credentials.accounts[name] = account + name
        self.credentials.expiries[name] = START + timedelta(days=days)

    @rule(name=st.sampled_from(NAMES), host=st.sampled_from(["plug.example.com", "plug.example.net"]))
    def move_to_another_endpoint(self, name: str, host: str) -> None:
        self.desired[name] = replace(self.desired[name], endpoint=f"https://{host}/update-webhooks")

    @rule(
        behaviours=st.lists(st.sampled_from(sorted(BEHAVIOURS)), max_size=8),
        faults=st.lists(st.sampled_from(STORE_FAULTS), max_size=4),
    )
    def apply(self, behaviours: list[str], faults: list[StoreFault | None]) -> None:
        self.plug.script.extend(BEHAVIOURS[name] for name in behaviours)
        self.store.faults.extend(faults)
        result = self._run(self._apply())
        self.plug.script.clear()
        self.store.faults.clear()
        # A write that succeeded with an error leaves the state ahead of the report; rule 1 checks that.
        if result is not None and StoreFault.LANDS not in faults:
            self._check_result(result)

    @rule(
        name=st.sampled_from(NAMES),
        version=st.sampled_from("123"),
        days=st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=1, max_size=3),
    )
    def edited_failed_and_reverted(self, name: str, version: str, days: list[str]) -> None:
        """An edit, one or more runs that fail in some way, and a revert of the manifest."""
        before = self.desired[name]
        self.edit(name, version)
        for behaviour in days:
            planned = self.make_plan({name: self.desired[name]})
            self.plug.script.extend([BEHAVIOURS[behaviour]] * OPTIONS.attempts)
            self._run(self._apply(planned))
            self.plug.script.clear()
            self.clock.advance(OPTIONS.lease_s + 1)
        self.desired[name] = before

    @rule(name=st.sampled_from(NAMES), version=st.sampled_from("123"), ours_lands_last=st.booleans())
    def both_in_their_put(self, name: str, version: str, ours_lands_last: bool) -> None:
        """The lease ends during our PUT; another run takes over; our run ends during the other's PUT."""
        if self.make_plan({name: self.desired[name]}).plan.environments[0].action is Action.NOOP:
            self.edit(name, "1" if version != "1" else "2")
        planned = self.make_plan({name: self.desired[name]})
        if name in planned.heads and planned.heads[name].intent is not None:
            self.clock.advance(OPTIONS.lease_s + 1)
        theirs_desired = make_desired(name, version + "0")

        async def race() -> RunResult:
            they_begin, we_ended = asyncio.Event(), asyncio.Event()

            async def ours(plug: FakePlug, desired: Desired) -> Attempt:
                self.clock.advance(OPTIONS.lease_s + 1)
                self.taken_away = True
                if not ours_lands_last:
                    plug.hold(desired)
                others.append(asyncio.create_task(self._apply(self.make_plan({name: theirs_desired}))))
                await they_begin.wait()
                if ours_lands_last:
                    plug.hold(desired)
                return await answer(200)(plug, desired)

            async def theirs(plug: FakePlug, desired: Desired) -> Attempt:
                if ours_lands_last:
                    plug.hold(desired)
                they_begin.set()
                await we_ended.wait()
                if not ours_lands_last:
                    plug.hold(desired)
                return await answer(200)(plug, desired)

            others: list[asyncio.Task[RunResult]] = []
            self.plug.script.extend([ours, theirs])
            result = await self._apply(planned)
            we_ended.set()
            for other in others:
                await other
            return result

        self._run(race())
        self.plug.script.clear()
        self.taken_away = False
        self.desired[name] = theirs_desired

    @rule(name=st.sampled_from(NAMES), version=st.sampled_from("123"))
    def taken_over_while_frozen(self, name: str, version: str) -> None:
        """The run freezes in its PUT until its lease ends; another applies something else; then our PUT arrives."""
        planned = self.make_plan()
        others = {**self.desired, name: make_desired(name, version)}

        async def freeze(plug: FakePlug, desired: Desired) -> Attempt:
            self.clock.advance(OPTIONS.lease_s + 1)
            self.taken_away = True
            await self._apply(self.make_plan(others))
            return await answer(200, acts=True)(plug, desired)

        self.plug.script.append(freeze)
        self._run(self._apply(planned))
        self.plug.script.clear()
        self.taken_away = False
        self.desired = others

    @rule(name=st.sampled_from(NAMES))
    def unlocked_or_forgotten_during_the_put(self, name: str) -> None:
        """A user wrongly removes a live intent; another run applies; then our PUT arrives."""
        planned = self.make_plan()

        async def meddle(plug: FakePlug, desired: Desired) -> Attempt:
            self.taken_away = True
            unlock(self.store, find_stored(self.store, desired.environment))
            if desired.environment == name:
                forget(self.store, find_stored(self.store, desired.environment), self.clock.now())
            else:
                await self._apply()
            return await answer(200, acts=True)(plug, desired)

        self.plug.script.append(meddle)
        self._run(self._apply(planned))
        self.plug.script.clear()
        self.taken_away = False

    @rule()
    def two_at_once(self) -> None:
        """During the PUT of one run, another finds the environment locked and sends nothing to it."""
        planned = self.make_plan()

        async def meanwhile(plug: FakePlug, desired: Desired) -> Attempt:
            sent = self.plug.received.count(desired.environment)
            result = await self._apply()
            outcomes = {one.environment: one.outcome for one in result.environments}
            assert outcomes[desired.environment] is Outcome.LOCKED
            assert self.plug.received.count(desired.environment) == sent
            return await answer(200, acts=True)(plug, desired)

        self.plug.script.append(meanwhile)
        self._run(self._apply(planned))
        self.plug.script.clear()

    @rule(
        version=st.sampled_from("456"),
        behaviours=st.lists(st.sampled_from(MAY_HAVE_ACTED), max_size=4),
        pauses=st.lists(st.integers(0, 4), max_size=40),
    )
    def two_runs_with_one_token(self, version: str, behaviours: list[str], pauses: list[int]) -> None:
        """They begin together, each with its own environment; at most one of them sends.

        `pauses` decide which of the two continues, before and after each read and write of the state.
        """
        own = dict(self.credentials.accounts)
        self.credentials.accounts = dict.fromkeys(NAMES, SHARED)
        self.desired = {name: make_desired(name, version) for name in NAMES}
        plans = [self.make_plan({name: one}) for name, one in self.desired.items()]
        self.plug.script.extend(BEHAVIOURS[name] for name in behaviours)
        left = iter(pauses)

        async def pause(call: Callable[[], T]) -> T:
            for _ in range(next(left, 0)):
                await asyncio.sleep(0)
            result = call()
            for _ in range(next(left, 0)):
                await asyncio.sleep(0)
            return result

        async def both() -> list[RunResult]:
            return await asyncio.gather(*(self._apply(planned, pause) for planned in plans))

        self.plug.received.clear()
        results = asyncio.run(both())
        senders = set(self.plug.received)
        assert len(senders) <= 1
        for result in results:
            for one in result.environments:
                assert one.environment in senders or one.outcome not in (Outcome.APPLIED, Outcome.REJECTED)
        self.plug.script.clear()
        self.credentials.accounts = own

    @rule(
        accepted=st.sampled_from([("a",), ("b",), NAMES]),
        behaviours=st.lists(st.sampled_from(sorted(BEHAVIOURS)), max_size=4),
        faults=st.lists(st.sampled_from(STORE_FAULTS), max_size=3),
    )
    def accept_a_swapped_token(
        self, accepted: tuple[str, ...], behaviours: list[str], faults: list[StoreFault | None]
    ) -> None:
        """Send to the other environment's company, or swap both tokens; afterwards each has its own token again."""
        own = {name: self.credentials.account(one) for name, one in self.desired.items()}
        swapped = {name: own[other] for name, other in zip(NAMES, reversed(NAMES), strict=True) if name in accepted}
        self.credentials.accounts = own | swapped
        self.plug.script.extend(BEHAVIOURS[name] for name in behaviours)
        self.store.faults.extend(faults)
        wanted = {name: self.desired[name] for name in accepted}
        self._run(self._apply(self.make_plan(wanted), accepted=accepted))
        self.plug.script.clear()
        self.store.faults.clear()
        self.credentials.accounts = dict(own)
        self.clock.advance(OPTIONS.lease_s + 1)
        # The invariants notice when the environment with the swapped token has left the other company.
        result = self._run(self._apply(self.make_plan(wanted), accepted=accepted))
        assert result is not None
        assert {one.outcome for one in result.environments} <= {Outcome.APPLIED, Outcome.UNCHANGED}

    @rule(name=st.sampled_from(NAMES), version=st.sampled_from("123"))
    def lost_race_for_the_intent(self, name: str, version: str) -> None:
        """Between our plan and our intent, another run applied the same or something else."""
        planned = self.make_plan()
        others = {**self.desired, name: make_desired(name, version)}
        self._run(self._apply(self.make_plan(others)))
        self._run(self._apply(planned))

    @rule(seconds=st.sampled_from([1, 60, 901]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(name=st.sampled_from(NAMES))
    def adopt(self, name: str) -> None:
        """Adopt as a user does after checking that Plug holds it."""
        desired = self.desired[name]
        before = dict(self.plug.holds)
        self.plug.hold(desired)
        self.vouched.add((name, tuple(desired.webhooks[event] for event in EVENTS)))
        try:
            world = make_world(self.store, self.plug, self.clock)
            fingerprint = self.credentials.fingerprint(desired)
            adopt_by_hand(self.store, desired, fingerprint, self.clock.now(), world.by)
        except Locked:
            self.plug.holds = before

    @rule(name=st.sampled_from(NAMES))
    @precondition(lambda self: self.store.names())
    def forget(self, name: str) -> None:
        if name not in self.store.names():
            return
        try:
            forget(self.store, find_stored(self.store, name), self.clock.now())
        except Locked:
            return

    @rule()
    def heal(self) -> None:
        """Rule 4: after the leases end, one apply converges with at most one PUT each, and the next does nothing."""
        self.clock.advance(OPTIONS.lease_s + 1)
        self.plug.received.clear()
        result = self._run(self._apply())
        assert result is not None
        assert {one.outcome for one in result.environments} <= {Outcome.APPLIED, Outcome.UNCHANGED}
        assert all(self.plug.received.count(name) <= 1 for name in NAMES)
        plan = self.make_plan().plan
        assert {one.action for one in plan.environments} == {Action.NOOP}
        for one in self.desired.values():
            assert self.plug.holds[self._find_company(one)] == dict(one.webhooks)
        self.plug.received.clear()
        self._run(self._apply())
        assert self.plug.received == []

    # --- rules ---------------------------------------------------------------------------------------

    def _check_intent(self, desired: Desired) -> None:
        """Rule 6: a PUT is only sent under a live intent of this text."""
        if self.taken_away:
            return
        intent = self.store.read([desired.environment])[desired.environment].document.intent
        assert intent is not None
        assert intent.is_live(self.clock.now())
        assert dict(intent.webhooks) == dict(desired.webhooks)
        assert (intent.endpoint, intent.account) == (desired.endpoint, self.credentials.account(desired))

    def _check_writes(self, writes: Sequence[Write]) -> None:
        """Rule 5: a write names the version that it replaces, and its serial is the next one."""
        for write in writes:
            stored = self.store.read([write.environment]).get(write.environment)
            if stored is None or write.document is None or stored.version != write.expected:
                continue
            assert write.document.serial == stored.document.serial + 1
            self._check_last(stored.document, write.document)
            self._check_history(stored.document, write.document)

    def _check_last(self, before: Document, after: Document) -> None:
        """The last try only changes in a write that ends or doubts an intent, and says which of the two it was."""
        if after.last == before.last:
            return
        assert after.last is not None
        doubted = after.intent is not None and after.intent.doubt
        assert doubted == (after.last.outcome is Outcome.UNCERTAIN)
        assert (after.applied != before.applied) <= (after.last.outcome is Outcome.APPLIED)

    def _check_history(self, before: Document, after: Document) -> None:
        """The destination and account of every record are known, from the newest backwards."""
        known = find_places(before)
        more = 1 if after.history != before.history else 0  # The oldest entry of a full history is removed.
        assert find_places(after)[more:] == known[: record.HISTORY_LENGTH - more]

    def _check_result(self, result: RunResult) -> None:
        for one in result.environments:
            stored = self.store.read([one.environment]).get(one.environment)
            last = stored.document.last if stored else None
            if one.outcome in (Outcome.APPLIED, Outcome.REJECTED):
                assert last is not None
                assert (last.outcome, last.status, last.message) == (one.outcome, one.status, one.message)
            if one.outcome is Outcome.APPLIED:
                assert stored is not None
                desired = self.desired[one.environment]
                fingerprint = self.credentials.fingerprint(desired)
                assert stored.document.intent is None
                assert stored.document.applied is not None
                assert dict(stored.document.applied.webhooks) == dict(desired.webhooks)
                assert stored.document.applied.endpoint == desired.endpoint
                assert stored.document.applied.account == fingerprint.account
                assert stored.document.applied.token_expires_at == fingerprint.token_expires_at
            if one.outcome is Outcome.UNCERTAIN:
                assert stored is not None
                assert stored.document.intent is not None

    @invariant()
    def a_noop_is_true(self) -> None:
        """Rule 1."""
        plan: Plan = self.make_plan().plan
        for one in plan.environments:
            if one.action is Action.NOOP and not one.unchecked:
                desired = self.desired[one.environment]
                assert self.plug.holds.get(self._find_company(desired)) == dict(desired.webhooks)

    @invariant()
    def what_is_applied_was_confirmed_or_adopted(self) -> None:
        """Rule 2."""
        for name, data in self.store.inner.documents.items():
            document = decode_document(data, environment=name, where="memory").document
            if document.applied is not None:
                text = tuple(document.applied.webhooks[event] for event in EVENTS)
                assert (name, text) in self.plug.confirmed | self.vouched


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=examples(100), stateful_step_count=25)


class GatheredProtocol(Protocol):
    """The same with a store whose writes wait for each other, as git pushes do."""

    gather_s = 0.002


TestGatheredProtocol = GatheredProtocol.TestCase
TestGatheredProtocol.settings = settings(max_examples=examples(40), stateful_step_count=25)


class FleetProtocol(Protocol):
    """The same with intents that are written ahead of a free slot, and removed after the first failure."""

    options = replace(OPTIONS, concurrency=1, max_failures=1)

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(apply, "FLEET", 0)

    def teardown(self) -> None:
        self._patch.undo()


TestFleetProtocol = FleetProtocol.TestCase
TestFleetProtocol.settings = settings(max_examples=examples(40), stateful_step_count=25)


def test_a_protocol_without_doubt_breaks_rule_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """This proves that the check can fail: without doubt, a lost answer and a revert make a noop wrong."""
    monkeypatch.setattr(record, "mark_in_doubt", record.clear)
    machine = Protocol()
    machine.store.before_write = lambda writes: None  # It would find the fault too, and earlier.
    machine.heal()
    machine.edit("a", "2")
    world = make_world(machine.store, machine.plug, machine.clock, machine.credentials)
    planned = machine.make_plan()
    machine.plug.script.extend([no_answer(acts=True)] * 8)
    asyncio.run(apply_plan(planned, world, OPTIONS, Stop()))
    machine.edit("a", "1")
    with pytest.raises(AssertionError):
        machine.a_noop_is_true()


def test_an_accepted_account_change_needs_the_doubt_of_the_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """This proves that the check can fail."""

    async def doubt_nobody(*_: object) -> str:
        await asyncio.sleep(0)
        return ""

    machine = Protocol()
    machine.heal()
    machine.accept_a_swapped_token(("a",), [], [])
    machine.a_noop_is_true()
    monkeypatch.setattr(apply, "doubt_holders", doubt_nobody)
    monkeypatch.setattr(environment, "doubt_holders", doubt_nobody)
    machine.heal()
    machine.accept_a_swapped_token(("a",), [], [])
    with pytest.raises(AssertionError):
        machine.a_noop_is_true()


@pytest.mark.parametrize("compares_again", [True, False])
def test_two_runs_with_one_token_need_the_second_comparison(
    compares_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This proves that the check can fail: what is known before the intents is not enough."""

    async def look_at_nothing(accounts: Accounts) -> None:
        await asyncio.sleep(0)

    machine = Protocol()
    if compares_again:
        machine.two_runs_with_one_token("4", [], [])
        return
    monkeypatch.setattr(Accounts, "refresh", look_at_nothing)
    with pytest.raises(AssertionError):
        machine.two_runs_with_one_token("4", [], [])
