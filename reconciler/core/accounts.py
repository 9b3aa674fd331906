"""The Plug company (account) that each environment holds, and the tokens that would overwrite another's webhooks.

An environment holds the account of its applied record and the account of its intent, whose PUT is in flight or has an
unknown effect (docs/contract.md#checks).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, assert_never

from msgspec import Struct

from reconciler.model import Desired, Fault, Head, Intent

ORGANIZATION = "org:"
AccountOf: TypeAlias = "Callable[[str], str | None]"  # environment -> account of its available token


def find_no_account(environment: str) -> str | None:
    """Return None, for a run without any token."""
    return None


class Hold(StrEnum):
    """The ways in which an environment holds an account."""

    SENDING = "sending"  # by a live intent
    APPLIED = "applied"  # by its applied record
    IN_DOUBT = "in-doubt"  # by an intent whose PUT may have changed it


class Holder(Struct, frozen=True):
    """Another environment that holds an account. `intent` is None if it holds it by its applied record."""

    environment: str
    hold: Hold
    intent: Intent | None = None


class AccountBook:
    """The accounts of all environments whose heads are known, by account."""

    def __init__(self, heads: Mapping[str, Head] | None = None) -> None:
        self._heads: dict[str, Head] = {}
        self._holders: dict[str, set[str]] = defaultdict(set)  # account -> environments
        for environment, head in (heads or {}).items():
            self.update(environment, head)

    def update(self, environment: str, head: Head | None) -> None:
        """Replace the head of an environment; None if it no longer has a document."""
        for account in find_accounts(self._heads.pop(environment, None)):
            self._holders[account].discard(environment)
        if head is not None:
            self._heads[environment] = head
            for account in find_accounts(head):
                self._holders[account].add(environment)

    def find(self, environment: str) -> Head | None:
        """Return the head of an environment; None if it has none."""
        return self._heads.get(environment)

    def find_others(self, account: str, environment: str) -> Collection[str]:
        """Return all other environments that hold the account."""
        return self._holders.get(account, set()) - {environment}

    def find_other(self, account: str, environment: str, now: datetime) -> Holder | None:
        """Return another environment that holds the account, preferably one that is sending now; None without one."""
        others = sorted(self.find_others(account, environment))
        found = [_find_hold(self._heads[other], account, now) for other in others]
        return min(found, key=lambda one: list(Hold).index(one.hold), default=None)


def find_accounts(head: Head | None) -> Collection[str]:
    """Return the accounts that an environment holds."""
    if head is None:
        return ()
    accounts = (head.applied.account if head.applied else None, head.intent.account if head.intent else None)
    return {account for account in accounts if account is not None}


def _find_hold(head: Head, account: str, now: datetime) -> Holder:
    intent = head.intent
    if intent is not None and intent.account == account and intent.is_live(now):
        return Holder(head.environment, Hold.SENDING, intent)
    if head.applied is not None and head.applied.account == account:
        return Holder(head.environment, Hold.APPLIED)
    return Holder(head.environment, Hold.IN_DOUBT, intent)


class ApplyWay(StrEnum):
    """How an apply is started, for the advice about a refused one."""

    COMMAND = "command"
    WORKFLOW = "workflow"  # the team's workflow Apply

    def describe(self, environment: str, *, accept: bool = False) -> str:
        """Return the command that applies one environment; with `accept`, also if its company has changed."""
        match self:
            case ApplyWay.COMMAND:
                accepting = f" --accept-account-change {environment}" if accept else ""
                return f"reconciler apply -e {environment}{accepting}"
            case ApplyWay.WORKFLOW:
                accepting = f" -f accept_account_change={environment}" if accept else ""
                return f"gh workflow run apply.yml -f environments={environment}{accepting}"
            case _:
                assert_never(self)


class FleetRules(Struct, frozen=True):
    """The data of the fleet with which a token is judged.

    `manifests` has the names of all environments in the manifests, `accepted` those of --accept-account-change.
    """

    manifests: Collection[str]
    accepted: Collection[str] = ()
    account_of: AccountOf = find_no_account
    way: ApplyWay = ApplyWay.COMMAND


def find_refusal(book: AccountBook, environment: str, account: str, now: datetime, fleet: FleetRules) -> Fault | None:
    """Return why a token of this account may not be sent for the environment; None if it may."""
    holder = book.find_other(account, environment, now)
    if holder is None or (environment in fleet.accepted and holder.hold is not Hold.SENDING):
        return None
    question = _Question(book, environment, account, now, fleet)
    return Fault(_describe(holder, environment, now), _advise(holder, question))


class _Question(Struct, frozen=True):
    """The question whether a token of this account may be sent for the environment."""

    book: AccountBook
    environment: str
    account: str
    now: datetime
    fleet: FleetRules


def _describe(holder: Holder, environment: str, now: datetime) -> str:
    from reconciler.text.lock import describe_lock  # late, as few runs need it

    other = holder.environment
    match holder.hold:
        case Hold.APPLIED:
            company = f"that {other} was last applied to"
        case Hold.IN_DOUBT:
            company = f"that an unfinished PUT of {other} may have changed"
        case Hold.SENDING:
            assert holder.intent is not None
            company = f"to which {other} is being applied right now ({describe_lock(holder.intent, now)})"
        case _:
            assert_never(holder.hold)
    return (
        f"the token of {environment} belongs to the Plug company {company}: each apply would overwrite the other's "
        "webhooks"
    )


def _advise(holder: Holder, question: _Question) -> str:
    other, environment = holder.environment, question.environment
    wait = ""
    if holder.hold is Hold.SENDING:
        wait = f"wait for that run, or if it is dead: `reconciler state unlock {other}`; "
    if other not in question.fleet.manifests:
        forget = f"`reconciler state forget {other}`"
        if _has_memory(question):
            return f"{wait}no manifest has {other}: if it is not needed any more, run {forget}"
        return (
            f"{wait}no manifest has {other}: if it is the old name of {environment}, run `reconciler state rename "
            f"{other} {environment}`; if it is not needed any more, {forget}"
        )
    if not wait:
        first = _find_first(other, question)
        if first is not None:
            return f"{other} has another token now: run `{first}` first"
    hint = (
        f"{wait}give each environment its own company's token (on GitHub as a secret of the environment, not of the "
        "repository)"
    )
    if wait:
        return hint
    return f"{hint}; if the company really moved: `{question.fleet.way.describe(environment, accept=True)}`"


def _has_memory(question: _Question) -> bool:
    """Return whether the environment has an applied record, or an intent whose PUT may have changed Plug."""
    head = question.book.find(question.environment)
    if head is None:
        return False
    intent = head.intent
    return head.applied is not None or (intent is not None and (intent.doubt or not intent.is_live(question.now)))


def _find_first(other: str, question: _Question) -> str | None:
    """Return the command that moves a holder to its present token's company; None if that is refused too."""
    account = question.fleet.account_of(other)
    if account is None or account == question.account:
        return None
    if question.book.find_other(account, other, question.now) is not None:
        return None
    organization = find_organization(account)
    changed = find_change_fault(other, question.book.find(other), organization)
    return question.fleet.way.describe(other, accept=changed is not None)


def find_organization(account: str | None) -> str | None:
    """Return the company that the account of a JWT names; None for an opaque token's account."""
    if account is None or not account.startswith(ORGANIZATION):
        return None
    return account.removeprefix(ORGANIZATION)


def _find_applied_organization(head: Head | None) -> str | None:
    return find_organization(head.applied.account if head and head.applied else None)


def find_pin_contradiction(desired: Desired, head: Head | None, account: str | None) -> Fault | None:
    """Return why the manifest names another company than the token of this account.

    Without a token, the applied record is compared.
    """
    if account is not None:
        return find_pin_fault(desired, find_organization(account))
    applied = _find_applied_organization(head)
    if desired.organization_id is None or applied is None or applied == desired.organization_id:
        return None
    return Fault(
        f"{desired.environment} was last applied to organization {applied}, but its manifest says "
        f"{desired.organization_id}",
        f"set {desired.token_env} to that company's token and apply, or correct organization_id",
    )


def find_pin_fault(desired: Desired, organization: str | None) -> Fault | None:
    """Return why a token's company contradicts the manifest. An opaque token names no company and is not compared."""
    if desired.organization_id is None or organization is None or organization == desired.organization_id:
        return None
    return Fault(
        f"the token of {desired.environment} belongs to organization {organization}, but its manifest says "
        f"{desired.organization_id}",
        f"set {desired.token_env} to that company's token, or correct organization_id",
    )


def find_change_fault(
    environment: str, head: Head | None, organization: str | None, way: ApplyWay = ApplyWay.COMMAND
) -> Fault | None:
    """Return the fault of a JWT of another organization than the applied one: often two tokens were swapped."""
    applied = _find_applied_organization(head)
    if applied is None or organization is None or applied == organization:
        return None
    return Fault(
        f"the token of {environment} belongs to organization {organization}, but the state says {applied}: were two "
        "tokens swapped?",
        f"if the company really changed: `{way.describe(environment, accept=True)}`",
    )
