"""Checks for values that two environments share, so that they would overwrite each other (docs/contract.md#checks)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter

from reconciler.core.fill import secret_names
from reconciler.manifests.merged import Entry, Named, TreeOptions, Value
from reconciler.manifests.resolve import default_token_env
from reconciler.model import EVENTS, Desired, Event, Location, Problem
from reconciler.text.counts import name_some

_COMPARED_KEYS = ("token_env", "account_id", "organization_id")  # no two environments may share one
_NO_NAMES: frozenset[str] = frozenset()
_NO_VALUES: Mapping[str, Value] = {}  # most manifests give no compared key, and share this one


def keep_compared(entry: Entry, desired: Desired | None, options: TreeOptions) -> Named:
    """Return what is compared of a manifest. `desired` is the environment that it resolved to, if it has no fault."""
    given = entry.values.get("token_env")
    if desired is not None:
        token_env: str | None = desired.token_env
    else:
        token_env = default_token_env(entry.name, options.token_prefix) if given is None else given.value
    compared = {key: entry.values[key] for key in _COMPARED_KEYS if key in entry.values}
    return Named(entry.name, entry.start, entry.policy, token_env, compared or _NO_VALUES)


def find_shared(entries: Sequence[Named], options: TreeOptions) -> Iterator[Problem]:
    """Yield a problem for environments with the same name, `token_env`, `account_id` or `organization_id`."""
    unique = list(_unique(entries))
    yield from _find_same_names(entries)
    from_file = options.tokens_file_environments

    def text_of(key: str, entry: Named) -> str | None:
        value = entry.values.get(key)
        return None if value is None else value.value

    for name, hint, value_of in (
        ("token_env", "each company has its own token", attrgetter("token_env")),
        ("account_id", "each environment is one account", partial(text_of, "account_id")),
        ("organization_id", "each environment is one company", partial(text_of, "organization_id")),
    ):
        for shared, sharing in _group(unique, value_of):
            # a tokens file has the tokens by environment, so the variable's name does not matter
            if name == "token_env" and (options.tokens_file_unread or all(one.name in from_file for one in sharing)):
                continue
            yield from _report_sharing(name, hint, sharing, shared)


def _unique(entries: Sequence[Named]) -> Iterator[Named]:
    seen: set[str] = set()
    for entry in entries:
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry


def _group(entries: Iterable[Named], value_of: Callable[[Named], str | None]) -> Iterable[tuple[str, list[Named]]]:
    """Return the values that several environments have, with these. Few have any, so only these get a list."""
    first: dict[str, Named] = {}
    groups: dict[str, list[Named]] = {}
    for entry in entries:
        value = value_of(entry)
        if value is not None and (other := first.setdefault(value, entry)) is not entry:
            groups.setdefault(value, [other]).append(entry)
    return groups.items()


def _find_same_names(entries: Sequence[Named]) -> Iterator[Problem]:
    first: dict[str, Named] = {}
    for entry in entries:
        other = first.setdefault(entry.name, entry)
        if other is not entry:
            place = f"{other.start.file}:{other.start.line}"
            message = f"{entry.name} is in {place} too"
            yield Problem.at(entry.start, "environment", message, "names are unique over the tree")


def _report_sharing(key: str, hint: str, sharing: Sequence[Named], shared: str) -> Iterator[Problem]:
    """Yield a problem at the place of each value but the first. A value in the defaults is one place, reported once.

    A default value has no place: it is made of the environment's name, and is reported at that name.
    """
    first = sharing[0]
    where = f"{first.name} ({first.start.file}:{first.start.line})"
    places: dict[tuple[Location, str], list[str]] = defaultdict(list)
    for entry in sharing[1:]:
        value = entry.values.get(key)
        place = (entry.start, "environment") if value is None else (value.source, key)
        places[place].append(entry.name)
    for (source, place_key), names in places.items():
        verb = "has" if len(names) == 1 else "have"
        default = key != place_key
        message = (
            f"{name_some(names)} {verb} the same {f'default {key}, {shared},' if default else key} as {where}: "
            "each apply would overwrite the other's webhooks"
        )
        yield Problem.at(source, place_key, message, f"write {key} into one of the two" if default else hint)


def find_shared_urls(desired: Sequence[Desired], own_secrets: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Yield a warning for a filled-in URL that two environments have, such as a staging receiver in production.

    `own_secrets` has, by environment, the names of the secrets for which the environment has its own value. A URL with
    such a secret differs from that of every other environment.
    """
    first_of: dict[str, Desired] = {}
    shared: dict[str, list[tuple[Desired, Event]]] = {}
    for one in desired:
        own = own_secrets.get(one.environment, _NO_NAMES)
        for url in one.webhooks.values():
            if own and not own.isdisjoint(secret_names(url)):
                continue
            if first_of.setdefault(url, one) is not one:
                shared[url] = []
    for one in desired if shared else ():
        own = own_secrets.get(one.environment, _NO_NAMES)
        for event in EVENTS:
            if one.webhooks[event] in shared and own.isdisjoint(secret_names(one.webhooks[event])):
                shared[one.webhooks[event]].append((one, event))
    for using in shared.values():
        first = using[0][0].environment
        others = [(one, event) for one, event in using if one.environment != first]
        if others:
            one, event = others[0]
            names = sorted({other.environment for other, _ in others})
            message = f"{name_some(names)} and {first} have the same URL"
            yield Problem.at(one.sources[event], f"webhooks.{event}", message, "a staging receiver in production?")
