"""The hosts of several environments' URLs, each with the environments that have it.

See docs/contract.md#plan, docs/contract.md#drift.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from reconciler.core.urls import host_with_port_of


class HostUse(Struct, frozen=True):
    """A host, with the port where the URL has one, and the environments with a webhook there, sorted."""

    host: str
    environments: tuple[str, ...]
    is_new: bool  # no applied record has a webhook there
    is_usual: bool  # all environments have it, or more than half and it is the most frequent: they need not be named
    others: tuple[str, ...] = ()  # the environments without a webhook there, if they are fewer; sorted


def list_host_uses(
    hosts_of: Iterable[tuple[str, Iterable[str]]], new_hosts: frozenset[str] = frozenset()
) -> tuple[HostUse, ...]:
    """Return every host of these environments: new ones first, then by the number of environments, then by name.

    `hosts_of` has each environment once, with its distinct hosts.
    """
    every: list[str] = []
    environments: dict[str, list[str]] = {}
    for environment, hosts in hosts_of:
        every.append(environment)
        for host in hosts:
            environments.setdefault(host, []).append(environment)
    every.sort()
    counts = sorted(map(len, environments.values()), reverse=True)
    usual = {len(every)}
    if counts and 2 * counts[0] > len(every) and counts[1:2] != counts[:1]:
        usual.add(counts[0])
    uses = [
        HostUse(host, tuple(sorted(names)), host in new_hosts, len(names) in usual, _find_fewer(every, names))
        for host, names in environments.items()
    ]
    return tuple(sorted(uses, key=lambda use: (not use.is_new, -len(use.environments), use.host)))


def find_hosts(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of URLs, each once, sorted. A text without a host is ignored."""
    return tuple(sorted({host_with_port_of(url) for url in urls} - {""}))


def _find_fewer(every: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the names in `every` that are not in `names`, if these are fewer than `names`; else nothing."""
    if 2 * len(names) <= len(every):
        return ()
    known = frozenset(names)
    return tuple(name for name in every if name not in known)
