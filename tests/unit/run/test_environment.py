"""The steps of one environment in an apply, with disturbances between read, intent, PUT and outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.attempts import Attempt, Fate
from reconciler.core.planner import PlanInput, Planned
from reconciler.errors import Unreachable
from reconciler.model import By, Desired, EnvironmentResult, Fingerprint, Outcome, Reason, Remedy, RunResult, Stored
from reconciler.ports import Write, WriteResult
from reconciler.run.apply import apply_plan
from reconciler.run.context import ApplyOptions, Stop
from reconciler.run.environment import CLAIM_TRIES, SETTLE_TRIES
from reconciler.run.planning import plan_environments
from reconciler.state.document import MAX_BYTES, encode_document
from reconciler.state.reading import MAX_SERIAL
from tests.fakes import (
    OPTIONS,
    START,
    Behaviour,
    FakeClock,
    FakeCredentials,
    FakePlug,
    FaultyStore,
    StoreFault,
    adopt_by_hand,
    answer,
    make_desired,
    make_world,
    unsent,
)

ONE_AFTER_ANOTHER = replace(OPTIONS, concurrency=1)
MANY = "abcdefghijkl"  # the next are on their way until the first one's trouble shows


class Bench:
    """Environments, a Plug and a state that a test can change at any moment of an apply."""

    def __init__(self, *names: str) -> None:
        self.clock, self.plug, self.store, self.credentials = FakeClock(), FakePlug(), FaultyStore(), FakeCredentials()
        self.desired = [make_desired(name) for name in names or ("a",)]
        self.stop = Stop()

    def want(self, version: str) -> None:
        self.desired = [make_desired(one.environment, version) for one in self.desired]

    def plan(self, *, requested: bool = False, max_age_s: float | None = None) -> Planned:
        given = PlanInput(self.clock.now(), max_age_s, requested)
        return plan_environments(self.desired, self.store, self.credentials, given)

    def apply(
        self,
        planned: Planned | None = None,
        options: ApplyOptions = ONE_AFTER_ANOTHER,
        warn: Callable[[str], None] = lambda warning: None,
    ) -> RunResult:
        planned = planned or self.plan()
        world = replace(make_world(self.store, self.plug, self.clock, self.credentials), warn=warn)
        try:
            return asyncio.run(apply_plan(planned, world, options, self.stop))
        finally:
            self.stop = Stop()  # one run has one loop

    def write_as_another(self, name: str = "a") -> None:
        """Write the next version of an environment's document as another run, with webhooks that no manifest has."""
        desired = make_desired(name, "another's")
        fingerprint = self.credentials.fingerprint(desired)
        present = self.store.inner.read([name]).get(name)
        if present is not None and present.document.intent is not None:
            unlocked = replace(present.document, intent=None, serial=present.document.serial + 1)
            self.store.inner.write([Write(name, unlocked, present.version)])
        adopt_by_hand(self.store.inner, desired, fingerprint, START, By("eva", None, None))

    def before_writes(self, *calls: Callable[[], None] | None) -> None:
        """Call these before the first write of a's document, the second, and so on."""
        upcoming = iter(calls)

        def before(writes: Sequence[Write]) -> None:
            call = next(upcoming, None) if any(write.environment == "a" for write in writes) else None
            if call is not None:
                call()

        self.store.before_write = before


def only(result: RunResult) -> EnvironmentResult:
    (one,) = result.environments
    return one


# --- before the intent -----------------------------------------------------------------------------


def test_a_saved_plan_is_not_planned_again_if_the_state_changed() -> None:
    """The new plan would not be the reviewed one."""
    bench = Bench()
    late = bench.plan()
    bench.write_as_another()
    result = bench.apply(late, replace(OPTIONS, exact=True))
    assert only(result).outcome is Outcome.FAILED
    assert only(result).message == "not sent: another run wrote its state after the plan was made. Plan again"
    assert result.state_trouble
    assert bench.plug.received == []
    assert bench.store.read(["a"])["a"].document.intent is None


def test_a_saved_plan_whose_state_changed_does_not_end_the_run() -> None:
    bench = Bench("a", "b", "c")
    late = bench.plan()
    bench.write_as_another()
    result = bench.apply(late, replace(ONE_AFTER_ANOTHER, exact=True))
    assert [one.outcome for one in result.environments] == [Outcome.FAILED, Outcome.APPLIED, Outcome.APPLIED]


def test_without_a_saved_plan_it_is_planned_again_and_put() -> None:
    bench = Bench()
    late = bench.plan()
    bench.write_as_another()
    result = bench.apply(late)
    assert only(result).outcome is Outcome.APPLIED
    assert Reason.WEBHOOKS_CHANGED in only(result).reasons
    assert not result.state_trouble


def test_an_account_that_changed_since_the_plan_was_not_accepted() -> None:
    bench = Bench()
    late = bench.plan()
    bench.credentials.accounts["a"] = "org:another"
    bench.write_as_another()
    bench.credentials.accounts["a"] = "org:a"
    result = bench.apply(late)
    assert only(result).outcome is Outcome.FAILED
    assert "Plan again" in only(result).message
    assert bench.plug.received == []


def test_an_accepted_account_change_stays_accepted_if_the_state_changed() -> None:
    """The plan had the reason, so it passed the guard."""
    bench = Bench()
    bench.credentials.accounts["a"] = "org:another"
    bench.write_as_another()
    bench.credentials.accounts["a"] = "org:a"
    late = bench.plan()
    assert Reason.ACCOUNT_CHANGED in late.plan.environments[0].reasons
    bench.credentials.accounts["a"] = "org:another"
    bench.write_as_another()
    bench.credentials.accounts["a"] = "org:a"
    assert only(bench.apply(late)).outcome is Outcome.APPLIED


def test_an_unchanged_state_is_not_planned_again() -> None:
    """Otherwise a --reassert would count as done already."""
    bench = Bench()
    bench.apply()
    again = bench.apply(bench.plan(requested=True))
    assert (only(again).outcome, only(again).reasons) == (Outcome.APPLIED, (Reason.REQUESTED,))
    assert bench.plug.received == ["a", "a"]


def test_an_expired_record_is_put_also_if_the_state_changed() -> None:
    bench = Bench()
    bench.apply()
    bench.clock.advance(7200)
    late = bench.plan(max_age_s=3600)
    desired = bench.desired[0]
    adopt_by_hand(bench.store, desired, bench.credentials.fingerprint(desired), START, By("eva", None, None))
    result = bench.apply(late, replace(OPTIONS, max_age_s=3600))
    assert (only(result).outcome, only(result).reasons) == (Outcome.APPLIED, (Reason.EXPIRED,))


def test_without_observe_no_account_is_read_if_the_state_changed() -> None:
    bench = Bench()
    bench.desired = [make_desired("a", account_id="an-account")]
    late = bench.plan()
    bench.write_as_another()
    assert only(bench.apply(late)).outcome is Outcome.APPLIED


def test_doubt_after_the_plan_is_reported_if_the_intent_can_not_be_written() -> None:
    """Nothing was sent, but it is unknown what Plug holds."""
    bench = Bench()
    late = bench.plan()
    claim = record.Claim("i", "l", START, 900, By("eva", None, None))
    in_doubt = record.mark_in_doubt(record.begin_intent(None, bench.desired[0], claim))
    bench.store.inner.write([Write("a", in_doubt, None)])
    bench.store.faults.append(StoreFault.FAILS)
    result = bench.apply(late)
    assert only(result).outcome is Outcome.UNCERTAIN
    assert only(result).message == "not sent: the intent could not be written: no space left on device"
    assert bench.plug.received == []


@pytest.mark.parametrize("in_doubt", [False, True])
def test_an_intent_that_landed_despite_an_error_is_removed_again(in_doubt: bool) -> None:
    """Without a certain intent nothing is sent, and no lease is left that no run owns. Earlier doubt stays."""
    bench = Bench()
    if in_doubt:
        bench.plug.script.extend([answer(503)] * OPTIONS.attempts)
        bench.apply()
        bench.plug.received.clear()
    bench.store.faults.append(StoreFault.LANDS)
    result = bench.apply()
    one = only(result)
    assert one.message == "not sent: the intent could not be written: input/output error"
    assert (one.outcome, one.remedy) == (Outcome.UNCERTAIN if in_doubt else Outcome.FAILED, Remedy.APPLY)
    assert (result.state_trouble, bench.plug.received) == (True, [])
    left = bench.store.read(["a"])
    assert [stored.document.is_locked(START) for stored in left.values()] == ([False] if in_doubt else [])
    assert only(bench.apply()).outcome is Outcome.APPLIED


@pytest.mark.parametrize("known", [True, False])
def test_an_intent_that_can_not_be_removed_again_is_named_with_its_lease(known: bool) -> None:
    """The next run would find a lock, and would have to believe that another run is at work."""

    class DyingStore(FaultyStore):
        dead = False

        def read(self, environments: Iterable[str]) -> dict[str, Stored]:
            if self.dead:
                raise Unreachable("no answer")
            return super().read(environments)

        def write(self, writes: Sequence[Write]) -> list[WriteResult]:
            self.dead = not known
            return super().write(writes)

    bench = Bench()
    bench.store = DyingStore()
    bench.store.faults.extend([StoreFault.LANDS, StoreFault.FAILS])
    result = bench.apply()
    one = only(result)
    assert (one.outcome, one.remedy, result.state_trouble) == (Outcome.FAILED, Remedy.UNLOCK, True)
    assert one.message == (
        "not sent: the intent could not be written: input/output error. It "
        f"{'could not be removed again' if known else 'may be in the state'}. Its lease lasts until "
        "2026-11-23T12:15:00Z: apply again then, or sooner after `reconciler state unlock a`"
    )
    assert bench.plug.received == []


def test_an_outcome_that_landed_despite_an_error_counts_and_is_warned_of() -> None:
    """The state shows it. After a power cut the intent may be back, in doubt, which costs one more PUT."""
    bench = Bench()
    bench.store.faults.extend([None, StoreFault.LANDS])
    warnings: list[str] = []
    result = bench.apply(warn=warnings.append)
    assert (only(result).outcome, result.state_trouble) == (Outcome.APPLIED, True)
    assert warnings == ["a: applied, and the state shows it. input/output error"]
    assert bench.store.read(["a"])["a"].document.intent is None


@pytest.mark.parametrize("grown", ["serial", "size"])
def test_nothing_is_sent_if_the_outcome_could_not_be_read_after_its_write(grown: str) -> None:
    """The intent still fits into a document, but the outcome would not."""
    bench = Bench()
    present = adopt_by_hand(bench.store.inner, bench.desired[0], Fingerprint(), START, By("eva"))
    if grown == "serial":
        present = replace(present, serial=MAX_SERIAL - 1)
    else:
        ours = record.begin_intent(present, make_desired("a", "2"), record.Claim("i" * 32, "l", START, 900, By("ana")))
        present = replace(present, lineage="l" * (MAX_BYTES - 1000 - len(encode_document(ours))))
    bench.store.inner.documents["a"] = encode_document(present)
    bench.want("2")
    result = bench.apply()
    assert (only(result).outcome, result.state_trouble) == (Outcome.FAILED, True)
    assert only(result).message.startswith(
        "not sent: the intent could not be written: state of a: the next document could not be read again: "
    )
    assert bench.plug.received == []
    assert bench.store.inner.documents["a"] == encode_document(present)


def test_the_last_try_and_the_intents_account_are_recorded() -> None:
    """The last try has our own message, the actor and the time."""
    bench = Bench()
    bench.plug.script.extend([answer(503), answer(401)])
    assert only(bench.apply()).outcome is Outcome.UNCERTAIN
    document = bench.store.read(["a"])["a"].document
    assert document.last is not None and document.intent is not None
    assert (document.intent.endpoint, document.intent.account) == (bench.desired[0].endpoint, "org:a")
    last = document.last
    assert (last.outcome, last.status, last.message) == (Outcome.UNCERTAIN, 401, "401 (tried 2 times)")
    assert (last.by, last.at) == (By("ana", "c0ffee", "1/1"), bench.clock.now().replace(microsecond=0))


@pytest.mark.parametrize("races", [CLAIM_TRIES - 1, CLAIM_TRIES])
def test_a_run_that_loses_every_race_leaves_the_environment_to_the_others(races: int) -> None:
    bench = Bench("a", "b")
    bench.before_writes(*[bench.write_as_another] * races)
    result = bench.apply()
    first, second = result.environments
    assert second.outcome is Outcome.APPLIED, "trouble of one environment's is no reason to end the run"
    if races < CLAIM_TRIES:
        assert (first.outcome, result.state_trouble) == (Outcome.APPLIED, False)
        return
    assert (first.outcome, result.state_trouble) == (Outcome.FAILED, True)
    assert f"lost {CLAIM_TRIES} races for it in a row" in first.message
    assert bench.plug.received == ["b"]


def test_a_signal_during_the_read_leaves_no_intent() -> None:
    class SlowStore(FaultyStore):
        def read(self, environments: Iterable[str]) -> dict[str, Stored]:
            bench.stop.asked.set()
            return super().read(environments)

    bench = Bench()
    bench.store = SlowStore()
    bench.write_as_another()
    writes: list[Sequence[Write]] = []
    bench.store.before_write = writes.append
    result = bench.apply()
    assert only(result).outcome is Outcome.SKIPPED
    assert only(result).message == "not begun: the run was interrupted"
    assert (result.interrupted, result.state_trouble) == (True, False)
    assert writes == []


def test_instants_in_documents_are_whole_seconds() -> None:
    bench = Bench()
    bench.clock.at += timedelta(microseconds=999_999)
    seen: list[datetime | None] = []

    def look(desired: Desired) -> None:
        intent = bench.store.read(["a"])["a"].document.intent
        assert intent is not None
        seen.extend([intent.at, intent.lease_until])

    bench.plug.before = look
    bench.apply()
    applied = bench.store.read(["a"])["a"].document.applied
    assert applied is not None
    assert seen == [START, START + timedelta(seconds=OPTIONS.lease_s)]
    assert applied.at == START


# --- between the intent and the outcome ------------------------------------------------------------


def set_back(clock: FakeClock) -> Callable[[], None]:
    return lambda: clock.advance(-3600)


def test_after_a_clock_is_set_back_nothing_is_sent() -> None:
    """The lease would look longer than it is."""
    bench = Bench()

    def begun(_writes: Sequence[Write]) -> None:
        bench.store.before_write = lambda _writes: None
        bench.clock.advance(-3600)

    bench.store.before_write = begun
    result = bench.apply()
    assert only(result).outcome is Outcome.FAILED
    assert only(result).message.startswith("not sent: its lease had ended, or began in the future")
    assert bench.plug.received == []
    assert bench.store.read(["a"])["a"].document.intent is None


def test_an_intent_that_can_not_be_removed_is_reported_with_its_end() -> None:
    bench = Bench(*MANY)
    bench.store.faults.extend([None, StoreFault.FAILS])
    bench.before_writes(set_back(bench.clock))
    result = bench.apply()
    first, *_, last = result.environments
    assert first.outcome is Outcome.FAILED
    assert first.message.startswith("not sent, and the intent could not be removed: no space left on device. Its")
    intent = bench.store.read(["a"])["a"].document.intent
    assert intent is not None and intent.lease_until is not None
    assert f"until {intent.lease_until:%Y-%m-%dT%H:%M:%SZ}" in first.message
    assert last.outcome is Outcome.SKIPPED, "a state that can't be written ends the run (docs/contract.md#outcomes)"
    assert result.state_trouble


def test_a_machine_that_slept_through_the_deadline_makes_no_further_attempt() -> None:
    class Sleepy(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + OPTIONS.deadline_s)

    bench = Bench()
    bench.clock = Sleepy()
    bench.clock.advance(5000)
    bench.plug.script.extend([answer(503), answer(503)])
    result = bench.apply()
    assert (only(result).outcome, only(result).attempts) == (Outcome.UNCERTAIN, 1)


def test_a_signal_between_two_attempts_leaves_doubt() -> None:
    """Plug may have acted on the first attempt, so the environment is in doubt and not skipped."""
    bench = Bench("a", "b", "c")

    async def lost(plug: FakePlug, desired: Desired) -> Attempt:
        bench.stop.asked.set()
        return Attempt(Fate.AMBIGUOUS, message="no answer")

    bench.plug.script.append(lost)
    result = bench.apply()
    first, *_, last = result.environments
    assert (first.outcome, first.attempts, first.message) == (Outcome.UNCERTAIN, 1, "no answer")
    assert (last.outcome, result.interrupted) == (Outcome.SKIPPED, True)
    assert bench.plug.received == ["a"]
    intent = bench.store.read(["a"])["a"].document.intent
    assert intent is not None and intent.doubt and intent.lease_until is None


def test_no_sleeping_task_is_left() -> None:
    """A sleep that was ended early, or that ended by itself, leaves no task behind."""
    bench = Bench()
    bench.plug.script.extend([answer(503), answer(503)])

    async def run() -> int:
        planned = bench.plan()
        world = make_world(bench.store, bench.plug, bench.clock)
        await apply_plan(planned, world, OPTIONS, bench.stop)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


# --- the outcome -----------------------------------------------------------------------------------


class RefusingStore(FaultyStore):
    """Accepts the first write of a's document and refuses all later ones; accepts all writes of other documents."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        self.tries += sum(write.environment == "a" for write in writes)
        if self.tries < 2:
            return super().write(writes)
        taken = iter(super().write([write for write in writes if write.environment != "a"]))
        full = Unreachable("no space left on device")
        return [WriteResult("a", None, full) if write.environment == "a" else next(taken) for write in writes]


@pytest.mark.parametrize(
    ("first", "message"),
    [(answer(200, acts=True), "Plug accepted it, but the outcome"), (answer(400), "400; the outcome")],
)
def test_an_unwritable_outcome_ends_the_run_and_reports_the_leases_end(first: Behaviour, message: str) -> None:
    """The intent stays in the state, so the next run finds it in doubt (docs/contract.md#outcomes)."""
    bench = Bench(*MANY)
    bench.store = RefusingStore()
    bench.plug.script.append(first)
    result = bench.apply()
    one, *_, last = result.environments
    assert (one.outcome, last.outcome, result.state_trouble) == (Outcome.UNCERTAIN, Outcome.SKIPPED, True)
    assert one.message == (
        f"{message} could not be recorded: no space left on device. Its lease lasts until 2026-11-23T12:15:00Z: "
        "apply again then, or sooner after `reconciler state unlock a`"
    )
    assert one.remedy is Remedy.UNLOCK
    assert "the state of a could not be written" in last.message
    intent = bench.store.read(["a"])["a"].document.intent
    assert intent is not None and intent.lease_until is not None


@pytest.mark.parametrize(
    ("answers", "outcome", "message"),
    [
        ([], Outcome.APPLIED, ""),
        ([answer(503)], Outcome.APPLIED, ""),
        ([answer(400)], Outcome.REJECTED, "400"),
        ([answer(429), answer(400)], Outcome.REJECTED, "400 (tried 2 times)"),
        ([answer(503)] * 3, Outcome.UNCERTAIN, "503 (tried 3 times)"),
        ([unsent] * 3, Outcome.FAILED, "not sent (tried 3 times)"),
    ],
)
def test_the_last_answer_and_the_number_of_tries_are_reported(
    answers: list[Behaviour], outcome: Outcome, message: str
) -> None:
    bench = Bench()
    bench.plug.script.extend(answers)
    result = bench.apply()
    assert (only(result).outcome, only(result).message) == (outcome, message)
    assert not result.state_trouble


def remove_intent(bench: Bench) -> Callable[[Desired], None]:
    """Remove the intent of the first environment while its PUT is in flight."""

    def before(desired: Desired) -> None:
        bench.plug.before = lambda _desired: None
        bench.write_as_another(desired.environment)

    return before


def test_a_removed_intent_leaves_doubt() -> None:
    bench = Bench()
    bench.plug.before = remove_intent(bench)
    result = bench.apply()
    assert (only(result).outcome, result.state_trouble) == (Outcome.UNCERTAIN, True)
    document = bench.store.read(["a"])["a"].document
    assert document.intent is not None and document.intent.doubt and document.intent.lease_until is None
    assert document.last is not None and document.last.message == only(result).message
    assert document.last.message.startswith("while the PUT was in flight")


@pytest.mark.parametrize(
    ("renewal", "puts", "outcome"),
    [
        (None, 2, Outcome.APPLIED),
        (StoreFault.FAILS, 1, Outcome.REJECTED),
        (StoreFault.LANDS, 1, Outcome.REJECTED),
    ],
)
def test_a_lease_that_was_not_surely_renewed_sends_nothing_more(
    renewal: StoreFault | None, puts: int, outcome: Outcome
) -> None:
    """The lease was spent on the server's pause, so another run may take the intent over, maybe after a power cut."""
    bench = Bench()
    bench.clock.advance(5000)

    async def limited(plug: FakePlug, desired: Desired) -> Attempt:
        return Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=100.0, message="429")

    bench.plug.script.append(limited)
    bench.store.faults.extend([None, renewal])
    result = bench.apply(options=replace(ONE_AFTER_ANOTHER, lease_s=110))
    assert (only(result).outcome, len(bench.plug.received)) == (outcome, puts)
    assert bench.store.read(["a"])["a"].document.intent is None


@pytest.mark.parametrize("races", [SETTLE_TRIES - 1, SETTLE_TRIES])
def test_doubt_that_loses_every_race_ends_the_run_and_says_what_to_do(races: int) -> None:
    bench = Bench(*MANY)
    bench.plug.before = remove_intent(bench)
    bench.before_writes(None, None, *[bench.write_as_another] * races)  # the intent, the outcome, then the doubt
    result = bench.apply()
    first, *_, last = result.environments
    assert (first.outcome, result.state_trouble) == (Outcome.UNCERTAIN, True)
    if races < SETTLE_TRIES:
        assert "in doubt" in first.message
        assert last.outcome is Outcome.APPLIED
        return
    assert "reconciler apply --reassert -e a" in first.message
    assert last.outcome is Outcome.SKIPPED
    assert last.environment not in bench.plug.received


def test_doubt_that_can_not_be_written_is_tried_once() -> None:
    bench = Bench(*MANY)
    bench.plug.before = remove_intent(bench)
    tries = 0

    def fail() -> None:
        nonlocal tries
        tries += 1
        bench.store.faults.append(StoreFault.FAILS)

    bench.before_writes(None, None, *[fail] * SETTLE_TRIES)  # the intent, the outcome, then the doubt
    result = bench.apply()
    first, *_, last = result.environments
    assert first.outcome is Outcome.UNCERTAIN
    assert "no space left on device" in first.message
    assert last.outcome is Outcome.SKIPPED
    assert tries == 1


def test_a_store_that_does_not_answer_after_a_put_is_asked_once() -> None:
    """Each request may take two minutes."""

    class DeafStore(FaultyStore):
        def __init__(self) -> None:
            super().__init__()
            self.deaf, self.asked = False, 0

        def read(self, environments: Iterable[str]) -> dict[str, Stored]:
            self.asked += self.deaf
            if self.deaf:
                raise Unreachable("no answer within 120 s")
            return super().read(environments)

    bench = Bench(*MANY)
    store = bench.store = DeafStore()
    take = remove_intent(bench)

    def take_and_go_deaf(desired: Desired) -> None:
        take(desired)
        store.deaf = True

    bench.plug.before = take_and_go_deaf
    result = bench.apply()
    first, *_, last = result.environments
    assert (first.outcome, last.outcome) == (Outcome.UNCERTAIN, Outcome.SKIPPED)
    assert "no answer within 120 s. Its intent was removed meanwhile: run `reconciler apply --reassert -e a`" in (
        first.message
    )
    assert store.asked == 1
