"""Groups of findings that differ only in the environment's name and vars, so that a reader reads them once.

See docs/contract.md#drift.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.host_uses import HostUse, find_hosts, list_host_uses
from reconciler.model import FINDING_ORDER, Finding, FindingKind
from reconciler.text.alike import Alike, Rewrite, fold
from reconciler.text.counts import counted
from reconciler.text.groups import join_instants, without_instants

OWN_ACTUAL = (FindingKind.ACCOUNT, FindingKind.TOKEN_EXPIRY)  # kinds whose `actual` differs in every environment
# texts that were not made from a manifest's template, so that no var was filled into them
NO_VARS = {FindingKind.ENDPOINT: ("expected", "actual"), FindingKind.LIVE: ("actual",)}


class FindingGroup(Struct, frozen=True):
    """The findings of one kind in one environment, or in more than five that are alike.

    `findings` are those of one environment. In a group of several environments, they are the first one's, with
    `{environment}` and `{NAME}` for the values that differ; `expected_hosts` and `actual_hosts` then have the hosts of
    all environments.
    """

    kind: FindingKind
    environments: tuple[str, ...]
    findings: tuple[Finding, ...]
    expected_hosts: tuple[HostUse, ...] = ()
    actual_hosts: tuple[HostUse, ...] = ()

    @property
    def message(self) -> str | None:
        """The message that all of its findings share; None if they differ."""
        messages = {finding.message for finding in self.findings}
        return messages.pop() if len(messages) == 1 else None

    @property
    def size(self) -> int:
        """The number of findings that it represents."""
        return len(self.environments) * len(self.findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by kind, the most important first, then by environment.

    Unobservable environments come before unobservable events. The events of one environment stay in the order given.
    """

    def rank(finding: Finding) -> tuple[int, bool, str]:
        is_single_event = finding.kind is FindingKind.UNOBSERVABLE and finding.event is not None
        return FINDING_ORDER[finding.kind], is_single_event, finding.environment

    return sorted(findings, key=rank)


def group_findings(
    findings: Iterable[Finding], vars_by_environment: Mapping[str, Mapping[str, str]]
) -> list[FindingGroup]:
    """Return every finding in one group, the most important kind first, then in the order of the environments."""
    of_one: dict[Hashable, list[Finding]] = {}
    for finding in in_order(findings):
        of_one.setdefault((finding.kind, finding.environment), []).append(finding)
    units = [tuple(found) for found in of_one.values()]
    folded = fold(units, lambda found: found[0].environment, _find_likeness, vars_by_environment)
    return [_make_group(alike) for alike in folded]


def _find_likeness(found: Sequence[Finding], rewrite: Rewrite) -> Hashable:
    kind = found[0].kind
    expected = "\0".join(finding.expected or "" for finding in found)
    actual = "\0".join(finding.actual or "" for finding in found if kind not in OWN_ACTUAL)
    return (
        kind,
        tuple((finding.event, finding.expected is None, finding.actual is None) for finding in found),
        _choose(rewrite, kind, "expected")(expected),
        _choose(rewrite, kind, "actual")(actual),
        rewrite.found("\0".join(without_instants(finding.message) for finding in found)),
    )


def _choose(rewrite: Rewrite, kind: FindingKind, part: str) -> Callable[[str], str]:
    return rewrite.found if part in NO_VARS.get(kind, ()) else rewrite.filled


def _make_group(alike: Alike[tuple[Finding, ...]]) -> FindingGroup:
    first = alike.members[0]
    kind = first[0].kind
    if len(alike.members) == 1:
        return FindingGroup(kind, (first[0].environment,), first)
    rewrite_expected = _choose(alike.rewrite, kind, "expected")
    shown = tuple(
        replace(
            finding,
            expected=None if finding.expected is None else rewrite_expected(finding.expected),
            actual=_join_actual([member[at] for member in alike.members], _choose(alike.rewrite, kind, "actual")),
            message=_join_messages([member[at].message for member in alike.members], alike.rewrite.found),
        )
        for at, finding in enumerate(first)
    )
    environments = tuple(found[0].environment for found in alike.members)
    if kind in OWN_ACTUAL:
        return FindingGroup(kind, environments, shown)
    expected, actual = (
        list_host_uses((found[0].environment, find_hosts(texts(found))) for found in alike.members)
        for texts in (_expected_of, _actual_of)
    )
    return FindingGroup(kind, environments, shown, expected, actual)


def _expected_of(findings: Iterable[Finding]) -> list[str]:
    return [finding.expected for finding in findings if finding.expected is not None]


def _actual_of(findings: Iterable[Finding]) -> list[str]:
    return [finding.actual for finding in findings if finding.actual is not None]


def _join_messages(messages: Sequence[str], rewrite: Callable[[str], str]) -> str:
    return join_instants(messages, rewrite(without_instants(messages[0])))


def _join_actual(findings: Sequence[Finding], rewrite: Callable[[str], str]) -> str | None:
    actual = findings[0].actual
    if actual is None or findings[0].kind not in OWN_ACTUAL:
        return None if actual is None else rewrite(actual)
    different = sorted({finding.actual or "" for finding in findings})
    if len(different) == 1:
        return actual
    if findings[0].kind is FindingKind.TOKEN_EXPIRY:
        return f"{different[0]} to {different[-1]}"
    return counted(len(different), "account")
