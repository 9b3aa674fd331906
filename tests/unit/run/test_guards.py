"""The guards over ports: all problems before a byte is sent, and the warnings of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.accounts import ApplyWay
from reconciler.core.guards import FirstApply, MaxChanged
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.errors import Corrupt, InputError, SeveralUnreadable
from reconciler.model import By, Desired, Fingerprint, Problem
from reconciler.ports import Write
from reconciler.run.guards import (
    GuardInput,
    check_before_sending,
    check_part_before_sending,
    find_fleet_faults,
    find_putting,
    with_guard_warnings,
)
from reconciler.run.planning import PlanScope, plan_environments, refuse_malformed_tokens
from tests.fakes import START, FakeCredentials, FaultyStore, make_desired

RESERVED = "hooks.example.com"
DAY = timedelta(days=1)


def real(name: str, version: str = "1") -> Desired:
    """Make an environment whose receivers are not at a reserved host."""
    desired = make_desired(name, version)
    return replace(
        desired, webhooks={event: url.replace(RESERVED, "h.acme.com.br") for event, url in desired.webhooks.items()}
    )


class Bench:
    """A fleet with a state. `applied` environments are recorded with the account that their name gives."""

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

    def hold(self, name: str, account: str) -> None:
        """Record the environment as applied to this company."""
        stored, desired = self.store.read([name])[name], make_desired(name)
        document = adopt(stored.document, desired, Fingerprint(account), START, By(), lineage="l")
        self.store.write([Write(name, document, stored.version)])

    def begin(self, name: str, account: str) -> None:
        """Write an intent for the environment as another run."""
        claim = Claim(intent_id="i", lineage="l", now=START, lease_s=900, by=By("ana"), account=account)
        stored = self.store.read([name]).get(name)
        document = begin_intent(stored.document if stored else None, real(name), claim)
        self.store.write([Write(name, document, stored.version if stored else None)])

    def given(self, limit: MaxChanged | None = None, accepted: tuple[str, ...] = ()) -> GuardInput:
        return GuardInput(self.desired, self.credentials, limit, accepted, FirstApply(asked=True))

    def check(self, planned: Planned, given: GuardInput) -> list[str]:
        """Return the keys of all problems."""
        return [problem.key for problem in self.find_problems(planned, given)]

    def find_problems(self, planned: Planned, given: GuardInput, now: datetime = START) -> Sequence[Problem]:
        try:
            check_before_sending(planned, given, now, self.warnings.append)
        except InputError as error:
            return error.problems
        return ()


def test_a_healthy_plan_has_no_problems_and_no_warnings() -> None:
    """Nothing is refused or warned of."""
    bench = Bench("a", "b")
    assert (bench.check(bench.plan(), bench.given()), bench.warnings) == ([], [])


def test_every_problem_is_in_one_error_and_the_warnings_come_before_it() -> None:
    """They are of the credentials, the limits, the given names, and the receivers."""
    bench = Bench("a", "b", "c", applied=("a", "b"))
    bench.edit("a", "b")
    bench.desired[2] = make_desired("c")  # at a reserved host
    bench.credentials.missing, bench.credentials.shared, bench.credentials.expired = {"a"}, {"b"}, {"a"}
    keys = bench.check(bench.plan(), bench.given(MaxChanged(1, percent=False), ("nobody",)))
    assert set(keys) >= {"--accept-account-change", "a", "b", "max_changed", "webhooks.finishAttendance"}
    assert bench.warnings == ["a: expired"]


def test_a_job_with_a_part_of_the_run_warns_too() -> None:
    """The first job has no tokens, so it could not know that one has ended."""
    bench = Bench("a", "b")
    bench.credentials.expired = {"a"}
    check_part_before_sending(bench.plan("a"), bench.given(), START, bench.warnings.append)
    assert bench.warnings == ["a: expired"]


def test_a_token_of_another_company_than_before_is_refused_unless_accepted() -> None:
    """The token is a JWT of another company."""
    bench = Bench("a", applied=("a",))
    bench.edit("a")
    bench.credentials.accounts["a"] = "org:other"
    assert bench.check(bench.plan(), bench.given()) == ["token_env"]
    assert bench.check(bench.plan(), bench.given(accepted=("a",))) == []


def test_in_a_workflow_the_advice_is_to_start_that_workflow() -> None:
    """A command on a laptop would pass by the reviewers of the GitHub Environments."""
    bench = Bench("a", applied=("a",))
    bench.edit("a")
    bench.credentials.accounts["a"] = "org:other"
    (problem,) = bench.find_problems(bench.plan(), replace(bench.given(), way=ApplyWay.WORKFLOW))
    accepting = "`gh workflow run apply.yml -f environments=a -f accept_account_change=a`"
    assert problem.hint == f"if the company really changed: {accepting}"
    bench = Bench("a", "b", applied=("b",))
    bench.hold("b", "token:1234")
    for theirs, command in (("token:5678", "`gh workflow run apply.yml -f environments=b` first"), (None, accepting)):
        bench.credentials.accounts |= {"a": "token:1234", "b": theirs}
        (problem,) = bench.find_problems(bench.plan("a"), replace(bench.given(), way=ApplyWay.WORKFLOW))
        assert command in problem.hint


def test_every_other_environment_of_the_state_is_compared() -> None:
    """The company of another environment is refused, whether that one is selected and has a token or not."""
    for theirs in ("token:1234", "token:5678", None):
        bench = Bench("a", "b", applied=("b",))
        bench.hold("b", "token:1234")
        bench.credentials.accounts |= {"a": "token:1234", "b": theirs}
        (problem,) = bench.find_problems(bench.plan("a"), bench.given())
        assert "the Plug company that b was last applied to" in problem.message
        first = "run `reconciler apply -e b` first" in problem.hint
        assert (first, "--accept-account-change a" in problem.hint) == (theirs == "token:5678", theirs != "token:5678")
        assert bench.check(bench.plan("a"), bench.given(accepted=("a",))) == []


def test_an_orphan_holds_its_company_too() -> None:
    """The environment was renamed only in the manifests; the message names `state rename`."""
    bench = Bench("old", applied=("old",))
    bench.desired = [real("new")]
    bench.credentials.accounts["new"] = "org:old"
    (problem,) = bench.find_problems(bench.plan("new"), bench.given())
    assert "`reconciler state rename old new`" in problem.hint
    assert "`reconciler state forget old`" in problem.hint


def test_an_orphan_is_only_forgotten_if_the_new_name_has_a_record() -> None:
    """A rename would be refused because of a record, or of an intent that is not live."""
    for begun in (False, True):
        bench = Bench("old", "new", applied=("old",) if begun else ("old", "new"))
        if begun:
            bench.begin("new", "org:old")
        bench.credentials.accounts["new"] = "org:old"
        bench.desired = [real("new", "2")]
        planned = bench.plan("new")
        (problem,) = (
            one for one in bench.find_problems(planned, bench.given(), START + DAY) if "company" in one.message
        )
        assert "rename" not in problem.hint
        assert "run `reconciler state forget old`" in problem.hint


def test_an_environment_that_has_another_token_now_goes_first() -> None:
    """So a swap can be reversed. Its flag is named if it needs one, unless it is refused too."""
    bench = Bench("a", "b", applied=("a", "b"))
    bench.edit("b")
    bench.hold("a", "org:b")
    hints = [one.hint for one in bench.find_problems(bench.plan("b"), bench.given())]
    assert hints == ["a has another token now: run `reconciler apply -e a --accept-account-change a` first"]
    bench.hold("b", "org:a")
    hints = [one.hint for one in bench.find_problems(bench.plan("b"), bench.given(accepted=()))]
    assert not [hint for hint in hints if "first" in hint]


def test_a_doubt_of_another_company_goes_first_too() -> None:
    """An earlier PUT with a wrong token is unfinished."""
    bench = Bench("a", "b", applied=("a",))
    bench.begin("a", "org:b")
    (problem,) = bench.find_problems(bench.plan("b"), bench.given(), START + DAY)
    assert problem.hint == "a has another token now: run `reconciler apply -e a` first"


def test_a_token_that_contradicts_the_manifest_gets_no_other_advice() -> None:
    """There is one error, although the token also differs from the record and is another environment's."""
    bench = Bench("a", "b", applied=("a", "b"))
    bench.edit("a")
    bench.desired[0] = replace(bench.desired[0], organization_id="a")
    bench.credentials.accounts["a"] = "org:b"
    (problem,) = bench.find_problems(bench.plan("a"), bench.given())
    assert problem.key == "organization_id"
    assert "accept" not in problem.hint


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("org:a", "the token of a belongs to organization a, but its manifest says 9"),
        (None, "a was last applied to organization a, but its manifest says 9"),
    ],
)
def test_a_company_that_contradicts_the_manifest_is_a_warning_if_nothing_is_put(token: str | None, text: str) -> None:
    """This includes a missing token, as the record names the company."""
    bench = Bench("a", applied=("a",))
    bench.desired[0] = replace(bench.desired[0], organization_id="9")
    bench.credentials.accounts["a"] = token
    (shown,) = with_guard_warnings(bench.plan(), bench.given()).plan.warnings
    assert shown.startswith(f"manifests/a.yaml:1:1: organization_id: {text}")
    assert (bench.check(bench.plan(), bench.given()), bench.warnings) == ([], [shown])
    bench.desired[0] = replace(bench.desired[0], organization_id="a")
    assert with_guard_warnings(bench.plan(), bench.given()).plan.warnings == ()


def test_a_live_intent_of_another_environment_can_not_be_accepted() -> None:
    """Another run is sending to that company now."""
    bench = Bench("a", "b", applied=())
    bench.begin("b", "org:a")
    for accepted in ((), ("a",)):
        (problem,) = bench.find_problems(bench.plan("a"), bench.given(accepted=accepted))
        assert "to which b is being applied right now (another run is at work: ana, since" in problem.message
        assert "accept" not in problem.hint
        assert "if it is dead: `reconciler state unlock b`" in problem.hint


@pytest.mark.parametrize(
    ("pin", "account", "keys"),
    [("1", "org:1", []), ("1", "org:2", ["organization_id"]), ("1", "token:12", []), (None, "org:2", [])],
)
def test_a_token_of_another_company_than_the_manifest_names(pin: str | None, account: str, keys: list[str]) -> None:
    """It is refused whatever the flags; a token that names no company is not compared."""
    bench = Bench("a")
    bench.desired = [replace(bench.desired[0], organization_id=pin)]
    bench.credentials.accounts["a"] = account
    assert bench.check(bench.plan(), bench.given(accepted=("a",))) == keys
    shown = with_guard_warnings(bench.plan(), bench.given()).plan.warnings
    assert ["apply would refuse: manifests/a.yaml:1:1: organization_id: " in line for line in shown] == [
        True for _ in keys
    ]


def test_a_malformed_token_hides_no_other_fault() -> None:
    """Both are reported in one run; `plan` refuses only the malformed token."""
    bench = Bench("a", "b", "c")
    bench.credentials.malformed, bench.credentials.missing, bench.credentials.shared = {"a"}, {"b"}, {"c"}
    assert bench.check(bench.plan(), bench.given()) == ["a", "b", "c"]
    with pytest.raises(InputError, match="a malformed token"):
        refuse_malformed_tokens(bench.plan(), bench.credentials)
    refuse_malformed_tokens(bench.plan("b"), bench.credentials)


def test_a_percentage_is_of_the_whole_fleet_whatever_is_selected() -> None:
    """Orphans don't count, as they can't be updated."""
    names = tuple("abcdefghijkl")
    bench = Bench(*names, applied=names)
    bench.desired = bench.desired[:10]
    bench.edit(*names[:6])
    assert bench.check(bench.plan(*names[:5]), bench.given()) == []
    (problem,) = bench.find_problems(bench.plan(*names[:6]), bench.given())
    assert problem.message.startswith("6 of 10 applied environments would be updated, at most 5 are allowed")


def test_documents_that_can_not_be_read_beside_the_selection_are_a_warning() -> None:
    """It names what no guard checked. If they are selected, the plan is refused with all of them."""
    bench = Bench("a", "b", "c", applied=("b", "c"))
    bench.store.inner.documents |= {"b": b"", "c": b"{"}
    assert bench.check(bench.plan("a"), bench.given()) == []
    (warning,) = bench.warnings
    assert warning.startswith("the guards could not read the state of b, c: state of b: ")
    assert warning in with_guard_warnings(bench.plan("a"), bench.given()).plan.warnings
    with pytest.raises(Corrupt, match="state of b"):
        bench.plan("a", "b")
    with pytest.raises(SeveralUnreadable):
        bench.plan()


def test_a_plan_warns_of_what_apply_would_refuse_and_of_locks() -> None:
    """Each is one warning, before the plan's own, of which there may be too many to show."""
    bench = Bench("a", "b", applied=("a", "b"))
    bench.edit("a", "b")
    bench.begin("b", "org:b")
    bench.credentials.shared, bench.credentials.expired = {"a"}, {"b"}
    planned = bench.plan()
    planned = replace(planned, plan=replace(planned.plan, warnings=("first",), created_at=START + timedelta(seconds=1)))
    shown = with_guard_warnings(planned, bench.given(MaxChanged(0, percent=False))).plan.warnings
    assert [line.partition(":")[0] for line in shown] == ["apply would refuse", "apply would refuse", "b", "b", "first"]
    assert "max_changed" in shown[0] and "ana" in shown[2]
    assert [one.environment for one in find_putting(planned)] == ["a", "b"]


@pytest.mark.parametrize("is_trial", [False, True])
def test_a_plan_warns_of_every_fault_of_the_fleet_except_reserved_hosts(is_trial: bool) -> None:
    """The manifests warn about reserved hosts, for every environment."""
    bench = Bench("a", "b", applied=("a", "b"))
    bench.edit("a", "b")
    bench.desired[1] = make_desired("b", "2")  # at a reserved host
    if is_trial:
        bench.desired[0] = replace(bench.desired[0], endpoint="http://127.0.0.1:8787/x")
    planned = bench.plan()
    assert planned.plan.where is not None
    where = replace(planned.plan.where, location="git:origin/reconciler-state")
    planned = replace(planned, plan=replace(planned.plan, where=where))
    given = replace(bench.given(MaxChanged(0, percent=False), ("nobody",)), first=FirstApply(declared=True))
    faults = find_fleet_faults(planned, given)
    keys = ["--accept-account-change", *(["state"] if is_trial else []), "max_changed", "--new-state"]
    assert [one.key for one in replace(faults, reserved=()).problems] == keys
    assert {one.key.partition(".")[0] for one in faults.reserved} == {"webhooks"}
    warnings = with_guard_warnings(planned, given).plan.warnings
    assert [one for one in faults.problems if f"apply would refuse: {one}" not in warnings] == list(faults.reserved)


def test_a_new_state_is_refused_beside_the_other_guards_unless_it_is_vouched_for() -> None:
    """The user answers the question, or gives --new-state. If nothing is put, nothing is refused."""
    bench = Bench("a", "b")
    bench.credentials.missing = {"a"}
    unasked, asked, declared = FirstApply(), FirstApply(asked=True), FirstApply(declared=True)
    assert bench.check(bench.plan(), replace(bench.given(), first=unasked)) == ["a", "state"]
    assert bench.check(bench.plan(), replace(bench.given(), first=asked)) == ["a"]
    assert bench.check(bench.plan(), replace(bench.given(), first=declared)) == ["a"]
    shown = with_guard_warnings(bench.plan(), replace(bench.given(), first=unasked)).plan.warnings
    assert [line for line in shown if "nothing was ever applied to memory" in line and "--new-state" in line]
    bench.desired = []
    assert bench.check(bench.plan(), replace(bench.given(), first=unasked)) == []


def test_a_sandbox_may_have_a_new_state() -> None:
    """If one of several environments is not in a sandbox, the guard holds."""
    bench = Bench("a", "b")
    bench.desired = [replace(one, endpoint="http://127.0.0.1:8787/x") for one in bench.desired]
    assert bench.check(bench.plan(), replace(bench.given(), first=FirstApply())) == []
    bench.desired[1] = real("b")
    assert bench.check(bench.plan(), replace(bench.given(), first=FirstApply())) == ["state"]


def test_new_state_is_refused_if_there_is_a_record() -> None:
    """The record may be of any environment; it is refused for a sandbox too, and if there is nothing to do."""
    bench = Bench("a", "b", applied=("a",))
    declared = replace(bench.given(), first=FirstApply(declared=True))
    assert bench.check(bench.plan("b"), declared) == ["--new-state"]
    assert bench.check(bench.plan("a"), declared) == ["--new-state"]
    assert bench.check(bench.plan("b"), replace(bench.given(), first=FirstApply())) == []
