"""Guards that stop a run before anything is sent (docs/contract.md#checks, docs/contract.md#guards)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from reconciler.core.accounts import AccountBook, FleetRules, find_change_fault, find_pin_fault, find_refusal
from reconciler.core.planner import PlanInput, Planned, plan_environment
from reconciler.core.reserved import find_reserved_hosts
from reconciler.core.selection import select
from reconciler.core.urls import is_loopback_url
from reconciler.core.where import is_shared
from reconciler.model import Action, Desired, Fingerprint, Problem
from reconciler.text.counts import digits, name_some
from reconciler.text.new_state import describe_new_state

DEFAULT_PERCENT = 50.0
DEFAULT_FLOOR = 10  # with fewer applied environments there is no default guard
_TRIAL_STATE = "--state .reconciler/sandbox"


class MaxChanged(Struct, frozen=True):
    """The most updates that one run may make: a count, or a percentage of the applied environments.

    A percentage has at most three decimals.
    """

    amount: float
    percent: bool

    def allowed(self, applied: int) -> int:
        """Return the number of updates that may be made; a percentage is rounded down."""
        # in whole thousandths, because 375 * 18.4 is a little less than 6,900 in binary fractions
        return applied * round(self.amount * 1000) // 100_000 if self.percent else int(self.amount)

    def __str__(self) -> str:
        return f"{digits(self.amount)}%" if self.percent else digits(self.amount)


def parse_max_changed(text: str) -> MaxChanged:
    """Return the limit in a text such as `20` or `50%`. Raises ValueError, whose text says what would be right."""
    match = re.fullmatch(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%", text.strip(), re.ASCII)
    if match is None:
        raise ValueError("write a whole number of environments such as 20, or a percentage such as 50%")
    if match[1] is not None:
        return MaxChanged(int(match[1]), percent=False)
    percent = float(match[2])
    if percent > 100:
        raise ValueError("write a percentage from 0% to 100%")
    return MaxChanged(percent, percent=True)


def count_updates(planned: Planned, desired: Iterable[Desired]) -> int:
    """Count the environments that would be updated, over all shards, as the shards are parts of one change.

    `desired` has all environments of the manifests.
    """
    plan, heads = planned.plan, planned.fleet.heads
    if plan.shard is None:
        return sum(1 for one in plan.environments if one.action is Action.UPDATE)
    selected = select(plan.selection, heads.keys() | planned.fleet.manifests)
    return sum(
        plan_environment(one, heads.get(one.environment), Fingerprint(), PlanInput(plan.created_at)).action
        is Action.UPDATE
        for one in desired
        if one.environment in selected
    )


def find_too_many_updates(updates: int, applied: int, limit: MaxChanged | None) -> Problem | None:
    """Return the problem of max_changed, or None. `applied` counts the environments with an applied record.

    Without a `limit`, at most half of them may be updated; fewer than ten are not limited, as a person can review them.
    """
    if limit is None:
        if applied < DEFAULT_FLOOR:
            return None
        limit = MaxChanged(DEFAULT_PERCENT, percent=True)
    allowed = limit.allowed(applied)
    if updates <= allowed:
        return None
    message = f"{updates} of {applied} applied environments would be updated, at most {allowed} are allowed ({limit})"
    return Problem.of("max_changed", message, "if that is meant: --max-changed 100%")


class TokenUse(Struct, frozen=True):
    """An environment that would be PUT, and its available token.

    `account` is the token's account as the state names it; None without a token. `organization` is the company that a
    JWT names; None for any other token.
    """

    desired: Desired
    account: str | None
    organization: str | None


def find_account_problems(
    book: AccountBook, uses: Iterable[TokenUse], now: datetime, rules: FleetRules
) -> list[Problem]:
    """Compare each token with the manifest's pin, the environment's applied record, and the other environments.

    See docs/contract.md#guards.
    """
    problems = []
    for one in uses:
        environment, source = one.desired.environment, one.desired.source
        pinned = find_pin_fault(one.desired, one.organization)
        if pinned is not None:  # the hints of the other problems would not help
            problems.append(Problem.at(source, "organization_id", *pinned))
            continue
        changed = find_change_fault(environment, book.find(environment), one.organization, rules.way)
        taken = None if one.account is None else find_refusal(book, environment, one.account, now, rules)
        if changed is not None and environment not in rules.accepted:
            problems.append(Problem.at(source, "token_env", *changed))
        if taken is not None:
            problems.append(Problem.at(source, "token_env", *taken))
    return problems


class FirstApply(Struct, frozen=True):
    """The confirmation that a state without any applied record is the right one.

    `asked`: the user sees the plan and answers a question. `declared`: --new-state is given.
    """

    asked: bool = False
    declared: bool = False


def find_new_state(planned: Planned, first: FirstApply) -> list[Problem]:
    """Refuse to send to Plug with a new state that is not confirmed: often the setting `state` has a typing error.

    A sandbox needs no confirmation. --new-state is refused if there is an applied record, so that it can't stay in a
    script.
    """
    where = planned.plan.where
    if where is None:
        return []
    if not where.is_new:
        message = f"{where.location} holds an applied record, so this is not its first apply"
        return [Problem.of("--new-state", message, "drop it")] if first.declared else []
    endpoints = (planned.desired[one.environment].endpoint for one in planned.plan.environments if one.action.puts)
    if first.declared or first.asked or all(map(is_loopback_url, endpoints)):
        return []
    return [
        Problem.of(
            "state",
            describe_new_state(where),
            "if this is its first apply, add --new-state; without --yes or a plan file, apply asks instead",
        )
    ]


def find_trials(planned: Planned) -> list[Problem]:
    """Refuse to send to a sandbox if a team shares the state, and the state has records that Plug confirmed.

    Otherwise a trial in a team's repository would make the state wrong about what Plug holds.
    """
    state, names = _find_shared_trials(planned)
    if not names or not _has_plug_record(planned):
        return []
    message = f"{state} holds what was applied to Plug, and {name_some(names)} would go to a sandbox"
    return [Problem.of("state", message, f"use a separate state for trials: {_TRIAL_STATE}")]


def describe_shared_trials(planned: Planned) -> list[str]:
    """Return a warning if a trial would be the first to write an applied record into a state that a team shares."""
    state, names = _find_shared_trials(planned)
    if not names or any(head.applied is not None for head in planned.fleet.heads.values()):
        return []
    return [f"{state} is shared, and {name_some(names)} would go to a sandbox: for a trial, use {_TRIAL_STATE}"]


def _find_shared_trials(planned: Planned) -> tuple[str, list[str]]:
    """Return the state, and if a team shares it, the environments that would be sent to a sandbox."""
    where = planned.plan.where
    if where is None or not is_shared(where.location):
        return "", []
    puts = (one.environment for one in planned.plan.environments if one.action.puts)
    return where.location, [name for name in puts if is_loopback_url(planned.desired[name].endpoint)]


def _has_plug_record(planned: Planned) -> bool:
    applied = (head.applied for head in planned.fleet.heads.values() if head.applied is not None)
    return any(not is_loopback_url(one.endpoint) for one in applied)


def find_reserved_receivers(planned: Planned) -> list[Problem]:
    """Refuse to send customers' messages to hosts for documentation or local use; a sandbox may use them.

    See docs/manifests.md#policy.
    """
    sent = (
        planned.desired[one.environment]
        for one in planned.plan.environments
        if one.action.puts and not is_loopback_url(planned.desired[one.environment].endpoint)
    )
    return list(find_reserved_hosts(sent, hint="write your receiver's host"))
