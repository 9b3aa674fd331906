"""The guards over ports: what is gathered before a byte is sent, and what a plan that is shown says of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.core.guards import FirstApply, MaxChanged
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.errors import Corrupt, InputError
from reconciler.model import By, Desired, Head
from reconciler.ports import Write
from reconciler.run.guards import GuardInput, check_before_sending, find_putting, with_guard_warnings
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, FaultyStore, make_desired

RESERVED = "hooks.example.com"


def real(name: str, version: str = "1") -> Desired:
    """An environment whose receivers are not at a host for documentation."""
    desired = make_desired(name, version)
    return replace(
        desired, webhooks={event: url.replace(RESERVED, "h.acme.com.br") for event, url in desired.webhooks.items()}
    )


class Bench:
    """A fleet with a state; `applied` are recorded with the account that their name says."""

    def __init__(self, *names: str, applied: tuple[str, ...] = ()) -> None:
        self.desired = [real(name) for name in names]
        self.store = FaultyStore()
        self.credentials = FakeCredentials()
        self.warnings: list[str] = []
        for one in self.desired:
            if one.environment in applied:
                document = adopt(None, one, self.credentials.fingerprint(one), START, By(), lineage="l")
                self.store.write([Write(one.environment, document, None)])

    def edit(self, *names: str) -> None:
        self.desired = [real(one.environment, "2") if one.environment in names else one for one in self.desired]

    def plan(self, *globs: str) -> Planned:
        return plan_environments(self.desired, self.store, self.credentials, PlanInput(START), PlanScope(globs))

    def given(self, limit: MaxChanged | None = None, accepted: tuple[str, ...] = ()) -> GuardInput:
        return GuardInput(self.desired, self.store, self.credentials, limit, accepted, FirstApply(asked=True))

    def check(self, planned: Planned, given: GuardInput) -> list[str]:
        """The keys of all problems."""
        try:
            check_before_sending(planned, given, START, self.warnings.append)
        except InputError as error:
            return [problem.key for problem in error.problems]
        return []


def test_a_healthy_plan_passes_without_a_word() -> None:
    """Nothing is refused or warned of."""
    bench = Bench("a", "b")
    assert (bench.check(bench.plan(), bench.given()), bench.warnings) == ([], [])


def test_every_problem_is_in_one_error_and_the_warnings_come_before_it() -> None:
    """Of the credentials, the limits, the names that were given, and the receivers."""
    bench = Bench("a", "b", "c", applied=("a", "b"))
    bench.edit("a", "b")
    bench.desired[2] = make_desired("c")  # at a reserved host
    bench.credentials.missing, bench.credentials.shared, bench.credentials.expired = {"a"}, {"b"}, {"a"}
    keys = bench.check(bench.plan(), bench.given(MaxChanged(1, percent=False), ("nobody",)))
    assert set(keys) >= {"--accept-account-change", "a", "b", "max_changed", "webhooks.finishAttendance"}
    assert bench.warnings == ["a: expired"]


def test_a_token_of_another_company_than_before_is_refused_unless_accepted() -> None:
    """A JWT that was swapped."""
    bench = Bench("a", applied=("a",))
    bench.edit("a")
    bench.credentials.accounts["a"] = "org:other"
    assert bench.check(bench.plan(), bench.given()) == ["token_env"]
    assert bench.check(bench.plan(), bench.given(accepted=("a",))) == []


def test_the_state_of_what_was_not_selected_is_read_for_a_swapped_token() -> None:
    """The token of `a` is the company that `b` was last applied to, and `b` has none."""
    bench = Bench("a", "b", applied=("b",))
    bench.credentials.accounts |= {"a": "token:1234", "b": None}
    fingerprint = replace(bench.credentials.fingerprint(bench.desired[1]), account="token:1234")
    stored = bench.store.read(["b"])["b"]
    document = adopt(stored.document, bench.desired[1], fingerprint, START, By(), lineage="l")
    bench.store.write([Write("b", document, stored.version)])
    assert bench.check(bench.plan("a"), bench.given()) == ["token_env"]


def test_a_corrupt_document_of_another_environment_stops_nobody() -> None:
    """It was not selected; without its state there is one guard less."""
    bench = Bench("a", "b", applied=("b",))
    bench.credentials.accounts |= {"a": "token:1234", "b": None}
    planned = bench.plan("a")
    read: list[list[str]] = []

    class Broken(FaultyStore):
        def names(self) -> frozenset[str]:
            return frozenset({"b"})

        def read_heads(self, environments: object) -> dict[str, Head]:
            read.append(list(environments))  # type: ignore[call-overload]
            raise Corrupt("b: not a document")

    assert bench.check(planned, replace(bench.given(), store=Broken())) == []
    assert read == [["b"]]


def test_a_plan_that_is_shown_names_what_apply_would_refuse_and_who_holds_a_lock() -> None:
    """Each once, as a warning, with the plan's own before them."""
    bench = Bench("a", "b", applied=("a", "b"))
    bench.edit("a", "b")
    claim = Claim(intent_id="i", lineage="l", now=START, lease_s=900, by=By("ana"))
    stored = bench.store.read(["b"])["b"]
    bench.store.write([Write("b", begin_intent(stored.document, bench.desired[1], claim), stored.version)])
    bench.credentials.shared, bench.credentials.expired = {"a"}, {"b"}
    planned = bench.plan()
    planned = replace(planned, plan=replace(planned.plan, warnings=("first",), created_at=START + timedelta(seconds=1)))
    shown = with_guard_warnings(planned, bench.given(MaxChanged(0, percent=False))).plan.warnings
    assert shown[0] == "first"
    assert [line.partition(":")[0] for line in shown[1:]] == ["apply would refuse", "apply would refuse", "b", "b"]
    assert "max_changed" in shown[1] and "ana" in shown[-1]
    assert [one.environment for one in find_putting(planned)] == ["a", "b"]


def test_a_new_state_is_refused_beside_the_other_guards_unless_somebody_vouches_for_it() -> None:
    """A person who is asked, or --new-state. Where nothing is put, there is nothing to refuse."""
    bench = Bench("a", "b")
    bench.credentials.missing = {"a"}
    nobody, asked, declared = FirstApply(), FirstApply(asked=True), FirstApply(declared=True)
    assert bench.check(bench.plan(), replace(bench.given(), first=nobody)) == ["a", "state"]
    assert bench.check(bench.plan(), replace(bench.given(), first=asked)) == ["a"]
    assert bench.check(bench.plan(), replace(bench.given(), first=declared)) == ["a"]
    shown = with_guard_warnings(bench.plan(), replace(bench.given(), first=nobody)).plan.warnings
    assert [line for line in shown if "nothing was ever applied to memory" in line and "--new-state" in line]
    bench.desired = []
    assert bench.check(bench.plan(), replace(bench.given(), first=nobody)) == []


def test_a_sandbox_needs_no_state_that_is_right() -> None:
    """Where one environment of several leaves the machine, the guard holds."""
    bench = Bench("a", "b")
    bench.desired = [replace(one, endpoint="http://127.0.0.1:8787/x") for one in bench.desired]
    assert bench.check(bench.plan(), replace(bench.given(), first=FirstApply())) == []
    bench.desired[1] = real("b")
    assert bench.check(bench.plan(), replace(bench.given(), first=FirstApply())) == ["state"]


def test_new_state_is_refused_where_there_is_a_record() -> None:
    """Of any environment, selected or not; also for a sandbox, and where nothing is to be done."""
    bench = Bench("a", "b", applied=("a",))
    declared = replace(bench.given(), first=FirstApply(declared=True))
    assert bench.check(bench.plan("b"), declared) == ["--new-state"]
    assert bench.check(bench.plan("a"), declared) == ["--new-state"]
    assert bench.check(bench.plan("b"), replace(bench.given(), first=FirstApply())) == []
