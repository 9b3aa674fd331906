"""What must hold before anything is sent, all of it told in one run (CONTRACT §6.1, §6.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from reconciler.core.guards import MaxChanged, find_too_many_updates
from reconciler.core.reserved import find_reserved_hosts
from reconciler.core.urls import is_loopback_url
from reconciler.model import EnvironmentPlan, Problem
from reconciler.run.plan import Planned

ORGANIZATION = "org:"


def find_guards(
    planned: Planned,
    accounts: Iterable[tuple[EnvironmentPlan, str | None]],
    *,
    max_changed: MaxChanged | None,
    accepted: Collection[str],
) -> list[Problem]:
    """Every guard that applying this plan would trip, but for reserved hosts, of which the tree warns already.

    `accounts`: each environment that would be PUT, with the organization of its token at hand (None: none).
    `accepted`: the environments of --accept-account-change.
    """
    problems = []
    too_many = find_too_many_updates(planned.plan, planned.applied_count, max_changed)
    if too_many is not None:
        problems.append(Problem("", 0, 0, "max_changed", too_many, "if that is meant: --max-changed 100%"))
    for one, organization in accounts:
        change = find_account_change(planned, one, organization)
        if change is not None and one.environment not in accepted:
            problems.append(change)
    return problems


def find_account_change(planned: Planned, one: EnvironmentPlan, organization: str | None) -> Problem | None:
    """A JWT of another organization than the one last applied: most often two tokens were swapped."""
    stored = planned.stored.get(one.environment)
    applied = stored.document.applied if stored else None
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
    return Problem(source.file, source.line, source.column, "token_env", message, hint)


def find_reserved_receivers(planned: Planned) -> list[Problem]:
    """Hosts for documentation or local use never get a company's customers' messages, save in a sandbox (§9)."""
    sent = (
        planned.desired[one.environment]
        for one in planned.plan.environments
        if one.action.puts and not is_loopback_url(planned.desired[one.environment].endpoint)
    )
    return list(find_reserved_hosts(sent, hint="write your receiver's host"))
