"""The second comparison of accounts: what others wrote between the plan and the intent, and its cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.accounts import ApplyWay
from reconciler.core.attempts import Attempt
from reconciler.core.planner import Fleet, PlanInput, Planned
from reconciler.errors import Conflict, Unreachable
from reconciler.model import By, Desired, Document, Fingerprint, Outcome, RunResult, Snapshot
from reconciler.ports import Changes, Shrink, Write, keep_head
from reconciler.run.accounts import Accounts
from reconciler.run.apply import apply_plan
from reconciler.run.context import Stop
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import (
    OPTIONS,
    START,
    FakeClock,
    FakeCredentials,
    FakePlug,
    FaultyStore,
    StoreFault,
    answer,
    make_desired,
    make_world,
    no_answer,
    run_here,
)

SHARED = "org:shared"


class Bench:
    """Two environments with one token, each applied by its own run."""

    def __init__(self) -> None:
        self.clock, self.plug, self.store, self.credentials = FakeClock(), FakePlug(), FaultyStore(), FakeCredentials()
        self.credentials.accounts = {"a": SHARED, "b": SHARED}
        self.warnings: list[str] = []

    def plan(self, name: str) -> Planned:
        desired = [make_desired("a"), make_desired("b")]
        planned = plan_environments(desired, self.store, self.credentials, PlanInput(self.clock.now()))
        (one,) = (one for one in planned.plan.environments if one.environment == name)
        return replace(planned, plan=replace(planned.plan, environments=(one,)))

    async def apply(self, planned: Planned, accepted: tuple[str, ...] = (), **more: Any) -> RunResult:
        world = make_world(self.store, self.plug, self.clock, self.credentials)
        world = replace(world, warn=self.warnings.append)
        return await apply_plan(planned, world, replace(OPTIONS, accepted=accepted, **more), Stop())

    def before_intent(self, call: Callable[[], Any]) -> None:
        """Call `call` between the read of a's document and the write of its intent, as another process would."""

        def before(writes: Sequence[Write]) -> None:
            self.store.before_write = lambda writes: None
            call()

        self.store.before_write = before

    def write_other(self, *, doubt: bool = False) -> None:
        """Write the intent of `b` as another run, and with `doubt` leave it in doubt."""
        claim = record.Claim("i", "l", START, 900, By("eva"), SHARED)
        document = record.begin_intent(None, make_desired("b"), claim)
        self.store.inner.write([Write("b", record.mark_in_doubt(document) if doubt else document, None)])

    def adopt_other(self) -> None:
        document = record.adopt(None, make_desired("b"), Fingerprint(SHARED), START, By("eva"), lineage="l")
        self.store.inner.write([Write("b", document, None)])


def only(result: RunResult) -> tuple[Outcome, str]:
    (one,) = result.environments
    return one.outcome, one.message


@pytest.mark.parametrize("other", ["intent", "doubt", "record"])
def test_an_account_that_another_run_took_after_the_plan_is_found_after_the_intent(other: str) -> None:
    """Nothing is sent, and the intent is removed; the message names the other environment and what to do."""
    bench = Bench()
    planned = bench.plan("a")
    bench.before_intent(bench.adopt_other if other == "record" else lambda: bench.write_other(doubt=other == "doubt"))
    outcome, message = only(asyncio.run(bench.apply(planned)))
    assert (outcome, bench.plug.received) == (Outcome.FAILED, [])
    begins = {
        "intent": "to which b is being applied right now (another run is at work: eva, since 2026-11-23T12:00:00Z",
        "doubt": "that an unfinished PUT of b may have changed",
        "record": "that b was last applied to",
    }
    assert message.startswith(f"not sent: the token of a belongs to the Plug company {begins[other]}")
    assert "ive each environment its own company's token" in message
    document = bench.store.read(["a"])["a"].document
    assert (document.intent, document.applied) == (None, None)
    assert document.last is not None
    assert (document.last.outcome, document.last.message) == (outcome, message)


def test_an_account_that_is_known_to_be_taken_is_refused_before_the_intent() -> None:
    """No document is written."""
    bench = Bench()
    bench.adopt_other()
    outcome, message = only(asyncio.run(bench.apply(bench.plan("a"))))
    assert (outcome, bench.plug.received, set(bench.store.names())) == (Outcome.FAILED, [], {"b"})
    assert "b was last applied to" in message
    _, message = only(asyncio.run(bench.apply(bench.plan("a"), way=ApplyWay.WORKFLOW)))
    assert "gh workflow run apply.yml -f environments=a -f accept_account_change=a" in message


def test_a_refused_environment_with_inherited_doubt_stays_in_doubt() -> None:
    bench = Bench()
    claim = record.Claim("i", "l", START, 900, By("eva"), "org:before")
    in_doubt = record.mark_in_doubt(record.begin_intent(None, make_desired("a"), claim))
    bench.store.inner.write([Write("a", in_doubt, None)])
    planned = bench.plan("a")
    bench.before_intent(bench.adopt_other)
    outcome, message = only(asyncio.run(bench.apply(planned)))
    assert (outcome, bench.plug.received) == (Outcome.UNCERTAIN, [])
    assert "b was last applied to" in message
    intent = bench.store.read(["a"])["a"].document.intent
    assert intent is not None and intent.doubt and intent.lease_until is None


@pytest.mark.parametrize("other", ["doubt", "record", "intent"])
def test_an_accepted_account_is_sent_to_unless_another_run_is_sending(other: str) -> None:
    bench = Bench()
    planned = bench.plan("a")
    bench.before_intent(bench.adopt_other if other == "record" else lambda: bench.write_other(doubt=other == "doubt"))
    outcome, _ = only(asyncio.run(bench.apply(planned, accepted=("a",))))
    assert outcome is (Outcome.FAILED if other == "intent" else Outcome.APPLIED)


@pytest.mark.parametrize("other", ["doubt", "record"])
def test_an_environment_that_an_accepted_account_overwrites_is_in_doubt_before_the_put(other: str) -> None:
    """Its next apply sends its webhooks again. An environment in doubt already is not written."""
    bench = Bench()
    (bench.adopt_other if other == "record" else lambda: bench.write_other(doubt=True))()
    before = bench.store.read(["b"])["b"].document
    seen: list[Document] = []
    bench.plug.before = lambda desired: seen.append(bench.store.read(["b"])["b"].document)
    assert only(asyncio.run(bench.apply(bench.plan("a"), accepted=("a",))))[0] is Outcome.APPLIED
    (document,) = seen
    assert document.applied == before.applied
    assert document.intent is not None
    assert (document.intent.doubt, document.intent.lease_until, document.intent.account) == (True, None, SHARED)
    if other == "record":
        assert document.intent.webhooks == make_desired("a").webhooks
        assert bench.warnings == [
            "b is in doubt now, as its webhooks are overwritten: apply it with its own company's token"
        ]
    else:
        assert (document, bench.warnings) == (before, [])
    bench.credentials.accounts = {"a": "org:a", "b": SHARED}
    asyncio.run(bench.apply(bench.plan("a")))
    assert only(asyncio.run(bench.apply(bench.plan("b"))))[0] is Outcome.APPLIED


def test_a_dead_run_can_not_end_the_doubt_of_an_overwritten_environment() -> None:
    """Its lease is over, and it would write its outcome late."""
    bench = Bench()
    bench.write_other()
    dead = bench.store.read(["b"])["b"]
    bench.clock.advance(901)
    assert only(asyncio.run(bench.apply(bench.plan("a"), accepted=("a",))))[0] is Outcome.APPLIED
    confirmed = record.confirm(dead.document, make_desired("b"), Fingerprint(SHARED), START, By("eva"))
    (late,) = bench.store.write([Write("b", confirmed, dead.version)])
    assert isinstance(late.error, Conflict)


@pytest.mark.parametrize("fault", ["fails", "races"])
def test_nothing_is_sent_if_the_overwritten_environment_can_not_be_put_in_doubt(fault: str) -> None:
    """The intent is removed."""
    bench = Bench()
    bench.adopt_other()

    def before(writes: Sequence[Write]) -> None:
        for write in writes:
            if write.environment == "b" and fault == "fails":
                bench.store.faults.append(StoreFault.FAILS)
            elif write.environment == "b":
                stored = bench.store.read(["b"])["b"]
                newer = replace(stored.document, serial=stored.document.serial + 1)
                bench.store.inner.write([Write("b", newer, stored.version)])

    bench.store.before_write = before
    result = asyncio.run(bench.apply(bench.plan("a"), accepted=("a",)))
    outcome, message = only(result)
    assert (outcome, bench.plug.received, result.state_trouble) == (Outcome.FAILED, [], True)
    assert message.startswith("not sent: the environment whose webhooks it would overwrite could not be put in doubt: ")
    assert ("no space left" if fault == "fails" else "lost 5 races") in message
    assert bench.store.read(["a"])["a"].document.intent is None


def test_nothing_is_sent_while_another_run_sends_the_environment_to_be_overwritten() -> None:
    """That run sends to another company, so it may end with the record that it began with, of this one."""
    bench = Bench()
    bench.adopt_other()
    stored = bench.store.read(["b"])["b"]
    claim = record.Claim("i", "l", START, 900, By("eva"), "org:b")
    document = record.begin_intent(stored.document, make_desired("b"), claim)
    bench.store.inner.write([Write("b", document, stored.version)])
    outcome, message = only(asyncio.run(bench.apply(bench.plan("a"), accepted=("a",))))
    assert (outcome, bench.plug.received) == (Outcome.FAILED, [])
    assert message.startswith("not sent: b was last applied to the Plug company of this token, and another run is at")
    assert bench.store.read(["b"])["b"].document == document


@pytest.mark.parametrize("exact", [False, True])
def test_two_environments_exchange_their_companies_in_one_run(exact: bool) -> None:
    """Both are accepted, also with a saved plan: each finds the other in doubt, not locked."""
    bench = Bench()
    bench.credentials.accounts = {}
    desired = [make_desired("a"), make_desired("b")]

    def plan() -> Planned:
        return plan_environments(desired, bench.store, bench.credentials, PlanInput(bench.clock.now()))

    asyncio.run(bench.apply(plan()))
    bench.credentials.accounts = {"a": "org:b", "b": "org:a"}
    result = asyncio.run(bench.apply(plan(), ("a", "b"), exact=exact))
    assert [one.outcome for one in result.environments] == [Outcome.APPLIED] * 2
    assert asyncio.run(bench.apply(plan())).environments[0].outcome is Outcome.UNCHANGED


def test_an_orphan_is_named_with_the_command_that_renames_it() -> None:
    bench = Bench()
    planned = bench.plan("a")
    planned = replace(planned, fleet=replace(planned.fleet, manifests=frozenset({"a"})))
    bench.before_intent(bench.adopt_other)
    _, message = only(asyncio.run(bench.apply(planned)))
    assert "`reconciler state rename b a`" in message
    assert "`reconciler state forget b`" in message


@pytest.mark.parametrize("ambiguous", [False, True])
def test_of_two_overlapping_runs_only_the_first_one_sends(ambiguous: bool) -> None:
    """The second run begins and ends while the first one's PUT is in flight, or after it ended in doubt."""
    bench = Bench()
    late = bench.plan("b")
    seen: list[tuple[Outcome, str]] = []

    async def meanwhile(plug: FakePlug, desired: Desired) -> Attempt:
        seen.append(only(await bench.apply(late)))
        return await (no_answer(acts=True) if ambiguous else answer(200, acts=True))(plug, desired)

    bench.plug.script.extend([meanwhile, *([no_answer(acts=True)] * OPTIONS.attempts if ambiguous else [])])
    outcome, _ = only(asyncio.run(bench.apply(bench.plan("a"))))
    bench.plug.script.clear()
    assert outcome is (Outcome.UNCERTAIN if ambiguous else Outcome.APPLIED)
    assert seen[0][0] is Outcome.FAILED
    assert only(asyncio.run(bench.apply(late)))[0] is Outcome.FAILED
    assert set(bench.plug.received) == {"a"}


def test_if_the_state_can_not_be_read_again_nothing_is_sent() -> None:
    """The intent is removed, and no further environment is begun."""

    class Broken(FaultyStore):
        def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
            if since is not None:
                raise Unreachable("state: the store did not answer")
            return super().read_changes(since, shrink)

    bench = Bench()
    bench.store = Broken()
    result = asyncio.run(bench.apply(bench.plan("a")))
    assert only(result) == (
        Outcome.FAILED,
        "not sent: what other runs wrote could not be read: state: the store did not answer",
    )
    assert (result.state_trouble, bench.plug.received) == (True, [])
    assert bench.store.read(["a"])["a"].document.intent is None


def test_a_document_that_can_not_be_read_is_a_warning_once() -> None:
    """It stops no environment."""
    bench = Bench()
    bench.store.inner.documents["known"] = b""
    planned = plan_environments(
        [make_desired("a"), make_desired("b")], bench.store, FakeCredentials(), PlanInput(START), PlanScope(("[ab]",))
    )
    bench.credentials.accounts = {}
    bench.before_intent(lambda: bench.store.inner.documents.update(bad=b"{"))
    result = asyncio.run(bench.apply(planned))
    assert [one.outcome for one in result.environments] == [Outcome.APPLIED] * 2
    (warning,) = bench.warnings
    assert warning.startswith("the tokens were not compared with bad, which can't be read: state of bad: ")


def test_a_document_that_changes_and_still_can_not_be_read_is_no_second_warning() -> None:
    """Another run may write it again and again."""
    store, warnings = FaultyStore(), list[str]()
    accounts = Accounts(store, run_here, FakeClock(), Fleet(), (), warnings.append)

    async def refresh_after_each(versions: tuple[bytes, ...]) -> None:
        for data in versions:
            store.inner.documents["bad"] = data
            await accounts.refresh()

    asyncio.run(refresh_after_each((b"{", b"[")))
    assert len(warnings) == 1


# --- what it costs ---------------------------------------------------------------------------------


class CountingStore(FaultyStore):
    """Counts the scans, and lets none end before the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.scans = 0
        self.gate = threading.Event()

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        self.scans += 1
        assert self.gate.wait(60)
        return super().read_changes(since, shrink)


def make_accounts(store: FaultyStore, offload: Any = run_here) -> Accounts:
    return Accounts(store, offload, FakeClock(), Fleet(), (), lambda warning: None)


def test_a_scan_that_is_requested_while_one_is_in_flight_joins_the_next() -> None:
    """The one in flight may have begun before the intent was written."""
    store = CountingStore()

    async def run() -> int:
        accounts = make_accounts(store, asyncio.to_thread)
        first = asyncio.create_task(accounts.refresh())
        while not store.scans:
            await asyncio.sleep(0)
        joining = [asyncio.create_task(accounts.refresh()) for _ in range(100)]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *joining)
        return store.scans

    assert asyncio.run(run()) == 2


def test_what_this_run_wrote_during_a_scan_is_newer_than_what_the_scan_found() -> None:
    """This holds for documents that were created, changed or removed meanwhile."""
    store = FaultyStore()
    created = record.begin_intent(None, make_desired("b"), record.Claim("i", "l", START, 900, By(), "org:old"))
    changed = record.confirm(created, make_desired("b"), Fingerprint("org:new"), START, By())

    async def run() -> Accounts:
        accounts = make_accounts(store)
        accounts.record_written("b", changed)
        store.inner.write([Write("b", created, None)])
        await accounts.refresh()
        return accounts

    accounts = asyncio.run(run())
    assert accounts.find_refusal("a", "org:old") is None
    assert "b was last applied to" in (accounts.find_refusal("a", "org:new") or "")
    accounts.record_written("b", None)
    assert accounts.find_refusal("a", "org:new") is None
