"""Guards that stop a run before anything is sent (CONTRACT §6.1, §6.2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.core.planner import Planned
from reconciler.core.reserved import find_reserved_hosts
from reconciler.core.urls import is_loopback_url
from reconciler.model import Action, Desired, EnvironmentPlan, Head, Plan, Problem
from reconciler.text.new_state import describe_new_state

DEFAULT_PERCENT = 50.0
DEFAULT_FLOOR = 10  # below this many applied environments the default guard says nothing


@dataclass(frozen=True, slots=True)
class MaxChanged:
    """How many updates one run may make: a count, or a percentage of the applied environments."""

    amount: float
    percent: bool

    def allowed(self, applied: int) -> int:
        return int(applied * self.amount / 100) if self.percent else int(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{self.amount:g}"


def parse_max_changed(text: str) -> MaxChanged:
    """`"20"` or `"50%"`. Raises ValueError saying what would be right."""
    match = re.fullmatch(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%", text.strip(), re.ASCII)
    if match is None:
        raise ValueError("write a whole number of environments such as 20, or a percentage such as 50%")
    if match[1] is not None:
        return MaxChanged(int(match[1]), percent=False)
    percent = float(match[2])
    if percent > 100:
        raise ValueError("write a percentage from 0% to 100%")
    return MaxChanged(percent, percent=True)


def find_too_many_updates(plan: Plan, applied: int, limit: MaxChanged | None) -> str | None:
    """The guard's message, or None. `applied`: how many planned environments have an applied record.

    Without an own `limit` it is half of them, and only from ten on: a small fleet is reviewed by eye.
    """
    updates = sum(1 for planned in plan.environments if planned.action is Action.UPDATE)
    if limit is None:
        if applied < DEFAULT_FLOOR:
            return None
        limit = MaxChanged(DEFAULT_PERCENT, percent=True)
    allowed = limit.allowed(applied)
    if updates <= allowed:
        return None
    return f"{updates} of {applied} applied environments would be updated, at most {allowed} are allowed ({limit})"


ORGANIZATION = "org:"


def find_guards(
    planned: Planned,
    accounts: Iterable[tuple[EnvironmentPlan, str | None]],
    *,
    max_changed: MaxChanged | None,
    accepted: Collection[str],
) -> list[Problem]:
    """Every guard that applying this plan would trip, but for reserved hosts, of which the tree warns already.

    `accounts`: each environment that would be PUT, with the organization of its available token (None: none).
    `accepted`: the environments of --accept-account-change.
    """
    problems = []
    too_many = find_too_many_updates(planned.plan, planned.applied_count, max_changed)
    if too_many is not None:
        problems.append(Problem.of("max_changed", too_many, "if that is meant: --max-changed 100%"))
    for one, organization in accounts:
        change = find_account_change(planned, one, organization)
        if change is not None and one.environment not in accepted:
            problems.append(change)
    return problems


def find_account_change(planned: Planned, one: EnvironmentPlan, organization: str | None) -> Problem | None:
    """A JWT of another organization than the one last applied: most often two tokens were swapped."""
    head = planned.heads.get(one.environment)
    applied = head.applied if head else None
    if applied is None or applied.account is None or organization is None:
        return None
    if not applied.account.startswith(ORGANIZATION) or applied.account == ORGANIZATION + organization:
        return None
    desired = planned.desired[one.environment]
    source = desired.source
    message = (
        f"the token of {one.environment} belongs to organization {organization}, but the state says "
        f"{applied.account.removeprefix(ORGANIZATION)}: were two tokens swapped?"
    )
    hint = f"if the company really changed: --accept-account-change {one.environment}"
    return Problem.at(source, "token_env", message, hint)


def find_taken_accounts(
    accounts: Iterable[tuple[Desired, str | None]], heads: Mapping[str, Head], available: Mapping[str, str | None]
) -> list[Problem]:
    """Tokens of the company that another environment was last applied to: they would overwrite each other (§6.1).

    `accounts`: each environment that would be PUT, with its token's. `heads`: of the manifests' environments, those
    in the state; `available`: the account of each one's token (None: none). A new name for an environment is no such
    case: its old one is in no manifest. Left to their own guards are tokens that two environments share, and JWTs of
    another organization than before.
    """
    holder = {
        account: name
        for name, account in ((name, find_applied_account(one)) for name, one in sorted(heads.items(), reverse=True))
        if account is not None
        and (available[name] is None or (available[name] != account and not account.startswith(ORGANIZATION)))
    }
    problems = []
    for one, account in accounts:
        other = None if account is None else holder.get(account)
        if other is None or other == one.environment:
            continue
        message = (
            f"the token of {one.environment} belongs to the Plug company that {other} was last applied to: each apply "
            "would overwrite the other's webhooks"
        )
        hint = (
            "give each environment its own company's token (on GitHub as a secret of the environment, not of the "
            f"repository); if the company really moved: --accept-account-change {one.environment}"
        )
        problems.append(Problem.at(one.source, "token_env", message, hint))
    return problems


def find_applied_account(head: Head | None) -> str | None:
    """The account last applied to; None where there is none, or nobody knows."""
    return head.applied.account if head and head.applied else None


@dataclass(frozen=True, slots=True)
class FirstApply:
    """Who vouches that a state without any applied record is the one that is meant.

    `asked`: the user is shown the plan and answers a question. `declared`: --new-state.
    """

    asked: bool = False
    declared: bool = False


def find_new_state(planned: Planned, first: FirstApply) -> list[Problem]:
    """Refuse to send to Plug with a state that nobody vouches for: most often the setting `state` has a slip.

    A sandbox needs no state that is right. --new-state is refused where there is an applied record, so that it can't
    stay in a script.
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
    return [Problem.of("state", describe_new_state(where), "if this is its first apply, add --new-state")]


def find_reserved_receivers(planned: Planned) -> list[Problem]:
    """Hosts for documentation or local use never get a company's customers' messages, save in a sandbox (§9)."""
    sent = (
        planned.desired[one.environment]
        for one in planned.plan.environments
        if one.action.puts and not is_loopback_url(planned.desired[one.environment].endpoint)
    )
    return list(find_reserved_hosts(sent, hint="write your receiver's host"))
