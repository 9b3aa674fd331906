"""The local setup for a run: state, tokens, secrets. Nothing is written, and Plug is not called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from reconciler.core.accounts import AccountBook
from reconciler.core.guards import find_account_problems
from reconciler.errors import StateError
from reconciler.model import Area, Desired, Head, Item, ItemState, Problem
from reconciler.ports import CredentialReport, StateStore
from reconciler.run.guards import find_token_uses, make_fleet_rules
from reconciler.text.counts import counted, environments, name_some
from reconciler.text.instants import instant


class StateReport(Struct, frozen=True):
    """The items of the state, and the heads of its documents for the questions that come after."""

    items: Sequence[Item]
    heads: Mapping[str, Head] = field(default_factory=dict)


def report_state(store: StateStore, location: str) -> StateReport:
    """Read the heads of all documents, and find out whether the state can be written. Never raises StateError."""

    def item(name: str, state: ItemState, message: str, hint: str = "") -> Item:
        return Item(Area.STATE, name, state, message, hint)

    try:
        found = store.read_changes()
    except StateError as error:
        return StateReport([item(location, ItemState.WRONG, _without_area(error))])
    items = [_describe_documents(store, location, len(found.heads) + len(found.faults))]
    items += [item(name, ItemState.WRONG, _without_area(fault)) for name, fault in sorted(found.faults.items())]
    try:
        access = store.find_write_access()
    except StateError as error:
        items.append(item("writable", ItemState.WRONG, _without_area(error)))
    else:
        states = {True: ItemState.OK, False: ItemState.WRONG, None: ItemState.UNKNOWN}
        items.append(item("writable", states[access.allowed], access.message, access.hint))
    return StateReport(items, found.heads)


def _without_area(error: StateError) -> str:
    """Return the error's text without the prefix `state: `, as the item's area says it already."""
    return str(error).removeprefix("state: ")


def _describe_documents(store: StateStore, location: str, documents: int) -> Item:
    if documents:
        return Item(Area.STATE, location, ItemState.OK, counted(documents, "document"))
    near = store.find_near()
    if near is not None:
        message = f"nothing was ever applied to it, and there is {near}"
        return Item(Area.STATE, location, ItemState.UNKNOWN, message, "if you mean that one, correct `state`")
    return Item(Area.STATE, location, ItemState.OK, "nothing was ever applied to it")


# --- tokens --------------------------------------------------------------------------------------------------------


class TokenQuestion(Struct, frozen=True):
    """The input that tokens are compared with.

    `desired` are all environments, `warning_s` is the setting token_warning.
    """

    desired: Sequence[Desired]
    heads: Mapping[str, Head]
    now: datetime
    warning_s: float


def report_tokens(selected: Collection[str], question: TokenQuestion, credentials: CredentialReport) -> list[Item]:
    """Return an item for the token of each selected environment."""
    found: dict[str, list[Problem]] = defaultdict(list)
    places = {(one.source.file, one.source.line): one.environment for one in question.desired}
    for problem in credentials.find_shared_accounts(question.desired):
        found[places[problem.file, problem.line]].append(problem)
    chosen = [one for one in question.desired if one.environment in selected]
    malformed = set()
    for one in chosen:
        problems = credentials.find_malformed_tokens([one])
        found[one.environment] += problems
        malformed |= {one.environment} if problems else set()
    well_formed = [one for one in chosen if one.environment not in malformed]
    for problem in _find_account_problems(well_formed, question, credentials):
        found[places[problem.file, problem.line]].append(problem)
    return [_describe_token(one, found[one.environment], question, credentials) for one in chosen]


def _find_account_problems(
    desired: Iterable[Desired], question: TokenQuestion, credentials: CredentialReport
) -> list[Problem]:
    """Compare the tokens with the pins, the environments' records and those of others, as apply does."""
    uses, rules = find_token_uses(desired, credentials), make_fleet_rules(question.desired, credentials)
    return find_account_problems(AccountBook(question.heads), uses, question.now, rules)


def _describe_token(
    one: Desired, problems: Sequence[Problem], question: TokenQuestion, credentials: CredentialReport
) -> Item:
    if credentials.account(one) is None:
        message = f"no token: {one.token_env} is not set, and no tokens file has it"
        return Item(Area.TOKENS, one.environment, ItemState.MISSING, message, f"export {one.token_env}=…")
    if problems:
        hints = "; ".join(dict.fromkeys(problem.hint for problem in problems if problem.hint))
        message = "; ".join(dict.fromkeys(problem.message for problem in problems))
        return Item(Area.TOKENS, one.environment, ItemState.WRONG, message, hints)
    organization = credentials.organization(one)
    company = "an opaque token, which names no company" if organization is None else f"company {organization}"
    pin = ", as the manifest says" if one.organization_id is not None else ", not pinned" if organization else ""
    message = f"{credentials.token_origin(one)}: {company}{pin}"
    ends_at = credentials.fingerprint(one).token_expires_at
    if ends_at is None:
        return Item(Area.TOKENS, one.environment, ItemState.OK, message)
    if ends_at > question.now + timedelta(seconds=question.warning_s):
        return Item(Area.TOKENS, one.environment, ItemState.OK, f"{message}, until {instant(ends_at)}")
    verb = "ended" if ends_at <= question.now else "ends"
    return Item(
        Area.TOKENS, one.environment, ItemState.WRONG, f"{message}; it {verb} at {instant(ends_at)}", "get a new token"
    )


# --- secrets -------------------------------------------------------------------------------------------------------


def report_secrets(desired: Iterable[Desired], credentials: CredentialReport) -> list[Item]:
    """Return an item for each secret that the webhooks name, and for each URL that is wrong once it is filled in."""
    using: dict[str, list[str]] = defaultdict(list)
    faults: dict[str, dict[str, Problem]] = defaultdict(dict)  # key -> environment -> problem
    for one in desired:
        for name in one.secrets:
            using[name].append(one.environment)
        for problem in credentials.find_missing_secrets([one]):
            faults[problem.key][one.environment] = problem
    items = [_describe_secret(name, names, faults.pop(name, {}), credentials) for name, names in sorted(using.items())]
    return [*items, *_describe_urls(faults)] or [Item(Area.SECRETS, "secrets", ItemState.OK, "no webhook names one")]


def _describe_secret(
    name: str, using: Sequence[str], faults: Mapping[str, Problem], credentials: CredentialReport
) -> Item:
    lacking = [environment for environment in faults if not credentials.has_secret(name, environment)]
    if lacking:
        message = f"not set, and webhooks of {name_some(lacking)} need it"
        return Item(Area.SECRETS, name, ItemState.MISSING, message, f"export {name}=…")
    if faults:
        problem = next(iter(faults.values()))
        return Item(Area.SECRETS, name, ItemState.WRONG, f"{problem.message} ({name_some(list(faults))})")
    return Item(Area.SECRETS, name, ItemState.OK, f"for {environments(len(using))}")


def _describe_urls(faults: Mapping[str, Mapping[str, Problem]]) -> Iterator[Item]:
    for key, by_environment in faults.items():
        for environment, problem in by_environment.items():
            yield Item(Area.SECRETS, f"{environment} {key}", ItemState.WRONG, problem.message, problem.hint)


def report_partner(
    desired: Iterable[Desired], token_env: str, allowed_hosts: Collection[str], credentials: CredentialReport
) -> Item:
    """Return the item of the partner token, which is needed only if a manifest has an account_id."""
    observed = [one for one in desired if one.account_id is not None]
    if not observed:
        return Item(Area.PARTNER, token_env, ItemState.OK, "not needed: no manifest has an account_id")
    uses = f"--observe of {environments(len(observed))} needs it"
    if not credentials.has_partner_token(token_env):
        return Item(Area.PARTNER, token_env, ItemState.MISSING, f"not set: {uses}", f"export {token_env}=…")
    problems = credentials.find_partner_problems(observed, token_env, allowed_hosts)
    if problems:
        message = "; ".join(problem.message for problem in problems)
        return Item(Area.PARTNER, token_env, ItemState.WRONG, message, problems[0].hint)
    return Item(Area.PARTNER, token_env, ItemState.OK, f"set: {uses}")
