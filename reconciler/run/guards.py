"""The checks and guards of a whole run, all before its first byte is sent (CONTRACT §6.1, §6.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.core.guards import (
    FirstApply,
    MaxChanged,
    find_applied_account,
    find_guards,
    find_new_state,
    find_reserved_receivers,
    find_taken_accounts,
)
from reconciler.core.planner import Planned
from reconciler.errors import InputError, StateError
from reconciler.model import Desired, Head, Problem
from reconciler.ports import CredentialChecks, StateStore

MAX_OTHERS = 1000  # environments; reading the state of more, for the sake of one, costs more than the guard is worth


@dataclass(frozen=True, slots=True)
class GuardInput:
    """The input of the guards beside a plan. `desired` are all environments of the manifests, selected or not."""

    desired: Sequence[Desired]
    store: StateStore
    credentials: CredentialChecks
    max_changed: MaxChanged | None
    accepted: Collection[str] = ()  # the environments of --accept-account-change
    first: FirstApply = field(default_factory=FirstApply)


def check_before_sending(planned: Planned, given: GuardInput, now: datetime, warn: Callable[[str], None]) -> None:
    """Check everything that can be known before the first byte is sent. `warn` is called with each warning.

    Raises InputError with every problem, StateError.
    """
    known = {one.environment for one in given.desired}
    problems = [
        Problem.of("--accept-account-change", f"{name!r} is not an environment of the manifests")
        for name in given.accepted
        if name not in known
    ]
    putting = find_putting(planned)
    problems.extend(given.credentials.find_missing(putting))
    problems.extend(given.credentials.find_shared_accounts(given.desired))
    problems.extend(_find_taken(planned, given))
    problems.extend(_find_guards(planned, given))
    problems.extend(find_new_state(planned, given.first))
    problems.extend(find_reserved_receivers(planned))
    for warning in given.credentials.find_expired(putting, now):
        warn(warning)
    if problems:
        raise InputError(problems=problems)


def with_guard_warnings(planned: Planned, given: GuardInput) -> Planned:
    """Return the plan with a warning for each guard that would stop `apply`, and for each lock.

    Raises StateError.
    """
    problems = [
        *_find_guards(planned, given),
        *find_new_state(planned, given.first),
        *given.credentials.find_shared_accounts(given.desired),
        *_find_taken(planned, given),
    ]
    warnings = (
        *planned.plan.warnings,
        *(f"apply would refuse: {problem}" for problem in problems),
        *given.credentials.find_expired(find_putting(planned), planned.plan.created_at),
        *_find_locks(planned),
    )
    return replace(planned, plan=replace(planned.plan, warnings=tuple(dict.fromkeys(warnings))))


def find_putting(planned: Planned) -> list[Desired]:
    """Return the environments that `apply` would PUT, in the plan's order."""
    return [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]


def _find_guards(planned: Planned, given: GuardInput) -> list[Problem]:
    accounts = [
        (one, given.credentials.organization(planned.desired[one.environment]))
        for one in planned.plan.environments
        if one.action.puts
    ]
    return find_guards(planned, accounts, max_changed=given.max_changed, accepted=given.accepted)


def _find_taken(planned: Planned, given: GuardInput) -> list[Problem]:
    """Find tokens with which, according to the state, another environment was applied: they were swapped."""
    available = {one.environment: given.credentials.account(one) for one in given.desired}
    putting = [one for one in find_putting(planned) if one.environment not in given.accepted]
    accounts = [(one, available[one.environment]) for one in putting]
    if not any(account for _, account in accounts):
        return []
    return find_taken_accounts(accounts, _read_holders(planned, given.store, accounts, available), available)


def _read_holders(
    planned: Planned,
    store: StateStore,
    accounts: Sequence[tuple[Desired, str | None]],
    available: Mapping[str, str | None],
) -> dict[str, Head]:
    """Read the state of the environments that may have been applied with one of the `accounts`, selected or not."""
    heads = {name: one for name, one in planned.heads.items() if name in available}
    unread = available.keys() - heads.keys()
    changed = any(account != find_applied_account(planned.heads.get(one.environment)) for one, account in accounts)
    if len(unread) > MAX_OTHERS or not changed:
        unread = {name for name in unread if available[name] is None}
    if planned.plan.selection and 0 < len(unread) <= MAX_OTHERS:
        # a corrupt document of an environment that was not selected must not stop this run (CONTRACT §7)
        with contextlib.suppress(StateError):
            heads |= store.read_heads(sorted(unread & store.names()))
    return heads


def _find_locks(planned: Planned) -> list[str]:
    now = planned.plan.created_at
    intents = ((name, head.intent) for name, head in planned.heads.items())
    live = [(name, intent) for name, intent in intents if intent is not None and intent.is_live(now)]
    if not live:
        return []
    from reconciler.text.lock import describe_lock  # late, as few plans need it

    return [f"{name}: {describe_lock(intent, now)}" for name, intent in live]
