"""What must hold before anything is sent, all of it told in one run (CONTRACT §6.1, §6.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from reconciler.core.guards import MaxChanged, find_too_many_updates
from reconciler.core.policy import is_reserved_host
from reconciler.core.urls import host_of, is_loopback_url
from reconciler.model import EVENTS, Desired, EnvironmentPlan, Problem, Reason
from reconciler.run.plan import Planned

ORGANIZATION = "org:"


def find_guards(
    planned: Planned,
    accounts: Iterable[tuple[EnvironmentPlan, str | None]],
    *,
    max_changed: MaxChanged | None,
    accepted: Collection[str],
) -> list[Problem]:
    """Every guard that applying this plan would trip.

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
    problems.extend(find_reserved_receivers(desired for desired in _put(planned)))
    return problems


def _put(planned: Planned) -> Iterable[Desired]:
    return (planned.desired[one.environment] for one in planned.plan.environments if one.action.puts)


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


def find_reserved_receivers(desired: Iterable[Desired]) -> Iterable[Problem]:
    """Hosts for documentation or local use never get a company's customers' messages, save in a sandbox (§9)."""
    for one in desired:
        if is_loopback_url(one.endpoint):
            continue
        for event in EVENTS:
            host = host_of(one.webhooks[event])
            if is_reserved_host(host):
                source = one.sources[event]
                message = f"{one.environment}: {host} is reserved for documentation or local use"
                yield Problem(
                    source.file, source.line, source.column, f"webhooks.{event}", message, "write your receiver's host"
                )


def has_account_change(one: EnvironmentPlan) -> bool:
    return Reason.ACCOUNT_CHANGED in one.reasons
