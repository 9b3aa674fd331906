"""Groups of a plan's environments that are alike, and the hosts that each group would send to Plug.

See docs/contract.md#plan.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.host_uses import HostUse, find_hosts, list_host_uses
from reconciler.core.urls import host_with_port_of
from reconciler.model import Change, EnvironmentPlan, Head, LiveDifference, Plan
from reconciler.text.alike import Alike, Filled, Rewrite, fold, list_values


class Group(Struct, frozen=True):
    """One environment, or more than five that are alike, in the plan's order.

    In a group of several, `representative` is the first member with `{environment}` and `{NAME}` in its URLs for the
    values that differ among the members. As such a URL may hide hosts, `hosts` has the hosts of all members: new ones
    first, then by the number of environments. `observed` has the hosts of the URLs that Plug holds instead of the
    applied ones, and `values` what each `{NAME}` stands for.
    """

    members: tuple[EnvironmentPlan, ...]
    representative: EnvironmentPlan
    hosts: tuple[HostUse, ...]
    observed: tuple[HostUse, ...] = ()
    values: tuple[Filled, ...] = ()

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of the members, sorted."""
        return tuple(sorted(member.environment for member in self.members))


def group_alike(plan: Plan, vars_by_environment: Mapping[str, Mapping[str, str]]) -> list[Group]:
    """Return the creates, updates and reasserts of a plan, each in one group, in the order of the first members.

    Environments with equal action, reasons, texts and destination are alike. Their names and the values of
    `vars_by_environment` in the texts may differ, and so may waves, hosts and the variables of the tokens.
    """
    putting = [planned for planned in plan.environments if planned.action.puts]
    folded = fold(putting, lambda planned: planned.environment, _find_likeness, vars_by_environment)
    return [_make_group(alike, frozenset(plan.new_hosts), vars_by_environment) for alike in folded]


def _make_group(
    alike: Alike[EnvironmentPlan], new_hosts: frozenset[str], vars_by_environment: Mapping[str, Mapping[str, str]]
) -> Group:
    members, shown = alike.members, _represent(alike)
    texts = [text for change in shown.changes for text in (change.before, change.after)]
    texts += [text for difference in shown.live for text in (difference.actual, difference.expected)]
    names = (member.environment for member in members)
    return Group(
        members,
        shown,
        list_hosts(members, new_hosts),
        list_observed_hosts(members),
        list_values(names, filter(None, texts), vars_by_environment) if len(members) > 1 else (),
    )


def list_hosts(members: Iterable[EnvironmentPlan], new_hosts: frozenset[str]) -> tuple[HostUse, ...]:
    """Return every host that an apply of these environments would send to Plug."""
    return list_host_uses(((member.environment, member.hosts) for member in members), new_hosts)


def list_observed_hosts(members: Sequence[EnvironmentPlan]) -> tuple[HostUse, ...]:
    """Return every host of the URLs that Plug holds instead of the applied ones."""
    if not any(member.live for member in members):
        return ()
    return list_host_uses(
        (member.environment, find_hosts(one.actual for one in member.live if one.actual is not None))
        for member in members
    )


def find_unchanged_hosts(planned: EnvironmentPlan) -> tuple[str, ...]:
    """Return the hosts of the webhooks that are sent again unchanged, sorted, without the hosts of the changes."""
    changed = {host_with_port_of(change.after) for change in planned.changes}
    return tuple(host for host in planned.hosts if host not in changed)


def find_new_hosts(planned: Iterable[EnvironmentPlan], heads: Iterable[Head]) -> tuple[str, ...]:
    """Return the hosts that an apply would send and that no applied record of the heads has, sorted.

    Without any applied record the result is empty, as every host would be new.
    """
    sent = {host for one in planned for host in one.hosts}
    records = [head.applied for head in heads if head.applied is not None] if sent else []
    if not records:
        return ()
    return tuple(sorted(sent.difference(host_with_port_of(url) for one in records for url in one.webhooks.values())))


def _find_likeness(planned: EnvironmentPlan, rewrite: Rewrite) -> Hashable:
    texts = [text or "" for change in planned.changes for text in (change.before, change.after)]
    texts += [difference.expected or "" for difference in planned.live]
    destination = planned.destination
    return (
        planned.action,
        planned.reasons,
        destination and (destination.endpoint, destination.body, destination.auth_scheme),
        (planned.endpoint_before, planned.body_before),
        tuple((change.event, change.before is None) for change in planned.changes),
        tuple((difference.event, difference.actual is None) for difference in planned.live),
        rewrite.filled("\0".join(texts)),
        rewrite.found("\0".join(difference.actual or "" for difference in planned.live)),
    )


def _represent(alike: Alike[EnvironmentPlan]) -> EnvironmentPlan:
    first = alike.members[0]
    if len(alike.members) == 1:
        return first
    rewrite = alike.rewrite
    changes = tuple(
        Change(
            change.event,
            None if change.before is None else rewrite.filled(change.before),
            rewrite.filled(change.after),
            change.source,
        )
        for change in first.changes
    )
    live = tuple(
        LiveDifference(
            one.event,
            None if one.actual is None else rewrite.found(one.actual),
            None if one.expected is None else rewrite.filled(one.expected),
        )
        for one in first.live
    )
    return replace(first, changes=changes, live=live)
