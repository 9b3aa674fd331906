"""The loader's own types: values with their places, merged manifests, and the options and result of a load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from reconciler.core.policy import Policy
from reconciler.core.urls import is_loopback_url
from reconciler.model import AuthScheme, BodyForm, Desired, Location, Problem


class Value(Struct, frozen=True):
    """A value and its place. `value` is None if it can't be used; its fault is already reported.

    The place is not a `Location`: for the seventy thousand URLs of a large fleet, to make them takes too long.
    """

    value: Any
    file: str
    line: int
    column: int

    @property
    def source(self) -> Location:
        return Location(self.file, self.line, self.column)


class TreeOptions(Struct, frozen=True):
    """The settings that concern manifests. `policy` is the one in the settings."""

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
    known_secrets: tuple[str, ...] = ()  # masked, like the tokens, in every problem; may contain the tokens too
    own_secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)  # environment -> names in secrets_file
    tokens_file_environments: frozenset[str] = frozenset()
    tokens_file_unread: bool = False  # it can't be read, so it is unknown which environments share a variable
    base_url_override: str | None = None  # the demo's sandbox replaces every base URL

    @property
    def allows_local(self) -> bool:
        """Return whether an environment that sets no base URL may have a receiver on this machine."""
        return self.allow_local_receivers and is_loopback_url(self.base_url_override or self.base_url)


class Tree(Struct, frozen=True):
    """The result of a load. `desired` is sorted by wave and name, without the environments that have faults.

    `names` includes environments with faults, and the stems of files that can't be parsed. `repeated` has the names
    that several manifests give.
    """

    desired: tuple[Desired, ...]
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    names: frozenset[str]
    policies: Mapping[str, Policy] = field(default_factory=dict)  # by environment, the settings' own merged in
    repeated: frozenset[str] = frozenset()
    kept: Entry | None = None  # the merged manifest of the one environment that the caller asked for

    def count_right(self) -> int:
        """Return the number of environments without an error in their manifest or in the files with their URLs."""
        wrong = {problem.file for problem in self.errors}
        return sum(
            one.source.file not in wrong and wrong.isdisjoint(source.file for source in one.sources.values())
            for one in self.desired
        )


class Vars(Struct, frozen=True):
    """The vars of a manifest: its own, and those of the folders around it.

    The two are not merged: a thousand manifests below one large file of defaults would each have a copy of it.
    """

    own: Mapping[str, Value] = field(default_factory=dict)
    inherited: Mapping[str, Value] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        """Return the nearest value of this name."""
        return self.own.get(name) or self.inherited.get(name)

    def names(self) -> Iterator[str]:
        """Yield the names, the manifest's own first; a name may come twice."""
        yield from self.own
        yield from self.inherited


class InheritedDefaults(Struct, frozen=True):
    """The defaults that a folder's manifests inherit."""

    values: Mapping[str, Value]
    policy: Policy
    broken: bool = False  # a defaults file can't be used; it may have held anything, so nothing is reported as missing
    vars: Mapping[str, Value] = field(default_factory=dict)


class Named(Struct, frozen=True):
    """The part of a manifest that is kept until all are read and compared. `token_env` is None if it can't be used.

    `values` has those that no two environments may share, if the manifest gives them.
    """

    name: str
    start: Location
    policy: Policy
    token_env: str | None
    values: Mapping[str, Value]


class Entry(Struct, frozen=True):
    """One manifest, merged over its defaults. `values` has everything but the vars."""

    name: str
    nameless: bool  # its name is not valid, which is reported; the rest is still checked
    values: Mapping[str, Value]
    policy: Policy
    broken: bool
    start: Location
    webhooks_at: Location
    unknown_events: frozenset[str]
    vars: Vars = field(default_factory=Vars)
