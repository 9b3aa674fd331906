"""A plan's environments in groups that are alike, and the hosts that each group would send to Plug (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.core.urls import host_with_port_of
from reconciler.model import Change, EnvironmentPlan, Head, LiveDifference, Plan
from reconciler.text.alike import Alike, Rewrite, fold


@dataclass(frozen=True, slots=True)
class HostUse:
    """A host, with the port where the URL has one, and the environments with a webhook there, sorted."""

    host: str
    environments: tuple[str, ...]
    is_new: bool  # no applied record that was read has a webhook there
    is_usual: bool  # the most frequent, or of all environments: they need not be named
    others: tuple[str, ...] = ()  # the environments without a webhook there, where they are fewer; sorted


@dataclass(frozen=True, slots=True)
class Group:
    """One environment, or more than five that are alike, in the plan's order.

    Of several, `representative` is the first, its URLs written with `{environment}` and `{NAME}` for the values that
    differ among the members. So `hosts` has every host of all members: new ones first, then by the number of
    environments.
    """

    members: tuple[EnvironmentPlan, ...]
    representative: EnvironmentPlan
    hosts: tuple[HostUse, ...]

    @property
    def environments(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(member.environment for member in self.members))


def group_alike(plan: Plan, vars_by_environment: Mapping[str, Mapping[str, str]]) -> list[Group]:
    """Return the creates, updates and reasserts of a plan, each in one group, in the order of the first members.

    Environments are alike whose action, reasons, texts and destination are equal, but for the values of
    `vars_by_environment` and their names; their waves, hosts and the variables of their tokens may differ.
    """
    putting = [planned for planned in plan.environments if planned.action.puts]
    folded = fold(putting, lambda planned: planned.environment, _find_likeness, vars_by_environment)
    return [
        Group(alike.members, _represent(alike), list_hosts(alike.members, frozenset(plan.new_hosts)))
        for alike in folded
    ]


def list_hosts(members: Sequence[EnvironmentPlan], new_hosts: frozenset[str]) -> tuple[HostUse, ...]:
    """Return every host of these environments: new ones first, then by the number of environments, then by name."""
    environments: dict[str, list[str]] = {}
    for member in members:
        for host in member.hosts:
            environments.setdefault(host, []).append(member.environment)
    counts = sorted(map(len, environments.values()), reverse=True)
    usual = {len(members), counts[0] if counts and counts[:2] != [counts[0]] * 2 else 0}
    every = sorted(member.environment for member in members)
    uses = [
        HostUse(host, tuple(sorted(names)), host in new_hosts, len(names) in usual, _find_fewer(every, names))
        for host, names in environments.items()
    ]
    return tuple(sorted(uses, key=lambda use: (not use.is_new, -len(use.environments), use.host)))


def _find_fewer(every: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the names that are left of all, where these are fewer."""
    if 2 * len(names) <= len(every):
        return ()
    known = frozenset(names)
    return tuple(name for name in every if name not in known)


def find_unchanged_hosts(planned: EnvironmentPlan) -> tuple[str, ...]:
    """Return the hosts of webhooks that are sent again without a change, and that no change leads to, sorted."""
    changed = {host_with_port_of(change.after) for change in planned.changes}
    return tuple(host for host in planned.hosts if host not in changed)


def find_hosts(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of URLs, each once, sorted."""
    return tuple(sorted({host_with_port_of(url) for url in urls}))


def find_new_hosts(planned: Iterable[EnvironmentPlan], heads: Iterable[Head]) -> tuple[str, ...]:
    """Return the hosts that an apply would send and that no applied record of the heads has, sorted.

    None is new where there is no record: everything would be.
    """
    records = [head.applied for head in heads if head.applied is not None]
    if not records:
        return ()
    sent = {host for one in planned for host in one.hosts}
    return tuple(sorted(sent.difference(host_with_port_of(url) for one in records for url in one.webhooks.values())))


def _find_likeness(planned: EnvironmentPlan, put_back: Rewrite) -> Hashable:
    texts = [text or "" for change in planned.changes for text in (change.before, change.after)]
    texts += [text or "" for difference in planned.live for text in (difference.actual, difference.expected)]
    destination = planned.destination
    return (
        planned.action,
        planned.reasons,
        destination and (destination.endpoint, destination.body, destination.auth_scheme),
        (planned.endpoint_before, planned.body_before),
        tuple((change.event, change.before is None) for change in planned.changes),
        tuple((difference.event, difference.actual is None) for difference in planned.live),
        put_back("\0".join(texts)),
    )


def _represent(alike: Alike[EnvironmentPlan]) -> EnvironmentPlan:
    first = alike.members[0]
    if len(alike.members) == 1:
        return first

    def rewrite(text: str | None) -> str | None:
        return None if text is None else alike.rewrite(text)

    changes = tuple(
        Change(change.event, rewrite(change.before), alike.rewrite(change.after), change.source)
        for change in first.changes
    )
    live = tuple(LiveDifference(one.event, rewrite(one.actual), rewrite(one.expected)) for one in first.live)
    return replace(first, changes=changes, live=live)
