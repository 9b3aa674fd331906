"""The first job of an apply run: the reasons to refuse the whole run, and what lifts a guard."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from reconciler.core.guards import FirstApply, MaxChanged
from reconciler.core.planner import PlanInput, Planned
from reconciler.core.record import adopt
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.rerun import RunAttempt
from reconciler.core.workflow.steps import JobLayout, TokensFrom, find_part
from reconciler.errors import InputError, PostFailed, StalePlan
from reconciler.model import By, Desired, Problem
from reconciler.ports import Write
from reconciler.run.begin import BeginDecision, Beginning, BeginRequest, Lift
from reconciler.run.guards import GuardInput
from reconciler.run.planning import PlanScope, plan_environments
from tests.fakes import START, FakeCredentials, FaultyStore, make_desired

HEAD, EVENT = "c" * 40, "e" * 40
SECRET = JobLayout(TokensFrom.SECRET)
DIGEST = "sha256:" + "0" * 64


def real(name: str, version: str = "1", wave: int = 0) -> Desired:
    """Make an environment whose receivers are not at a reserved host."""
    made = make_desired(name, version, wave=wave)
    return replace(
        made, webhooks={event: url.replace("example.com", "acme.com.br") for event, url in made.webhooks.items()}
    )


@dataclass
class FakePorts:
    """GitHub as a test sets it up. `asked` records the questions."""

    environments: Collection[str]
    lifts: dict[Label, Lift] = field(default_factory=dict)
    unreviewed: Collection[str] = ()
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def list_environments(self) -> Collection[str]:
        self.asked.append("environments")
        if self.fails:
            raise PostFailed("GitHub answered 500")
        return self.environments

    def find_lift(self, label: Label, commit: str) -> Lift | None:
        assert commit == HEAD
        self.asked.append(label)
        return self.lifts.get(label)

    def find_unreviewed(self, names: Sequence[str], fleet_digest: str) -> Sequence[Problem]:
        self.asked.append(f"strict: {','.join(names)}")
        return [Problem.of("PLUG_STRICT", name) for name in names if name in self.unreviewed]


class Bench:
    """A fleet of applied environments, and a run that is about to begin."""

    def __init__(self, count: int = 12, *, applied: bool = True) -> None:
        self.desired = [real(f"e{number:02}", wave=number % 3) for number in range(count)]
        self.store = FaultyStore()
        self.ports = FakePorts([one.environment.upper() for one in self.desired])
        self.request = BeginRequest(JobLayout(), RunInputs(), RunAttempt("7", 1), HEAD, EVENT)
        self.shown: list[Planned] = []
        if applied:
            self.apply(*self.desired, by=By("ana", EVENT, "6/1"))

    def apply(self, *desired: Desired, by: By) -> None:
        for one in desired:
            stored = self.store.read([one.environment]).get(one.environment)
            fingerprint = FakeCredentials().fingerprint(one)
            document = adopt(stored.document if stored else None, one, fingerprint, START, by, lineage="l")
            self.store.write([Write(one.environment, document, stored.version if stored else None)])

    def edit(self, count: int) -> None:
        self.desired = [*(real(one.environment, "2", one.wave) for one in self.desired[:count]), *self.desired[count:]]

    def ask(self, **inputs: object) -> None:
        self.request = replace(self.request, inputs=replace(self.request.inputs, **inputs))

    def plan(self, scope: PlanScope, *, requested: bool, now: object = None) -> Planned:
        given = PlanInput(START, requested=requested)
        return plan_environments(self.desired, self.store, FakeCredentials(), given, scope)

    def guards(self, accepted: Sequence[str], first: FirstApply) -> GuardInput:
        return GuardInput(self.desired, FakeCredentials(), None, accepted, first)

    def begin(self) -> BeginDecision:
        use = Beginning(self.request, self.plan, self.guards, lambda: self.store, self.ports, self.shown.append)
        return use.decide()

    def refused(self) -> list[str]:
        """Return the keys of all problems."""
        return sorted(problem.key for problem in self.begin().problems)


def test_a_change_within_its_guards_begins_with_a_job_for_each_environment() -> None:
    """The jobs are in waves, and no label is looked up."""
    bench = Bench()
    bench.edit(4)
    begun = bench.begin()
    assert begun.problems == ()
    assert [[job.name for job in jobs] for jobs in begun.steps[:4]] == [["e00", "e03"], ["e01"], ["e02"], []]
    assert begun.names == ["e00", "e03", "e01", "e02"]
    assert bench.ports.asked == ["environments"]


def test_nothing_to_do_begins_no_job_and_asks_github_nothing() -> None:
    bench = Bench()
    begun = bench.begin()
    assert (begun.problems, any(begun.steps), begun.names) == ((), False, [])
    assert bench.ports.asked == []


def test_a_large_change_is_refused_over_the_whole_fleet_whatever_the_run_is_narrowed_to() -> None:
    """Otherwise every wrong environment would pass, one run at a time."""
    bench = Bench()
    bench.edit(12)
    (problem,) = bench.begin().problems
    assert problem.key == "max_changed" and "12 of 12 applied" in problem.message
    assert Label.LARGE_CHANGE in problem.hint and "input max_changed" in problem.hint
    bench.ask(environments=("e00",))
    assert bench.refused() == ["max_changed"]


@pytest.mark.parametrize("layout", [JobLayout(), SECRET, JobLayout(TokensFrom.SECRET, 3)])
def test_a_large_change_passes_by_the_label_of_a_user_with_write_permission(layout: JobLayout) -> None:
    """Their name is shown. A label of another or an unknown user does not count, and the message says so."""
    bench = Bench()
    bench.edit(12)
    bench.request = replace(bench.request, layout=layout)
    bench.ports.environments = [*bench.ports.environments, "plug-fleet"]
    setting = LabelSetting(Label.LARGE_CHANGE, "bia", counts=True)
    lift = Lift(12, setting)
    for other in (replace(setting, counts=False), replace(setting, set_by=None, counts=False)):
        bench.ports.lifts = {Label.LARGE_CHANGE: Lift(12, other)}
        (problem,) = bench.begin().problems
        assert "the label on #12 does not count" in problem.hint
    bench.ports.lifts = {Label.LARGE_CHANGE: lift}
    begun = bench.begin()
    assert begun.problems == () and begun.lifts == (lift,)


def test_a_large_change_passes_by_the_input() -> None:
    """The input may also be lower than the setting."""
    bench = Bench()
    bench.edit(12)
    bench.ask(max_changed=MaxChanged(100, percent=True))
    assert bench.refused() == [] and bench.ports.asked == ["environments"]
    bench.edit(2)
    bench.ask(max_changed=MaxChanged(1, percent=False))
    assert bench.refused() == ["max_changed"]


def test_the_first_apply_is_vouched_for_by_label_or_input() -> None:
    """A slip in the setting makes every state a new one."""
    bench = Bench(3, applied=False)
    (problem,) = bench.begin().problems
    assert problem.key == "state" and Label.FIRST_APPLY in problem.hint
    bench.ports.lifts = {Label.FIRST_APPLY: Lift(3, LabelSetting(Label.FIRST_APPLY, "bia", counts=True))}
    assert bench.begin().lifts and bench.refused() == []
    bench.ports.lifts = {}
    bench.ask(new_state=True)
    assert bench.refused() == []


def test_new_state_for_an_applied_state_is_refused_but_not_in_a_later_attempt() -> None:
    """The first attempt of this run may have written the state."""
    bench = Bench(3)
    bench.ask(new_state=True)
    assert bench.refused() == ["new_state"]
    bench.apply(bench.desired[0], by=By("ana", HEAD, "7/1"))
    bench.request = replace(bench.request, attempt=RunAttempt("7", 2))
    assert bench.refused() == []


def test_an_input_of_a_later_attempt_holds_for_the_first_ones_commit_alone() -> None:
    """That is the commit that the first attempt wrote into the state, or else the event's."""
    bench = Bench()
    bench.edit(3)
    bench.request = replace(bench.request, attempt=RunAttempt("7", 2))
    assert bench.refused() == []
    bench.ask(environments=("e0*",), max_changed=MaxChanged(100, percent=True))
    assert bench.refused() == ["environments", "max_changed"]
    bench.apply(bench.desired[0], by=By("ana", HEAD, "7/1"))
    assert bench.refused() == []
    bench.request = replace(bench.request, event_sha=HEAD, attempt=RunAttempt("8", 2))
    assert bench.refused() == []


def test_all_reasons_to_refuse_are_reported_in_one_run() -> None:
    """They are guards, accepted names, a missing environment, an open secret, and an unreviewed change."""
    bench = Bench()
    bench.edit(12)
    bench.desired[0] = make_desired("e00", "2")  # at a reserved host
    bench.ask(accepted=("nobody",))
    bench.request = replace(bench.request, strict=True, sees_token=True)
    bench.ports.environments, bench.ports.unreviewed = [f"e{number:02}" for number in range(11)], ["e05"]
    assert bench.refused() == [
        "PLUG_STRICT",
        "PLUG_TOKEN",
        "accept_account_change",
        "environment",
        "max_changed",
        "webhooks.finishAttendance",
    ]


def test_a_missing_github_environment_is_named_with_the_command_that_makes_it() -> None:
    """GitHub would create it open. Only those of jobs count, in any case of letters."""
    bench = Bench(3)
    bench.edit(2)
    bench.ports.environments = ["E00"]
    (problem,) = bench.begin().problems
    assert "e01 does not exist" in problem.message
    assert problem.hint == (
        "`reconciler github setup -e e01 > setup.sh`, read it, and run it with bash; set its secrets: "
        "`gh secret set PLUG_TOKEN --env e01`; then start this run again"
    )
    bench.request = replace(bench.request, layout=SECRET, sees_token=True)
    (problem,) = bench.begin().problems
    assert "plug-fleet does not exist" in problem.message
    assert problem.hint.startswith("`reconciler github setup --tokens-from secret > setup.sh`")


def test_a_name_close_to_the_missing_one_is_proposed() -> None:
    """It is not one of another environment of the manifests, whose names may be alike."""
    bench = Bench(3)
    bench.edit(2)
    bench.desired[0] = real("pet-feliz", "2")
    bench.ports.environments = ["Pet_Feliz", "e02"]
    problems = {problem.message.split()[3]: problem.hint for problem in bench.begin().problems}
    assert set(problems) == {"pet-feliz", "e01"}
    assert problems["pet-feliz"].startswith("did you mean Pet_Feliz, which exists? The names must be equal.")
    assert "did you mean" not in problems["e01"]


def test_if_github_can_not_be_asked_the_job_ends() -> None:
    """It is not taken for a repository without environments."""
    bench = Bench(3)
    bench.edit(1)
    bench.ports.fails = True
    with pytest.raises(PostFailed):
        bench.begin()


def test_strict_looks_at_what_this_run_creates_or_updates() -> None:
    """A reassert sends what was approved before; a digest that was given by hand was reviewed."""
    bench = Bench(12)
    bench.edit(2)
    bench.request = replace(bench.request, strict=True)
    bench.ports.unreviewed = ["e01"]
    bench.ask(reassert=True)
    assert bench.refused() == ["PLUG_STRICT"]
    assert "strict: e00,e01" in bench.ports.asked
    bench.ask(reassert=True, environments=("e00",))
    bench.begin()
    assert bench.ports.asked[-1] == "strict: e00"
    digest = bench.plan(PlanScope(), requested=False).plan.fleet_digest
    bench.ask(expect=digest)
    assert bench.refused() == []


def test_an_expected_digest_is_that_of_what_the_run_does() -> None:
    """It is that of the narrowed plan, as `plan -e` shows it. Another plan is shown and is state trouble."""
    bench = Bench(12)
    bench.edit(2)
    bench.ask(environments=("e00",), expect=bench.plan(PlanScope(("e00",)), requested=False).plan.digest)
    assert bench.refused() == []
    bench.ask(expect=DIGEST)
    with pytest.raises(StalePlan):
        bench.begin()
    (shown,) = bench.shown
    assert [one.environment for one in shown.plan.environments] == ["e00"]


def test_a_run_is_narrowed_to_what_its_globs_match() -> None:
    """All jobs are for these environments; a glob without a match is reported as the input."""
    bench = Bench(12)
    bench.edit(6)
    bench.ask(environments=("e00", "e04"))
    assert bench.begin().names == ["e00", "e04"]
    bench.request = replace(bench.request, layout=SECRET)
    bench.ports.environments = ["plug-fleet"]
    (job,) = bench.begin().steps[0]
    assert find_part(job, bench.desired, {"e00", "e04"}) == {"e00", "e04"}
    bench.ask(environments=("e00", "staging"))
    with pytest.raises(InputError) as refused:
        bench.begin()
    assert [problem.key for problem in refused.value.problems] == ["environments"]
