"""The names in braces that are not vars: each is one problem, at the place where the slip probably is.

Many URLs of one `_defaults.yaml` may name a var that one manifest lacks. The slip is then in the manifest, not in the
seven URLs. If no manifest has the var, it is in the URLs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from msgspec import Struct, field

from reconciler.core.fill import ENVIRONMENT
from reconciler.core.slips import TOKEN_HINT
from reconciler.manifests.file_names import DEFAULTS
from reconciler.manifests.merged import Entry, TreeOptions, Value
from reconciler.manifests.schema import near_miss
from reconciler.model import Location, Problem
from reconciler.text.counts import counted, name_some

MAX_MANIFESTS = 20  # manifests with a problem of their own; for more, one problem at the URL names some of them


class _UnknownName(Struct):
    """A name that the URLs of one file hold, and the environments in which it is not a var."""

    file: str
    name: str
    urls: dict[Location, str] = field(default_factory=dict)  # their places, with their keys
    entries: dict[str, Entry] = field(default_factory=dict)  # by the manifest's file

    @property
    def is_shared(self) -> bool:
        return self.file.endswith("/" + DEFAULTS)


class UnknownNames:
    """Gathers the unknown names of all URLs."""

    def __init__(self, options: TreeOptions) -> None:
        self._options = options
        self._found: dict[tuple[str, str], _UnknownName] = {}

    def add(self, entry: Entry, key: str, url: Value, name: str) -> None:
        """Note that a URL holds a name that is not a var of this environment."""
        file = url.source.file
        one = self._found.setdefault((file, name), _UnknownName(file, name))
        one.urls[url.source] = key
        one.entries[entry.start.file] = entry

    def problems(self, defined: Iterable[str], used: set[tuple[frozenset[str], str]]) -> Iterator[Problem]:
        """Yield the problems. `defined` has the names of all vars in the tree.

        `used` has the names in the URLs, with their manifests. A misspelt var is added to it, so that it is not
        reported as unused too.
        """
        if not self._found:
            return
        known = frozenset(defined)
        named = frozenset[str]().union(*(names for names, _ in used))
        for one in self._found.values():
            hint = self._hint_at_prefix(one.name)
            if hint is not None:
                yield _at_urls(one, hint)
            else:
                yield from _explain(one, known, named, used)

    def _hint_at_prefix(self, name: str) -> str | None:
        upper = name.upper()
        if upper.startswith(self._options.secret_prefix.upper()):
            return f"write {{secret:{name}}}: a secret is filled in when the URL is sent, and shown nowhere"
        if upper.startswith(self._options.token_prefix.upper()):
            return TOKEN_HINT
        return None


def _explain(
    one: _UnknownName, known: Collection[str], named: Collection[str], used: set[tuple[frozenset[str], str]]
) -> Iterator[Problem]:
    """Yield the problem of a misspelt var, of each manifest that lacks the var, or of the URLs."""
    first = next(iter(one.entries.values()))
    several = len(one.urls) > 1
    if several:
        misspelt = near_miss(one.name, (var for var in first.vars.inherited if var not in named))
        if misspelt is not None:
            used.add((frozenset((misspelt,)), first.start.file))
            yield _at_var(one, misspelt, first.vars.inherited[misspelt])
            return
    lacked = one.name in known or (several and len(one.entries) == 1)
    if lacked and len(one.entries) <= MAX_MANIFESTS:
        at_urls = False
        for file, entry in one.entries.items():
            misspelt = near_miss(one.name, (var for var in entry.vars.own if var not in named))
            if misspelt is not None:
                used.add((frozenset((misspelt,)), file))
                yield _at_var(one, misspelt, entry.vars.own[misspelt])
            elif one.is_shared:
                urls = counted(len(one.urls), "URL")
                message = f"is missing: {urls} of {one.file} {'names' if len(one.urls) == 1 else 'name'} it"
                yield Problem.at(entry.start, f"vars.{one.name}", message, f"write {one.name} under vars")
            else:
                at_urls = True
        if not at_urls:
            return
    near = near_miss(one.name, chain((ENVIRONMENT,), first.vars.names()))
    if near is not None:
        used.update((frozenset((near,)), file) for file in one.entries)
    way = "write it under vars, here or in each manifest" if one.is_shared else "write it under vars"
    yield _at_urls(one, way if near is None else f"did you mean {{{near}}}?")


def _at_var(one: _UnknownName, name: str, var: Value) -> Problem:
    message = f"no URL names this var, and {{{one.name}}} in {counted(len(one.urls), 'URL')} is unknown"
    return Problem.at(var.source, f"vars.{name}", message, f"did you mean {one.name}?")


def _at_urls(one: _UnknownName, hint: str) -> Problem:
    """Return the problem at the first URL, which counts the others."""
    place, key = next(iter(one.urls.items()))
    more = len(one.urls) - 1
    message = f"unknown name {{{one.name}}}"
    if more:
        message += f", here and in {counted(more, 'more URL')} of this file"
    if one.is_shared:
        message += f" (in {name_some(sorted(entry.name for entry in one.entries.values()))})"
    return Problem.at(place, key, message, hint)
