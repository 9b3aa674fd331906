"""Annotations, written as GitHub's workflow commands and shown at the lines of a pull request.

GitHub keeps ten errors, ten warnings and ten notices of a step and drops the rest without a message. So at most ten of
each level are printed: one of each kind of fault first, then one of each text. If there are more, the tenth counts
them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.core.groups import list_hosts, list_observed_hosts
from reconciler.core.urls import host_with_port_of
from reconciler.model import (
    CheckResult,
    DestinationChange,
    DestinationPart,
    Drift,
    EnvironmentPlan,
    EnvironmentResult,
    FindingKind,
    Plan,
    Problem,
    ReceiverCheck,
    RunResult,
    Where,
)
from reconciler.text.counts import MAX_NAMED, counted, environments, name_some, number
from reconciler.text.escape import for_workflow_data, for_workflow_property
from reconciler.text.groups import group_failing_receivers, message_of
from reconciler.text.new_state import describe_new_state
from reconciler.views import words
from reconciler.views.where_words import where_text

MAX_SHOWN = 10  # of each level, by GitHub, for each step
MAX_CHARS = 4_000  # of a message; GitHub's runner cuts it after 4,096
MOVES_SHOWN_SINGLY = 3  # changes of one part of the destinations that get an annotation each

_WARNING = re.compile(r"(?P<guard>apply would refuse: )?(?:.*?:[0-9]+:[0-9]+: )?(?P<key>[^: ]+): ")

PathOf: TypeAlias = Callable[[str], str | None]
"""Maps a file as this program shows it to its path in the repository, with `/`; None outside a repository."""


class Annotation(Struct, frozen=True):
    """One annotation. Alike ones share a `kind`, such as a key; equal ones share `detail` too.

    `line` and the columns count from 1; 0 means unknown.
    """

    level: str  # error, warning or notice
    title: str
    message: str
    kind: Hashable
    file: str = ""
    line: int = 0
    column: int = 0
    end_column: int = 0
    detail: Hashable = None


def render_validation(errors: Iterable[Problem], warnings: Iterable[Problem], *, path_of: PathOf) -> str:
    """Return an annotation for each problem, at its line."""
    return _render(
        [*(_of_problem("error", one) for one in errors), *(_of_problem("warning", one) for one in warnings)], path_of
    )


def render_plan(plan: Plan, *, path_of: PathOf) -> str:
    """Return the summary and the hosts as notices; changed destinations and the plan's warnings as warnings."""
    summary = words.plan_summary(plan)
    digest = words.shown_digest(plan)
    summary += f"\nDigest: {digest}" if digest else ""
    summary += f"\n{where_text(plan.where)}" if plan.where else ""
    shown = [Annotation("notice", "reconciler plan", summary, "plan")]
    shown += _of_new_state("reconciler plan", plan.where)
    shown += _of_hosts(plan)
    shown += [_of_note(note) for note in words.destination_notes(plan)]
    shown += _of_moves(plan)
    shown += [Annotation("warning", "reconciler plan", warning, _kind_of(warning)) for warning in plan.warnings]
    return _render(shown, path_of)


def _of_hosts(plan: Plan) -> list[Annotation]:
    """Return notices of the hosts that the plan would send to Plug, and of those that Plug holds instead."""
    putting = [planned for planned in plan.environments if planned.action.puts]
    lists = (
        ("", list_hosts(putting, frozenset(plan.new_hosts))),
        (" observed at Plug", list_observed_hosts(putting)),
    )
    return [
        Annotation(
            level="notice",
            title=f"reconciler plan: {counted(len(uses), 'host')}{what}",
            message="\n".join(_fit_hosts([("", use) for use in uses], MAX_CHARS)),
            kind=f"hosts{what}",
        )
        for what, uses in lists
        if uses
    ]


def _fit_hosts(hosts: Sequence[words.HostRow], room: int) -> list[str]:
    """Return a line for each host, with as many names as fit, or else with its number of environments alone.

    Hosts that still don't fit are counted.
    """
    for most_names in words.NAMES_OF_A_HOST:
        lines = [_host_line(row, most_names) for row in hosts]
        if sum(map(len, lines)) + len(lines) <= room:
            return lines
    return _fit_lines(lines, room, "more host")


def _host_line(host: words.HostRow, most_names: int) -> str:
    what, use = host
    label = f"{what} {words.host_label(use, str)}".lstrip()
    if not most_names:
        return f"{label}: {number(len(use.environments))}"
    named = words.host_environments(use, partial(name_some, most=most_names))
    return f"{label}: {environments(len(use.environments))}{named and f': {named}'}"


def _fit_lines(lines: Sequence[str], room: int, more: str) -> list[str]:
    """Return the first lines that fit, and a line that counts the others."""
    for at, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return [*lines[:at], f"… and {counted(len(lines) - at, more)}: see the log"]
    return list(lines)


def _of_note(note: words.DestinationNote) -> Annotation:
    """Return a notice with the rarest values and their environments; the others are counted."""
    lines = [f"{words.shorten(value)}: {name_some(names)}" for value, names in note.rows[:MAX_NAMED]]
    left_out = sum(len(names) for _, names in note.rows[MAX_NAMED:])
    lines += [f"… and {counted(left_out, 'more environment')}: see the log"] if left_out else []
    return Annotation("notice", f"reconciler plan: {note.heading}", "\n".join(lines), note.part)


def render_result(result: RunResult, *, path_of: PathOf) -> str:
    """Return what was not applied as errors, alike ones as one, and the summary."""
    shown = [_of_failures(group) for group in words.group_not_applied(result)]
    level = "error" if shown or result.state_trouble or result.interrupted else "notice"
    text = words.STATE_TROUBLE if result.state_trouble else ""
    summary = "\n".join(part for part in (words.result_summary(result), text, where_text(result.where)) if part)
    return _render([Annotation(level, "reconciler apply", summary, "result"), *shown], path_of)


def render_drift(
    drift: Drift, vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}), *, path_of: PathOf
) -> str:
    """Return each group of findings as a warning, or as a notice if it is `unobservable`, and the summary."""
    summary = "\n".join(part for part in (words.drift_summary(drift), where_text(drift.where)) if part)
    shown = [
        *_of_new_state("reconciler drift", drift.where),
        Annotation("notice", "reconciler drift", summary, "drift"),
    ]
    shown += [_of_findings(group) for group in group_findings(drift.findings, vars_by_environment)]
    return _render(shown, path_of)


def render_check(result: CheckResult, *, path_of: PathOf) -> str:
    """Return each failing receiver as an error, alike ones as one, and certificates that end soon as warnings."""
    failing = [one for one in result.receivers if not one.ok]
    shown = [_of_receivers(group) for group in group_failing_receivers(failing)]
    shown += [Annotation("warning", "reconciler check", warning, "warning") for warning in words.check_warnings(result)]
    level = "error" if failing else "notice"
    return _render([Annotation(level, "reconciler check", words.check_summary(result), "check"), *shown], path_of)


def render_error(message: str) -> str:
    """Return the error that ended a command, without a file to point at."""
    return _render([Annotation("error", "reconciler", message, message)], lambda _: None)


def render_warning(message: str) -> str:
    """Return a warning of a step, without a file to point at."""
    return _render([Annotation("warning", "reconciler", message, message)], lambda _: None)


def _of_new_state(title: str, where: Where | None) -> list[Annotation]:
    if where is None or not where.is_new:
        return []
    return [Annotation("warning", title, describe_new_state(where), "new state")]


def _of_problem(level: str, problem: Problem) -> Annotation:
    hint = f"\n{problem.hint}" if problem.hint else ""
    title = f"reconciler: {problem.key}" if problem.key else "reconciler"
    quote = f"\n> {problem.quote.text.strip()}" if problem.quote else ""
    message = problem.message + hint + quote
    place = (problem.file, problem.line, problem.column, problem.end_column)
    return Annotation(level, title, message, _family(problem.key), *place, detail=problem.message)


def _family(key: str) -> str:
    """Return the first part of a key: `webhooks` of each of the seven events."""
    return key.partition(".")[0]


def _kind_of(warning: str) -> tuple[str, str]:
    """Return the subject of a plan's warning: whether it is a guard's, and the first part of its key."""
    match = _WARNING.match(warning)
    return (match["guard"] or "", _family(match["key"])) if match else ("", warning)


def _of_moves(plan: Plan) -> list[Annotation]:
    """Return warnings of the changes of destinations, each with the environments that share it.

    Changes to a host that is new, or that has the fewest environments, come first. Many changes share one annotation,
    so that GitHub drops none of them.
    """
    members: dict[DestinationChange, list[EnvironmentPlan]] = {}
    for planned in plan.environments:
        for moved in planned.destination_changes:
            members.setdefault(moved, []).append(planned)
    used = Counter(_host_or_value(moved.after) for moved, alike in members.items() for _ in alike)
    stay = [one.destination.endpoint for one in plan.environments if one.destination and not one.destination_changes]
    used.update(map(_host_or_value, stay))
    known = {_host_or_value(moved.before) for moved in members if moved.before is not None}
    known.update(map(_host_or_value, stay))
    moves = sorted(
        members.items(),
        key=lambda item: (_host_or_value(item[0].after) in known, used[_host_or_value(item[0].after)], len(item[1])),
    )
    shown: list[Annotation] = []
    for part in DestinationPart:
        of_part = [(moved, alike) for moved, alike in moves if moved.part is part]
        several = [of_part] if len(of_part) > MOVES_SHOWN_SINGLY else [[one] for one in of_part]
        shown += [_of_move(part, some) for some in several]
    return shown


def _host_or_value(value: str) -> str:
    """Return the host of an endpoint, and any other part of a destination unchanged."""
    return host_with_port_of(value) or value


def _of_move(part: DestinationPart, moves: Sequence[tuple[DestinationChange, Sequence[EnvironmentPlan]]]) -> Annotation:
    names = name_some([planned.environment for _, alike in moves for planned in alike])
    lines: list[str] = []
    room = MAX_CHARS
    for moved, alike in moves:
        before = "" if moved.before is None else f"before {moved.before}\n"
        of = f" ({name_some([planned.environment for planned in alike])})" if len(moves) > 1 else ""
        line = f"{before}after {moved.after}{of}"
        room -= len(line) + 1
        if room < 0 and lines:
            lines.append(f"… and {counted(len(moves) - len(lines), 'more change')}: see the log")
            break
        lines.append(line)
    source = moves[0][1][0].source
    return Annotation(
        level="warning",
        title=f"reconciler plan: {part} of {names}",
        message="\n".join(lines),
        kind=part,
        file=source.file if source else "",
        line=source.line if source else 0,
        column=source.column if source else 0,
    )


def _of_failures(group: Sequence[EnvironmentResult]) -> Annotation:
    names = [one.environment for one in group]
    outcome, message = group[0].outcome.value, message_of(group)
    return Annotation("error", f"{name_some(names)}: {outcome}", message or outcome, (outcome, message))


def _of_receivers(group: Sequence[ReceiverCheck]) -> Annotation:
    first = group[0]
    title = f"{name_some(sorted({name for one in group for name in one.environments}))} {first.event}: {first.stage}"
    return Annotation("error", title, f"{first.url}\n{first.message}", (first.stage, first.message))


def _of_findings(group: FindingGroup) -> Annotation:
    level = "notice" if group.kind is FindingKind.UNOBSERVABLE else "warning"
    first = group.findings[0]
    event = f" {first.event}" if first.event and len(group.findings) == 1 else ""
    hosts = words.finding_hosts(group)
    lines = [] if group.message is None else [group.message]
    for finding in group.findings:
        if not event and finding.event is not None:
            lines.append(f"{finding.event}" if group.message else f"{finding.event}: {finding.message}")
        elif group.message is None:
            lines.append(finding.message)
        if finding.expected is not None:
            lines.append(f"expected {finding.expected}")
        if finding.actual is not None:
            lines.append(f"actual {finding.actual}")
    lines = _fit_lines(lines, MAX_CHARS // 2 if hosts else MAX_CHARS, "more line")
    lines += _fit_hosts(hosts, MAX_CHARS - sum(map(len, lines)) - len(lines))
    return Annotation(level, f"{name_some(group.environments)}{event}: {group.kind}", "\n".join(lines), group.kind)


# --- the lines ---------------------------------------------------------------------------------------


def _render(annotations: Sequence[Annotation], path_of: PathOf) -> str:
    lines = []
    for level in ("error", "warning", "notice"):
        of_level = [one for one in annotations if one.level == level]
        shown = _select_shown(of_level)
        lines += [_line(one, path_of) for one in shown]
        left = len(of_level) - len(shown)
        if left:
            more = counted(left, f"more {level}")
            lines.append(_line(Annotation(level, "reconciler", f"… and {more}: see the log", ""), path_of))
    return "".join(f"{line}\n" for line in lines)


def _select_shown(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Return all annotations, or nine of them: the first of each kind, then of each detail, then the others.

    So a repeated fault hides no other fault, and many texts about one key hide no other key.
    """
    if len(annotations) <= MAX_SHOWN:
        return list(annotations)
    of_kind: dict[Hashable, int] = {}
    of_detail: dict[Hashable, int] = {}
    for index, one in enumerate(annotations):
        of_kind.setdefault(one.kind, index)
        of_detail.setdefault((one.kind, one.detail), index)
    order = dict.fromkeys([*of_kind.values(), *of_detail.values(), *range(len(annotations))])
    return [annotations[index] for index in sorted([*order][: MAX_SHOWN - 1])]


def _line(one: Annotation, path_of: PathOf) -> str:
    path = path_of(one.file) if one.file else None
    properties = {"title": one.title}
    if path is not None:
        place = {"file": path, "line": str(max(1, one.line)), "col": str(max(1, one.column))}
        if one.end_column:
            place["endColumn"] = str(one.end_column)
        properties = {**place, **properties}
    named = ",".join(f"{name}={for_workflow_property(value)}" for name, value in properties.items())
    return f"::{one.level} {named}::{for_workflow_data(one.message)}"
