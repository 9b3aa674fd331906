"""The loader's own types: values that know their place, and what a manifest is merged into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.core.policy import Policy
from reconciler.core.urls import is_loopback_url
from reconciler.model import AuthScheme, BodyForm, Desired, Location, Problem


class Value(NamedTuple):
    """A value and its place. `value` is None where it can't be used: its fault is already reported."""

    value: Any
    source: Location


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """What the settings say of manifests. `policy` is the settings' own."""

    base_url: str
    auth_scheme: AuthScheme
    allowed_hosts: tuple[str, ...]
    body: BodyForm = BodyForm.FLAT
    allow_local_receivers: bool = False
    secret_prefix: str = "PLUG_SECRET_"  # noqa: S105 - names' beginnings
    token_prefix: str = "PLUG_TOKEN"  # noqa: S105
    policy: Policy = field(default_factory=Policy)
    partner_base_url: str | None = None
    known_tokens: tuple[str, ...] = ()
    known_secrets: tuple[str, ...] = ()  # masked, with the tokens, in all that is reported; may hold the tokens too
    own_secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)  # names, by environment: of secrets_file
    tokens_file_environments: frozenset[str] = frozenset()
    tokens_file_unread: bool = False  # there is one, but it can't be read: who shares a variable is unknown
    base_url_override: str | None = None  # the demo's sandbox replaces every base URL

    @property
    def allows_local(self) -> bool:
        """Whether an environment without a base URL of its own may have a receiver on this machine."""
        return self.allow_local_receivers and is_loopback_url(self.base_url_override or self.base_url)


@dataclass(frozen=True, slots=True)
class Tree:
    """`desired` is sorted by wave and name and lacks environments with faults; `names` holds those too.

    Of a manifest that can't be parsed `names` holds what its file is called. `repeated` are names of several manifests.
    """

    desired: tuple[Desired, ...]
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    names: frozenset[str]
    policies: Mapping[str, Policy] = field(default_factory=dict)  # by environment, the settings' own merged in
    repeated: frozenset[str] = frozenset()
    kept: Entry | None = None  # the merged manifest of the one environment that the caller asked for

    def count_right(self) -> int:
        """Return the number of environments without an error in their manifest and the files with their URLs."""
        wrong = {problem.file for problem in self.errors}
        return sum(
            one.source.file not in wrong and wrong.isdisjoint(source.file for source in one.sources.values())
            for one in self.desired
        )


@dataclass(frozen=True, slots=True)
class Vars:
    """The vars of a manifest: its own, and those of the folders around it.

    The two are not merged: a thousand manifests below one large file of defaults would each have a copy of it.
    """

    own: Mapping[str, Value] = field(default_factory=dict)
    inherited: Mapping[str, Value] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        """Return the nearest value of this name."""
        return self.own.get(name) or self.inherited.get(name)

    def names(self) -> Iterator[str]:
        """Yield the names, the nearest first; one may come twice."""
        yield from self.own
        yield from self.inherited


@dataclass(frozen=True, slots=True)
class InheritedDefaults:
    """What a folder's manifests are merged over."""

    values: Mapping[str, Value]
    policy: Policy
    broken: bool = False  # a defaults file can't be used: what it would give is unknown, so nothing is missed
    vars: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One manifest, merged. `values` has all but the vars."""

    name: str
    nameless: bool  # its name is not valid, which is reported; the rest is checked all the same
    values: Mapping[str, Value]
    policy: Policy
    broken: bool
    start: Location
    webhooks_at: Location
    unknown_events: frozenset[str]
    vars: Vars = field(default_factory=Vars)
