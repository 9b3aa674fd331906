"""The first job of an apply run: what is sent, in which jobs, and whatever the whole run is refused for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import quote

from reconciler.core.digest import plan_digest
from reconciler.core.guards import FirstApply
from reconciler.core.planner import Planned
from reconciler.core.protocol.attempts import RunAttempt, find_first_commit, find_moved_inputs
from reconciler.core.protocol.inputs import RunInputs
from reconciler.core.protocol.labels import Label, LabelSetting
from reconciler.core.protocol.steps import JobLayout, Steps, TokensFrom, find_too_many_jobs, make_steps
from reconciler.core.saved_plan import check_expected
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.model import Action, EnvironmentPlan, Plan, Problem
from reconciler.ports import StateStore
from reconciler.run.apply_request import MakePlan
from reconciler.run.guards import GuardInput, find_fleet_faults
from reconciler.run.planning import EVERYTHING

_BY_HAND = "begin this workflow by hand with the input"


@dataclass(frozen=True, slots=True)
class Lift:
    """A label that is on the pull request of this number; it lifts its guard where it counts."""

    number: int
    setting: LabelSetting


class BeginPorts(Protocol):
    """What GitHub and git say of a run. Each method raises PostFailed or StateError where it can't be said.

    Must: take nothing that can't be looked up for an answer.
    """

    def list_environments(self) -> Collection[str]:
        """Return the names of the repository's GitHub Environments. Letters may be of either case."""
        ...

    def find_lift(self, label: Label, commit: str) -> Lift | None:
        """Return the label of the pull request whose merge made the commit; None where it is not set."""
        ...

    def find_unreviewed(self, names: Sequence[str], fleet_digest: str) -> Sequence[Problem]:
        """Return what is wrong with the environments of which nobody reviewed what the checked out commit wants.

        `fleet_digest` is the plan's, which lifts it where the run is begun by hand with `expect`.
        """
        ...


@dataclass(frozen=True, slots=True)
class BeginRequest:
    """One apply run as it was started. `commit` is the head that it found, `event_sha` that of its event.

    `sees_token` is whether a secret PLUG_TOKEN is visible to a job without a GitHub Environment.
    """

    layout: JobLayout
    inputs: RunInputs
    attempt: RunAttempt
    commit: str
    event_sha: str
    repository: str
    strict: bool = False
    sees_token: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The decision: nothing is sent where there are `problems`. `planned` is the plan of the whole fleet."""

    planned: Planned
    steps: Steps
    selected: tuple[EnvironmentPlan, ...] = ()
    problems: tuple[Problem, ...] = ()
    lifts: tuple[Lift, ...] = ()

    @property
    def names(self) -> list[str]:
        """The environments that would be PUT by this run."""
        return [one.environment for one in self.selected if one.action.puts]


@dataclass
class Beginning:
    """The use case. `make_guards` makes the guards' input of accepted environments and of who vouches for the state."""

    request: BeginRequest
    make_plan: MakePlan
    make_guards: Callable[[Sequence[str], FirstApply], GuardInput]
    store: Callable[[], StateStore]
    ports: BeginPorts
    show_unexpected: Callable[[Planned], None] = field(default=lambda planned: None)
    _lifts: list[Lift] = field(default_factory=list)

    def decide(self) -> Begun:
        """Decide over the whole fleet, whatever the run is narrowed to.

        Raises: InputError (manifests, a glob without a match), StateError (also a plan that is not the expected one),
        PostFailed where GitHub can't be asked.
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
            *self._find_missing_environments(steps),
            *self._find_unreviewed(planned.plan, selected),
        ]
        return Begun(planned, steps, selected, tuple(problems), tuple(self._lifts))

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
        """Compare with the digest that was given by hand. Raises: StalePlan."""
        expect = self.request.inputs.expect
        if expect is None:
            return
        narrowed = replace(planned.plan, environments=selected, digest=plan_digest(selected))
        try:
            check_expected(expect, narrowed)
        except Exception:
            self.show_unexpected(replace(planned, plan=narrowed))
            raise

    # --- what is refused ---------------------------------------------------------------------------

    def _find_moved_inputs(self, planned: Planned) -> list[Problem]:
        request = self.request
        bound = request.inputs.bound
        if not request.attempt.is_later or not bound:
            return []
        documents = (stored.document for stored in self.store().read(planned.fleet.heads).values())
        first = find_first_commit(documents, request.attempt, request.event_sha)
        return find_moved_inputs(bound, first, request.commit)

    def _find_guards(self, planned: Planned) -> list[Problem]:
        """Find what stops the whole run, and look for the label of a guard that is tripped."""
        inputs, is_later = self.request.inputs, self.request.attempt.is_later
        # in a later attempt the first one may have written the state already: there it only vouches
        first = FirstApply(asked=inputs.new_state and is_later, declared=inputs.new_state and not is_later)
        given = self.make_guards(inputs.accepted, first)
        if inputs.max_changed is not None:
            given = replace(given, max_changed=inputs.max_changed)
        faults = find_fleet_faults(planned, given)
        problems = [_to_input(one) for one in faults.others]
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
            f"{self.request.commit[:12]}, and run this run's failed jobs again; or {_BY_HAND} {name}"
        )
        if lift is not None:
            set_by = lift.setting.set_by
            who = "who set it last is not known" if set_by is None else f"{set_by} is not known to have it"
            hint = f"the label on #{lift.number} does not count, as it takes write access, and {who}; {hint}"
        return [replace(problem, hint=hint)]

    def _find_open_secrets(self) -> list[Problem]:
        if not self.request.sees_token or self.request.layout.tokens_from is not TokensFrom.ENVIRONMENTS:
            return []
        message = "the secret is visible without a GitHub Environment, so it would fill in for a missing one"
        hint = "delete it from the repository's and the organization's secrets; set it in each GitHub Environment alone"
        return [Problem.of("PLUG_TOKEN", message, hint)]

    def _find_missing_environments(self, steps: Steps) -> list[Problem]:
        """GitHub makes a GitHub Environment that a job names, open to everybody, with neither rules nor secrets."""
        wanted = sorted({job.environment for jobs in steps for job in jobs})
        if not wanted:
            return []
        known = {name.casefold() for name in self.ports.list_environments()}
        problems = []
        for name in wanted:
            if name.casefold() not in known:
                path = f"repos/{self.request.repository}/environments/{quote(name, safe='')}"
                message = f"the GitHub Environment {name} does not exist, and GitHub would make it without any rule"
                hint = f"make it, give it its rules and secrets, then run again: gh api -X PUT {shlex.quote(path)}"
                problems.append(Problem.of("environment", message, hint))
        return problems

    def _find_unreviewed(self, plan: Plan, selected: Sequence[EnvironmentPlan]) -> Sequence[Problem]:
        """Find what nobody reviewed among what this run sends: unlike a guard, it is decided for each environment."""
        if not self.request.strict or self.request.inputs.expect is not None:
            return ()
        changing = (Action.CREATE, Action.UPDATE)
        names = [one.environment for one in selected if one.action in changing]
        return self.ports.find_unreviewed(names, plan.fleet_digest) if names else ()


def _to_input(problem: Problem) -> Problem:
    """Name a flag as the input that it is here."""
    if not problem.key.startswith("--"):
        return problem
    hint = "leave it out" if problem.key == "--new-state" else problem.hint
    return replace(problem, key=problem.key.removeprefix("--").replace("-", "_"), hint=hint)
