"""The checks and guards of a whole run, made before its first byte is sent.

See docs/contract.md#checks, docs/contract.md#guards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.accounts import AccountBook, ApplyWay, FleetRules, find_pin_contradiction
from reconciler.core.guards import (
    FirstApply,
    MaxChanged,
    TokenUse,
    count_updates,
    describe_shared_trials,
    find_account_problems,
    find_new_state,
    find_reserved_receivers,
    find_too_many_updates,
    find_trials,
)
from reconciler.core.planner import Fleet, Planned
from reconciler.errors import InputError
from reconciler.model import Desired, Problem
from reconciler.ports import CredentialChecks
from reconciler.text.counts import name_some


class GuardInput(Struct, frozen=True):
    """The input of the guards, except for the plan. `desired` are all environments, selected or not."""

    desired: Sequence[Desired]
    credentials: CredentialChecks
    max_changed: MaxChanged | None
    accepted: Collection[str] = ()  # the environments of --accept-account-change
    first: FirstApply = field(default_factory=FirstApply)
    way: ApplyWay = ApplyWay.COMMAND


class FleetFaults(Struct, frozen=True):
    """The reasons to stop a run that can be seen without tokens.

    If a run has several jobs, its first job finds them.
    """

    reserved: tuple[Problem, ...] = ()  # reserved hosts
    too_many: Problem | None = None  # max_changed
    new_state: tuple[Problem, ...] = ()
    others: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        too_many = [] if self.too_many is None else [self.too_many]
        return (*self.reserved, *self.others, *too_many, *self.new_state)


def find_fleet_faults(planned: Planned, given: GuardInput) -> FleetFaults:
    """Find the faults of the whole run that need no token: names, reserved hosts, `max_changed`, the state."""
    known = {one.environment for one in given.desired}
    unknown = [
        Problem.of("--accept-account-change", f"{name!r} is not an environment of the manifests")
        for name in given.accepted
        if name not in known
    ]
    updates = count_updates(planned, given.desired)
    return FleetFaults(
        reserved=tuple(find_reserved_receivers(planned)),
        too_many=find_too_many_updates(updates, planned.fleet.applied_count, given.max_changed),
        new_state=tuple(find_new_state(planned, given.first)),
        others=(*unknown, *find_trials(planned)),
    )


def find_token_problems(planned: Planned, given: GuardInput, now: datetime) -> list[Problem]:
    """Find the problems of the available tokens and secrets, and of the accounts that they belong to."""
    credentials = given.credentials
    return [
        *credentials.find_malformed_tokens(planned.desired.values()),
        *credentials.find_missing(find_putting(planned)),
        *_find_account_guards(planned, given, now),
    ]


def check_before_sending(planned: Planned, given: GuardInput, now: datetime, warn: Callable[[str], None]) -> None:
    """Check everything that can be known before the first byte is sent. `warn` is called with each warning.

    Raises InputError with every problem.
    """
    _warn_before_sending(planned, given, now, warn)
    problems = [*find_fleet_faults(planned, given).problems, *find_token_problems(planned, given, now)]
    if problems:
        raise InputError(problems=problems)


def check_part_before_sending(planned: Planned, given: GuardInput, now: datetime, warn: Callable[[str], None]) -> None:
    """Check, in a job with a part of the run, what needs tokens: the first job could not check it.

    Raises InputError with every problem.
    """
    _warn_before_sending(planned, given, now, warn)
    problems = find_token_problems(planned, given, now)
    if problems:
        raise InputError(problems=problems)


def _warn_before_sending(planned: Planned, given: GuardInput, now: datetime, warn: Callable[[str], None]) -> None:
    expired = given.credentials.find_expired(find_putting(planned), now)
    trials, unreadable = describe_shared_trials(planned), describe_unreadable(planned.fleet)
    for warning in (*trials, *expired, *unreadable, *_find_pins(planned, given.credentials)):
        warn(warning)


def with_guard_warnings(planned: Planned, given: GuardInput) -> Planned:
    """Return the plan with a warning for each guard that would stop `apply`, and for each lock.

    They come before the plan's own warnings: a view may not have room for all, and manifests may have any number of
    them.
    """
    warnings = (
        *(f"apply would refuse: {problem}" for problem in _find_guards(planned, given, planned.plan.created_at)),
        *describe_shared_trials(planned),
        *describe_unreadable(planned.fleet),
        *_find_pins(planned, given.credentials),
        *_find_locks(planned),
        *given.credentials.find_expired(find_putting(planned), planned.plan.created_at),
        *planned.plan.warnings,
    )
    return replace(planned, plan=replace(planned.plan, warnings=tuple(dict.fromkeys(warnings))))


def find_putting(planned: Planned) -> list[Desired]:
    """Return the environments that `apply` would PUT, in the plan's order."""
    return [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]


def describe_unreadable(fleet: Fleet) -> list[str]:
    """Return a warning about unreadable documents outside of the selection, which the guards could not check."""
    if not fleet.unreadable:
        return []
    names = name_some(sorted(fleet.unreadable))
    first = next(iter(fleet.unreadable.values()))
    return [f"the guards could not read the state of {names}: {first}"]


def _find_guards(planned: Planned, given: GuardInput, now: datetime) -> list[Problem]:
    """Find every guard that applying this plan would trip, except reserved hosts: the manifests warn about them."""
    faults = replace(find_fleet_faults(planned, given), reserved=())
    return [*faults.problems, *_find_account_guards(planned, given, now)]


def _find_account_guards(planned: Planned, given: GuardInput, now: datetime) -> list[Problem]:
    shared = given.credentials.find_shared_accounts(given.desired)
    putting = find_token_uses(find_putting(planned), given.credentials)
    if not putting:
        return list(shared)
    rules = make_fleet_rules(given.desired, given.credentials, given.accepted, given.way)
    return [*shared, *find_account_problems(AccountBook(planned.fleet.heads), putting, now, rules)]


def find_token_uses(desired: Iterable[Desired], credentials: CredentialChecks) -> list[TokenUse]:
    """Return the environments with the account and the company of their available tokens."""
    return [TokenUse(one, credentials.account(one), credentials.organization(one)) for one in desired]


def make_fleet_rules(
    desired: Iterable[Desired],
    credentials: CredentialChecks,
    accepted: Collection[str] = (),
    way: ApplyWay = ApplyWay.COMMAND,
) -> FleetRules:
    """Return the rules by which a token is judged. `desired` are all environments of the manifests."""
    by_name = {one.environment: one for one in desired}
    return FleetRules(
        by_name.keys(), accepted, lambda name: credentials.account(by_name[name]) if name in by_name else None, way
    )


def _find_pins(planned: Planned, credentials: CredentialChecks) -> list[str]:
    """Return a warning for each environment whose manifest names another company, unless a guard refuses it."""
    warnings = []
    for one in planned.plan.environments:
        desired = planned.desired.get(one.environment)
        if desired is None or desired.organization_id is None:
            continue
        account = credentials.account(desired)
        fault = find_pin_contradiction(desired, planned.heads.get(one.environment), account)
        if fault is not None and (account is None or not one.action.puts):
            warnings.append(str(Problem.at(desired.source, "organization_id", *fault)))
    return warnings


def _find_locks(planned: Planned) -> list[str]:
    now = planned.plan.created_at
    intents = ((name, head.intent) for name, head in planned.heads.items())
    live = [(name, intent) for name, intent in intents if intent is not None and intent.is_live(now)]
    if not live:
        return []
    from reconciler.text.lock import describe_lock  # late, as few plans need it

    return [f"{name}: {describe_lock(intent, now)}" for name, intent in live]
