"""The first job of an apply run: it decides what is sent, in which jobs, and whether the whole run is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.digest import plan_digest
from reconciler.core.guards import FirstApply
from reconciler.core.planner import Planned
from reconciler.core.selection import select
from reconciler.core.where import find_near_names
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.rerun import RunAttempt, find_first_commit, find_stale_inputs
from reconciler.core.workflow.setup import describe_making
from reconciler.core.workflow.steps import JobLayout, Steps, TokensFrom, find_too_many_jobs, make_steps
from reconciler.errors import InputError
from reconciler.model import EnvironmentPlan, Plan, Problem
from reconciler.ports import StateStore
from reconciler.run.apply_request import MakePlan, check_or_show
from reconciler.run.guards import GuardInput, find_fleet_faults
from reconciler.run.planning import EVERYTHING
from reconciler.text.commits import shorten_commit

_BY_HAND = "begin this workflow by hand with the input"


class Lift(Struct, frozen=True):
    """A label on the pull request of this number. It lifts its guard if it counts."""

    number: int
    setting: LabelSetting


class BeginPorts(Protocol):
    """The facts that GitHub and git know about a run. Each method raises PostFailed or StateError if it fails.

    Must: never return an answer for what can't be looked up.
    """

    def list_environments(self) -> Collection[str]:
        """Return the names of the repository's GitHub Environments, in any case."""
        ...

    def find_lift(self, label: Label, commit: str) -> Lift | None:
        """Return the label on the pull request whose merge made the commit; None if it is not set."""
        ...

    def find_unreviewed(self, names: Sequence[str], fleet_digest: str) -> Sequence[Problem]:
        """Return a problem for each environment for which the checked-out commit wants something unreviewed.

        `fleet_digest` is the plan's. With it as the input `expect`, a run begun by hand is not refused.
        """
        ...


class BeginRequest(Struct, frozen=True):
    """One apply run as it was started. `commit` is the head that it found, `event_sha` the commit of its event.

    `sees_token` is whether a secret PLUG_TOKEN is visible to a job without a GitHub Environment.
    """

    layout: JobLayout
    inputs: RunInputs
    attempt: RunAttempt
    commit: str
    event_sha: str
    strict: bool = False
    sees_token: bool = False


class BeginDecision(Struct, frozen=True):
    """The decision. With `problems` nothing is sent. `planned` is the plan of the whole fleet."""

    planned: Planned
    steps: Steps
    selected: tuple[EnvironmentPlan, ...] = ()
    problems: tuple[Problem, ...] = ()
    lifts: tuple[Lift, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return the environments that this run would PUT."""
        return [one.environment for one in self.selected if one.action.puts]


class Beginning(Struct):
    """The use case of the first job.

    `make_guards` takes the accepted environments and the first apply, and returns the guards' input. `show_unexpected`
    gets a plan that is not the expected one.
    """

    request: BeginRequest
    make_plan: MakePlan
    make_guards: Callable[[Sequence[str], FirstApply], GuardInput]
    store: Callable[[], StateStore]
    ports: BeginPorts
    show_unexpected: Callable[[Planned], None]
    _lifts: list[Lift] = field(default_factory=list)

    def decide(self) -> BeginDecision:
        """Decide over the whole fleet, also if the run is narrowed to some environments.

        Raises: InputError (manifests, a glob without a match), StateError (also a plan that is not the expected one),
        PostFailed if GitHub can't be asked.
        """
        request = self.request
        planned = self.make_plan(EVERYTHING, requested=request.inputs.reassert)
        selected = self._select(planned)
        self._check_expected(planned, selected)
        steps = make_steps(selected, request.layout)
        too_many = find_too_many_jobs(steps, request.layout)
        problems = [
            *self._find_moved_inputs(planned),
            *self._find_guards(planned),
            *([] if too_many is None else [too_many]),
            *self._find_open_secrets(),
            *self._find_missing_environments(planned, steps),
            *self._find_unreviewed(planned.plan, selected),
        ]
        return BeginDecision(planned, steps, selected, tuple(problems), tuple(self._lifts))

    def _select(self, planned: Planned) -> tuple[EnvironmentPlan, ...]:
        globs = self.request.inputs.environments
        if not globs:
            return planned.plan.environments
        try:
            names = select(globs, [one.environment for one in planned.plan.environments])
        except InputError as error:
            raise InputError(problems=[replace(one, key="environments") for one in error.problems]) from error
        return tuple(one for one in planned.plan.environments if one.environment in names)

    def _check_expected(self, planned: Planned, selected: tuple[EnvironmentPlan, ...]) -> None:
        """Compare the selected plan with the digest that was given by hand. Raises: StalePlan."""
        expect = self.request.inputs.expect
        if expect is not None:
            narrowed = replace(planned.plan, environments=selected, digest=plan_digest(selected))
            check_or_show(expect, replace(planned, plan=narrowed), self.show_unexpected)

    # --- the reasons to refuse the run -------------------------------------------------------------

    def _find_moved_inputs(self, planned: Planned) -> list[Problem]:
        request = self.request
        bound = request.inputs.bound
        if not request.attempt.is_later or not bound:
            return []
        documents = (stored.document for stored in self.store().read(planned.fleet.heads).values())
        first = find_first_commit(documents, request.attempt, request.event_sha)
        return find_stale_inputs(bound, first, request.commit)

    def _find_guards(self, planned: Planned) -> list[Problem]:
        """Return what stops the whole run, without the guards that a label lifts."""
        inputs, is_later = self.request.inputs, self.request.attempt.is_later
        # the first attempt may have written the state, so in a later one the input vouches without being required
        first = FirstApply(asked=inputs.new_state and is_later, declared=inputs.new_state and not is_later)
        given = self.make_guards(inputs.accepted, first)
        if inputs.max_changed is not None:
            given = replace(given, max_changed=inputs.max_changed)
        faults = find_fleet_faults(planned, given)
        problems = [_to_input(one) for one in (*faults.reserved, *faults.others)]
        if faults.too_many is not None:
            problems += self._lift(faults.too_many, Label.LARGE_CHANGE, "max_changed")
        for problem in faults.new_state:
            problems += [_to_input(problem)] if first.declared else self._lift(problem, Label.FIRST_APPLY, "new_state")
        return problems

    def _lift(self, problem: Problem, label: Label, name: str) -> list[Problem]:
        lift = self.ports.find_lift(label, self.request.commit)
        if lift is not None and lift.setting.counts:
            self._lifts.append(lift)
            return []
        hint = (
            f"if that is meant: set the label `{label}` on the pull request that made commit "
            f"{shorten_commit(self.request.commit)}, and start the failed jobs of this run again; or {_BY_HAND} {name}"
        )
        if lift is not None:
            set_by = lift.setting.set_by
            who = "its setter is not known" if set_by is None else f"{set_by} is not known to have it"
            hint = f"the label on #{lift.number} does not count: its setter needs write access, and {who}; {hint}"
        return [replace(problem, hint=hint)]

    def _find_open_secrets(self) -> list[Problem]:
        if not self.request.sees_token or self.request.layout.tokens_from is not TokensFrom.ENVIRONMENTS:
            return []
        message = "the secret is visible without a GitHub Environment, so it would replace a missing one"
        hint = "delete it from the repository's and the organization's secrets; set it only in each GitHub Environment"
        return [Problem.of("PLUG_TOKEN", message, hint)]

    def _find_missing_environments(self, planned: Planned, steps: Steps) -> list[Problem]:
        """Find GitHub Environments that jobs name and that don't exist.

        GitHub would create such an environment without rules and secrets, open to everybody.
        """
        wanted = sorted({job.environment for jobs in steps for job in jobs})
        if not wanted:
            return []
        known = {name.casefold(): name for name in self.ports.list_environments()}
        meant = {one.environment.casefold() for one in planned.plan.environments}
        others = [
            name for name in known if name not in meant
        ]  # one of these may be the missing one with a typing error
        problems = []
        for name in wanted:
            if name.casefold() not in known:
                message = f"the GitHub Environment {name} does not exist, and GitHub would create it without any rule"
                near = find_near_names(name.casefold(), others)
                other = (
                    f"did you mean {known[near[0]]}, which exists? The names must be equal. If not: " if near else ""
                )
                hint = f"{other}{describe_making(name)}; then start this run again"
                problems.append(Problem.of("environment", message, hint))
        return problems

    def _find_unreviewed(self, plan: Plan, selected: Sequence[EnvironmentPlan]) -> Sequence[Problem]:
        """Find the unreviewed environments among those that this run sends. Unlike a guard, each is decided alone."""
        if not self.request.strict or self.request.inputs.expect is not None:
            return ()
        names = [one.environment for one in selected if one.action.changes]
        return self.ports.find_unreviewed(names, plan.fleet_digest) if names else ()


def _to_input(problem: Problem) -> Problem:
    """Replace the name of a flag by the name of the workflow's input."""
    if not problem.key.startswith("--"):
        return problem
    hint = "leave it out" if problem.key == "--new-state" else problem.hint
    return replace(problem, key=problem.key.removeprefix("--").replace("-", "_"), hint=hint)
