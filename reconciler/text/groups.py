"""Environments whose changes are alike but for their own name and vars, so that they are read once (CONTRACT §5).

What the manifests were written with isn't in a plan, only the values that were filled in: they are put back
as `{environment}` and `{NAME}`, and equal texts are alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from reconciler.model import (
    Change,
    CheckStage,
    EnvironmentPlan,
    EnvironmentResult,
    Event,
    Finding,
    FindingKind,
    LiveDifference,
    Plan,
    ReceiverCheck,
)

SHOWN_ONE_BY_ONE = 5  # up to so many alike environments are shown each on its own
ENVIRONMENT = "environment"

_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TRIED = re.compile(r" \(tried \d+ times\)$", re.ASCII)
_FIRST_MARK = 0xF0000  # private use: a URL is ASCII, so no mark is ever taken for a part of one

Mark: TypeAlias = Callable[[str, str, str], str]  # (text, value, mark) -> text


@dataclass(frozen=True, slots=True)
class Group:
    """One environment, or more than five that are alike, in the plan's order.

    Of several, `representative` is the first, its URLs written with `{environment}` and `{NAME}` for the
    values that differ among the members; a value that all share is left as it is.
    """

    members: tuple[EnvironmentPlan, ...]
    representative: EnvironmentPlan

    @property
    def environments(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(member.environment for member in self.members))


def group_alike(plan: Plan, vars_by_environment: Mapping[str, Mapping[str, str]] | None = None) -> list[Group]:
    """The creates, updates and reasserts of a plan, each in exactly one group, in the order of the first members.

    Alike are those of equal action, reasons, texts and changes of the destination; waves may differ.
    `vars_by_environment` holds what was filled into the texts beside the names. Linear in the size of the plan.
    Values are looked for as whole words first (`com` is not found in `example.com`'s `company`), then, among
    those still alone, anywhere (`{environment}corp`).
    """
    values = _Values(vars_by_environment or {})
    groups: list[Group] = []
    rest: list[EnvironmentPlan] = [planned for planned in plan.environments if planned.action.puts]
    for mark in (mark_words, mark_anywhere):
        alike: dict[Hashable, list[EnvironmentPlan]] = {}
        for planned in rest:
            alike.setdefault(_likeness(planned, values, mark), []).append(planned)
        rest = []
        for members in alike.values():
            if len(members) > SHOWN_ONE_BY_ONE:
                groups.append(Group(tuple(members), _represent(members, values, mark)))
            else:
                rest += members
    groups += [Group((planned,), planned) for planned in rest]
    place = {planned.environment: at for at, planned in enumerate(plan.environments)}
    return sorted(groups, key=lambda group: place[group.members[0].environment])


def mark_words(text: str, value: str, mark: str) -> str:
    """`value` replaced where no letter or digit touches it."""
    parts: list[str] = []
    kept = start = 0
    while (at := text.find(value, start)) >= 0:
        end = at + len(value)
        if text[at - 1 : at].isalnum() or text[end : end + 1].isalnum():
            start = at + 1
            continue
        parts += (text[kept:at], mark)
        kept = start = end
    parts.append(text[kept:])
    return "".join(parts)


def mark_anywhere(text: str, value: str, mark: str) -> str:
    """`value` replaced wherever it stands."""
    return text.replace(value, mark)


class _Values:
    """Which values were filled into the texts of each environment, longest first, and a mark for each name."""

    def __init__(self, variables: Mapping[str, Mapping[str, str]]) -> None:
        self._variables = variables
        self._marks: dict[str, str] = {}

    def of(self, environment: str) -> dict[str, str]:
        """Name -> value."""
        return {ENVIRONMENT: environment, **self._variables.get(environment, {})}

    def mark_of(self, name: str) -> str:
        return self._marks.setdefault(name, chr(_FIRST_MARK + len(self._marks)))

    def put_back(self, text: str, environment: str, mark: Mark) -> str:
        """The text with a mark in place of each value."""
        filled = sorted(self.of(environment).items(), key=lambda item: (-len(item[1]), item[0]))
        for name, value in filled:
            if value:
                text = mark(text, value, self.mark_of(name))
        return text

    def written(self, members: Iterable[EnvironmentPlan]) -> list[tuple[str, str]]:
        """What stands for each mark in the texts of these members: `{NAME}`, or the value that all share."""
        seen: dict[str, set[str | None]] = {}
        every = [self.of(member.environment) for member in members]
        for name in every[0]:
            seen[name] = {values.get(name) for values in every}
        return [
            (self.mark_of(name), every[0][name] if len(values) == 1 else f"{{{name}}}") for name, values in seen.items()
        ]


def _likeness(planned: EnvironmentPlan, values: _Values, mark: Mark) -> Hashable:
    texts = [text or "" for change in planned.changes for text in (change.before, change.after)]
    texts += [text or "" for difference in planned.live for text in (difference.actual, difference.expected)]
    return (
        planned.action,
        planned.reasons,
        planned.destination_changes,
        tuple((change.event, change.before is None) for change in planned.changes),
        tuple((difference.event, difference.actual is None) for difference in planned.live),
        values.put_back("\0".join(texts), planned.environment, mark),
    )


def _represent(members: list[EnvironmentPlan], values: _Values, mark: Mark) -> EnvironmentPlan:
    first = members[0]
    written = values.written(members)

    def rewrite(text: str | None) -> str | None:
        if text is None:
            return None
        text = values.put_back(text, first.environment, mark)
        for sign, instead in written:
            text = text.replace(sign, instead)
        return text

    changes = tuple(
        Change(change.event, rewrite(change.before), rewrite(change.after) or "", change.source)
        for change in first.changes
    )
    live = tuple(LiveDifference(one.event, rewrite(one.actual), rewrite(one.expected)) for one in first.live)
    return replace(first, changes=changes, live=live)


# --- findings --------------------------------------------------------------------------------------


def group_findings(findings: Sequence[Finding]) -> list[list[Finding]]:
    """What is unobservable for the same reason in more than five environments as one; every other alone.

    In the order given. `whenDisconnecting` is unobservable everywhere: a fleet's drift must not drown in it.
    """
    alike: dict[Hashable, list[Finding]] = {}
    for at, one in enumerate(findings):
        likeness: tuple[Event | None, str] | int = at
        if one.kind is FindingKind.UNOBSERVABLE:
            likeness = (one.event, one.message)
        alike.setdefault(likeness, []).append(one)
    groups: list[list[Finding]] = []
    for members in alike.values():
        groups += [members] if len(members) > SHOWN_ONE_BY_ONE else [[member] for member in members]
    return groups


# --- results ---------------------------------------------------------------------------------------


def group_failures(results: Sequence[EnvironmentResult]) -> list[list[EnvironmentResult]]:
    """Those of like status and message, where they are more than five, largest first; then each of the others.

    Otherwise in the order given.
    """
    alike: dict[tuple[int | None, str], list[EnvironmentResult]] = {}
    for one in results:
        alike.setdefault((one.status, like_message(one)), []).append(one)
    groups = sorted((members for members in alike.values() if len(members) > SHOWN_ONE_BY_ONE), key=len, reverse=True)
    few = {id(one) for members in alike.values() if len(members) <= SHOWN_ONE_BY_ONE for one in members}
    return [*groups, *([one] for one in results if id(one) in few)]


def like_message(one: EnvironmentResult) -> str:
    """The message without what is the environment's own: its name, as it is and as in the name of its token's
    variable, instants (of a lease), and how often it was tried."""
    message = re.sub(rf"(?<![A-Za-z0-9]){re.escape(one.environment)}(?![A-Za-z0-9])", "ENVIRONMENT", one.message)
    variable = re.sub(r"[^A-Z0-9]", "_", one.environment.upper())
    message = re.sub(rf"(?<=_){re.escape(variable)}(?![A-Z0-9])", "ENVIRONMENT", message)
    return _INSTANT.sub("TIME", _TRIED.sub("", message))


def message_of(group: Sequence[EnvironmentResult]) -> str:
    """What all of a group say; instants that differ as the first and the last of them."""
    if len(group) == 1:
        return group[0].message
    said = [_INSTANT.findall(one.message) for one in group]
    ranges = []
    for instants in zip(*said, strict=False):  # alike messages hold as many of them
        first, last = min(instants), max(instants)
        ranges.append(first if first == last else f"{first} to {last}")
    parts = like_message(group[0]).split("TIME")
    if len(parts) != len(ranges) + 1:  # somebody's message says TIME itself
        return like_message(group[0])
    return parts[0] + "".join(instant + part for instant, part in zip(ranges, parts[1:], strict=True))


def group_failing_receivers(receivers: Sequence[ReceiverCheck]) -> list[list[ReceiverCheck]]:
    """Those of one host that fail alike, where they are more than five; else each alone. In the order given."""
    alike: dict[tuple[str, CheckStage, int | None, str], list[ReceiverCheck]] = {}
    for one in receivers:
        alike.setdefault((one.place, one.stage, one.status, one.message), []).append(one)
    groups: list[list[ReceiverCheck]] = []
    for members in alike.values():
        groups += [members] if len(members) > SHOWN_ONE_BY_ONE else [[member] for member in members]
    return groups
