"""Drafts of manifests for existing companies: the values in their URLs that are secrets, and a name for each.

See docs/contract.md#commands.

    account ── read_webhooks ──> URLs as a manifest writes them, and why an event has none
    companies ── make_drafts ──> drafts of manifests with {secret:NAME}, and the values by name

Nothing marks the secrets in a live URL. So each value of a query counts as a secret, and each part of a path that
looks random.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.fill import TemplateFault, double_braces, parse_template, secret_names, split_secrets
from reconciler.core.masking import mask_url
from reconciler.core.partner_account import Account
from reconciler.core.slips import FOREIGN_SECRET, find_foreign_secret
from reconciler.core.spelling import MIN_SEARCHED, undo_percent
from reconciler.core.urls import find_url_fault
from reconciler.model import EVENTS, Event, Unprinted

MIN_RANDOM = 16  # characters: a shorter part of a path does not look random
MAX_ROLE = 40  # characters of a query parameter's name that are used in a secret's name
NOTHING_REGISTERED = "nothing is registered in Plug"
PATH_ROLE = "PATH"
VALUE_ROLE = "VALUE"

IsPlain: TypeAlias = "Callable[[str], bool]"  # whether --plain keeps a value, or a parameter with its value

_URL = re.compile(r"(?P<start>(?:https?://)?[^/?]*)(?P<path>[^?]*)(?P<query>.*)", re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_DIGIT = re.compile("[0-9]")
_NO_LETTERS = re.compile("[^A-Za-z]+")
_WORD = re.compile("[a-z]*+(?:[A-Z][a-z]{2,}+)*+|[A-Z]*+")  # messageStatus, Atendimento, API
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_ESCAPE = re.compile(r"\{\{|\}\}")


class ImportedCompany(Unprinted, frozen=True):
    """The data of a company before its manifest is written.

    `values` has the manifest's other keys, dotted. `webhooks` are written as in a manifest but still contain their
    secrets. `missing` says why an event has no webhook.
    """

    environment: str
    values: Mapping[str, str | int] = field(default_factory=dict)
    webhooks: Mapping[Event, str] = field(default_factory=dict)
    missing: Mapping[Event, str] = field(default_factory=dict)


class Draft(Struct, frozen=True):
    """The content of a manifest that will be written. It contains no secret."""

    environment: str
    values: Mapping[str, str | int]
    webhooks: Mapping[Event, str]
    missing: Mapping[Event, str]


class Drafts(Unprinted, frozen=True):
    """The drafts of all companies, and the secrets that are not in them.

    `general` has the secrets that several environments share, `own` those of one environment, each by name. `showing`
    has the environments and keys, other than webhooks, whose value contains a secret.
    """

    drafts: tuple[Draft, ...]
    general: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    showing: tuple[tuple[str, str], ...] = ()

    def count_secrets(self) -> int:
        return len(self.general) + sum(map(len, self.own.values()))

    def list_names(self) -> list[str]:
        """Return the names of the secrets, sorted."""
        return sorted({*self.general, *(name for own in self.own.values() for name in own)})

    def list_values(self) -> list[str]:
        return [*self.general.values(), *(value for own in self.own.values() for value in own.values())]


class SecretRules(Unprinted, frozen=True):
    """The rules for naming secrets. `prefix` begins each name, `token_prefix` the names of the tokens' variables.

    `is_plain` says which texts --plain keeps. `known` has the available secrets by name, `tokens` the other values that
    no manifest may contain. `taken` has the secret names in existing manifests.
    """

    prefix: str
    token_prefix: str
    is_plain: IsPlain
    known: Mapping[str, str] = field(default_factory=dict)
    tokens: Sequence[str] = ()
    taken: frozenset[str] = frozenset()


# --- the webhooks of an account ----------------------------------------------------------------------


def read_webhooks(account: Account, *, allow_local: bool) -> tuple[dict[Event, str], dict[Event, str]]:
    """Return the URLs of an account as a manifest writes them, and the reason for each event that has none.

    A URL that is not valid in a manifest gives such a reason. It may contain any text, so the reason shows its host
    alone.
    """
    webhooks: dict[Event, str] = {}
    missing: dict[Event, str] = {}
    for event in EVENTS:
        gap, url = account.find_gap(event), account.shown.get(event)
        if gap is not None:
            missing[event] = gap
        elif not url:
            missing[event] = NOTHING_REGISTERED
        else:
            written = double_braces(url)
            fault = find_url_fault(written, allow_local=allow_local)
            if fault is None:
                webhooks[event] = written
            else:
                missing[event] = f"Plug holds {mask_url(url)}, which is not valid in a manifest: {fault.message}"
    return webhooks, missing


def complete_company(company: ImportedCompany, account: Account, *, allow_local: bool) -> ImportedCompany:
    """Return the company with the webhooks of its account added. Those that it already has are kept."""
    webhooks, missing = read_webhooks(account, allow_local=allow_local)
    known = {**webhooks, **company.webhooks}
    return replace(
        company,
        webhooks={event: known[event] for event in EVENTS if event in known},
        missing={event: reason for event, reason in missing.items() if event not in known},
    )


# --- the values in a URL -----------------------------------------------------------------------------


class _Hidden(Unprinted, frozen=True):
    """A value that is replaced by a secret. `role` is the part of the secret's name that says where the value is."""

    value: str
    role: str


_Part: TypeAlias = "str | _Hidden"


def looks_random(text: str) -> bool:
    """Return whether a part of a path may be a key: a UUID, a JWT, NAME=VALUE, or 16 or more mixed characters."""
    decoded = undo_percent(text)
    if "=" in decoded or _UUID.fullmatch(decoded) or ("eyJ" in decoded and "." in decoded):
        return True
    words = _NO_LETTERS.split(decoded)
    if len(decoded) < MIN_RANDOM or not any(words):
        return False
    return _DIGIT.search(decoded) is not None or not all(map(_WORD.fullmatch, words))


def _split(written: str, is_hidden: Callable[[str], bool], is_plain: IsPlain) -> list[_Part]:
    """Split a URL, as a manifest writes it, into literal texts and the values to hide. Placeholders are kept."""
    match = _URL.fullmatch(written)
    assert match is not None, "every text has these three parts"
    parts: list[_Part] = [match["start"]]
    for piece in re.split("(/)", match["path"]):
        value = _undouble(piece)
        is_value = piece != "/" and not _has_placeholder(piece) and is_hidden(value) and not is_plain(value)
        parts.append(_Hidden(value, PATH_ROLE) if is_value else piece)
    for piece in re.split("([?&;])", match["query"]):
        parts += [piece] if piece in ("", "?", "&", ";") else _split_parameter(piece, is_plain)
    return parts


def _split_parameter(written: str, is_plain: IsPlain) -> list[_Part]:
    name, equals, value = written.partition("=")
    if _has_placeholder(value or name) or is_plain(_undouble(written)):
        return [written]
    if not equals or looks_random(name):
        return [_Hidden(_undouble(written), VALUE_ROLE)]
    plain = _undouble(value)
    if not plain or is_plain(plain):
        return [written]
    return [f"{name}=", _Hidden(plain, _capitalize(name)[:MAX_ROLE].strip("_") or VALUE_ROLE)]


def _has_placeholder(written: str) -> bool:
    """Return whether a part has a placeholder: a var, or a secret that already has a name."""
    return "{" in _ESCAPE.sub("", written)


def _undouble(written: str) -> str:
    return written.replace("{{", "{").replace("}}", "}")


def _capitalize(name: str) -> str:
    """Return a name in capitals: RECEIVE_MESSAGE for `receiveMessage` and for `receive-message`."""
    return _BETWEEN_WORDS.sub("_", name).strip("_").upper()


class _Index:
    """Known values to search for. The time of a search depends on the text's length, not on their number."""

    def __init__(self, values: Iterable[str]) -> None:
        self._by_start: dict[str, set[str]] = defaultdict(set)
        for value in values:
            if len(value) >= MIN_SEARCHED:
                self._by_start[value[:MIN_SEARCHED]].add(value)

    def occur_in(self, text: str) -> bool:
        return any(
            text.startswith(value, at)
            for at in range(len(text) - MIN_SEARCHED + 1)
            for value in self._by_start.get(text[at : at + MIN_SEARCHED], ())
        )


# --- names -------------------------------------------------------------------------------------------


class _Use(Struct, frozen=True):
    environment: str
    event: Event
    role: str


def _name_values(uses: Mapping[str, Sequence[_Use]], rules: SecretRules, placed: Collection[str]) -> dict[str, str]:
    """Give each value one name, which no other value of the same environment has.

    Values of different environments may share a name if they have the same role, so that one _defaults.yaml can serve
    all of them. `placed` has the names that are already in the URLs; their values are not known here.
    """

    def is_free(name: str, value: str, environments: Collection[str]) -> bool:
        if name in rules.known:
            return rules.known[name] == value
        # a value for several environments must not get the name of an existing manifest's secret
        is_other = name in placed or (len(environments) > 1 and name in rules.taken)
        return not is_other and taken[name].isdisjoint(environments)

    values_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for value, used in uses.items():
        for use in used:
            values_of[use.environment, use.role].add(value)
    known = {value: name for name, value in sorted(rules.known.items()) if len(value) >= MIN_SEARCHED}
    taken: dict[str, set[str]] = defaultdict(set)  # name -> environments
    names: dict[str, str] = {}
    for value, used in uses.items():
        environments = {use.environment for use in used}
        alone = all(len(values_of[use.environment, use.role]) == 1 for use in used)
        candidates = [known[value]] if value in known else _candidates(used[0], rules.prefix, alone=alone)
        names[value] = next(name for name in candidates if is_free(name, value, environments))
        taken[names[value]] |= environments
    return names


def _candidates(use: _Use, prefix: str, *, alone: bool) -> Iterator[str]:
    if alone:
        yield prefix + use.role
    name = f"{prefix}{_capitalize(use.event)}_{use.role}"
    yield name
    yield from (f"{name}_{number}" for number in count(2))


# --- drafts ------------------------------------------------------------------------------------------


def make_drafts(companies: Sequence[ImportedCompany], rules: SecretRules, *, allow_local: bool) -> Drafts:
    """Return the drafts of the companies' manifests, and the values that they replace by secrets.

    The URLs are cut twice: a part of a path also counts as a secret if it is a secret in another URL, which only the
    first cut shows.
    """
    available = (*rules.tokens, *rules.known.values())
    found_anywhere = _Index(available)
    cut = _cut(companies, rules, looks_random)
    values = {value for value in _find_uses(companies, cut) if len(value) >= MIN_SEARCHED}
    cut = _cut(companies, rules, lambda part: part in values or looks_random(part) or found_anywhere.occur_in(part))
    uses = _find_uses(companies, cut)
    placed = {name for company in companies for url in company.webhooks.values() for name in secret_names(url)}
    names = _name_values(uses, rules, placed)
    hidden = _Index([*uses, *available])
    drafts = [
        _make_draft(company, _name_parts(urls, names), hidden, rules, allow_local=allow_local)
        for company, urls in zip(companies, cut, strict=True)
    ]
    showing = tuple(
        (company.environment, key)
        for company in companies
        for key, value in company.values.items()
        if key.startswith(("vars.", "api.", "description")) and hidden.occur_in(str(value))
    )
    return Drafts(tuple(drafts), *_arrange(drafts, uses, names), showing)


_Cut: TypeAlias = "list[dict[Event, list[_Part]]]"  # one for each company


def _cut(companies: Sequence[ImportedCompany], rules: SecretRules, is_hidden: Callable[[str], bool]) -> _Cut:
    """Cut the URLs of all companies. An environment's name is never a secret: the manifest has it anyway."""
    cut: _Cut = []
    for company in companies:

        def is_plain(text: str, own: str = company.environment) -> bool:
            return text == own or rules.is_plain(text)

        cut.append({event: _split(url, is_hidden, is_plain) for event, url in company.webhooks.items()})
    return cut


def _find_uses(companies: Sequence[ImportedCompany], cut: _Cut) -> dict[str, list[_Use]]:
    """Return the uses of each value, in the order of companies and events."""
    uses: dict[str, list[_Use]] = defaultdict(list)
    for company, urls in zip(companies, cut, strict=True):
        for event, parts in urls.items():
            for part in parts:
                if isinstance(part, _Hidden):
                    uses[part.value].append(_Use(company.environment, event, part.role))
    return uses


def _name_parts(urls: Mapping[Event, Sequence[_Part]], names: Mapping[str, str]) -> dict[Event, str]:
    return {
        event: "".join(part if isinstance(part, str) else f"{{secret:{names[part.value]}}}" for part in parts)
        for event, parts in urls.items()
    }


def _make_draft(
    company: ImportedCompany, urls: Mapping[Event, str], hidden: _Index, rules: SecretRules, *, allow_local: bool
) -> Draft:
    webhooks: dict[Event, str] = {}
    missing = dict(company.missing)
    for event, text in urls.items():
        reason = _find_unwritable(text, hidden, rules, allow_local=allow_local)
        if reason is None:
            webhooks[event] = text
        else:
            missing[event] = reason
    in_order = {event: missing[event] for event in EVENTS if event in missing}
    return Draft(company.environment, company.values, webhooks, in_order)


def _find_unwritable(text: str, hidden: _Index, rules: SecretRules, *, allow_local: bool) -> str | None:
    """Return why a URL whose secrets have been replaced can't be in a manifest; None if it can."""
    if any(hidden.occur_in(literal) for literal in split_secrets(text)[0]):
        return "its URL shows a value that is a secret elsewhere; --plain keeps that value everywhere"
    try:
        template = parse_template(text)
    except TemplateFault as error:
        return f"its URL {error.message}"
    if find_foreign_secret(text, rules.prefix, rules.token_prefix) is not None:
        return f"its URL {FOREIGN_SECRET}"
    fault = None if template.names else find_url_fault(text, allow_local=allow_local)
    return None if fault is None else f"its URL {fault.message}"


def _arrange(
    drafts: Sequence[Draft], uses: Mapping[str, Sequence[_Use]], names: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the secrets for all environments, and those of each one, by name, without those that no draft names."""
    named = {
        draft.environment: {name for url in draft.webhooks.values() for name in secret_names(url)} for draft in drafts
    }
    sharing: dict[str, int] = defaultdict(int)
    for name in names.values():
        sharing[name] += 1
    general: dict[str, str] = {}
    own: dict[str, dict[str, str]] = defaultdict(dict)
    for value, used in uses.items():
        name = names[value]
        environments = [one for one in dict.fromkeys(use.environment for use in used) if name in named[one]]
        if len(environments) > 1 and sharing[name] == 1:
            general[name] = value
        else:
            for environment in environments:
                own[environment][name] = value
    return general, own
