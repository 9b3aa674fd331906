"""What plan, apply and drift do before their own work: plan, and name the guards that would stop an apply."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace

from reconciler.cli.observing import reading_live
from reconciler.cli.session import Session
from reconciler.core.guards import find_applied_account, find_guards, find_taken_accounts
from reconciler.core.planner import Planned
from reconciler.errors import StateError
from reconciler.model import Problem, Shard

MAX_OTHERS = 1000  # beyond so many, reading the state of all for the sake of one costs more than it guards


def guards_of(session: Session, planned: Planned, accepted: Collection[str] = ()) -> list[Problem]:
    accounts = [
        (one, session.credentials.organization(planned.desired[one.environment]))
        for one in planned.plan.environments
        if one.action.puts
    ]
    return find_guards(planned, accounts, max_changed=session.settings.max_changed, accepted=accepted)


def taken_accounts(session: Session, planned: Planned, accepted: Collection[str] = ()) -> list[Problem]:
    """The tokens at hand that, by the state, are another environment's: swapped, or set where they don't belong."""
    at_hand = {one.environment: session.credentials.account(one) for one in session.desired}
    putting = [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]
    accounts = [(one, at_hand[one.environment]) for one in putting if one.environment not in accepted]
    if not any(account for _, account in accounts):
        return []
    heads = {name: one for name, one in planned.heads.items() if name in at_hand}
    unread = at_hand.keys() - heads.keys()
    changed = any(account != find_applied_account(planned.heads.get(one.environment)) for one, account in accounts)
    if len(unread) > MAX_OTHERS or not changed:
        unread = {name for name in unread if at_hand[name] is None}
    if planned.plan.selection and 0 < len(unread) <= MAX_OTHERS:
        # what was not selected may be corrupt: then it is no hindrance (CONTRACT §7)
        with contextlib.suppress(StateError):
            heads |= session.store.read_heads(sorted(unread & session.store.names()))
    return find_taken_accounts(accounts, heads, at_hand)


def plan_with_warnings(
    session: Session, globs: Sequence[str], shard: Shard | None, *, requested: bool, observed: bool
) -> Planned:
    """A plan to be shown: with the warnings of the input, and the guards that `apply` would trip."""
    planned = session.plan(globs, shard=shard, requested=requested, observe=reading_live(session, observed))
    return with_guard_warnings(session, planned)


def with_guard_warnings(session: Session, planned: Planned, accepted: Collection[str] = ()) -> Planned:
    now = planned.plan.created_at
    putting = [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]
    problems = [
        *guards_of(session, planned, accepted),
        *session.credentials.find_shared_accounts(session.desired),
        *taken_accounts(session, planned, accepted),
    ]
    warnings = dict.fromkeys(
        (
            *planned.plan.warnings,
            *(f"apply would refuse: {problem}" for problem in problems),
            *session.credentials.find_expired(putting, now),
            *_find_locks(planned),
        )
    )
    return replace(planned, plan=replace(planned.plan, warnings=tuple(warnings)))


def _find_locks(planned: Planned) -> list[str]:
    now = planned.plan.created_at
    intents = ((name, head.intent) for name, head in planned.heads.items())
    live = [(name, intent) for name, intent in intents if intent is not None and intent.is_live(now)]
    if not live:
        return []
    from reconciler.text.lock import describe_lock

    return [f"{name}: {describe_lock(intent, now)}" for name, intent in live]
