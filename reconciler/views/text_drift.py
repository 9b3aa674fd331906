"""Drift for a terminal: the findings, with alike environments as one group, then the advice for each kind.

See docs/contract.md#drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Drift, Finding, FindingKind
from reconciler.text.counts import environments
from reconciler.text.escape import for_terminal
from reconciler.views import words
from reconciler.views.style import Style, compare, host_lines, name_lines, next_lines, wrap
from reconciler.views.where_words import new_state_lines, where_lines

EVENT_INDENT = "      "
EXPECTED, ACTUAL = "        expected  ", "        actual    "


def render_drift(
    drift: Drift,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    colour: bool,
    width: int = 100,
    on_github: bool = False,
) -> str:
    """Return the findings as text; the last line is the summary. `on_github`: the reader has the team's workflows.

    Environments whose findings differ only in the values of their vars are one group.
    """
    style = Style(colour)
    groups = group_findings(drift.findings, vars_by_environment)
    sections = [new_state_lines(drift.where, style)]
    sections += [_group_lines(group, style, width) for group in groups]
    sections.append(next_lines(words.drift_advice(drift, on_github=on_github), style, width=width))
    sections.append(where_lines(drift.where, style, width))
    sections.append([*_looked_at_lines(drift, style, width), style.bold(words.drift_summary(drift))])
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _looked_at_lines(drift: Drift, style: Style, width: int) -> list[str]:
    """Return what was compared; nothing without drift, as the summary says it then."""
    if not words.has_drift(drift):
        return []
    return [style.dim(line) for line in wrap(f"Looked at {words.looked_at(drift)}.", indent="", width=width)]


def _group_lines(group: FindingGroup, style: Style, width: int) -> list[str]:
    several = len(group.environments) > 1
    name = f"{environments(len(group.environments))} alike" if several else for_terminal(group.environments[0])
    paint = _painter(group.kind, style)
    message = group.message
    heading = f"{paint('!')} {style.bold(name)}  {paint(group.kind.value)}"
    lines = _wrapped(heading, message, f"! {name}  {group.kind.value}", width)
    for finding in group.findings:
        lines += _finding_lines(finding, "" if message is not None else finding.message, style)
    lines += host_lines(words.finding_hosts(group), style, indent="    ", width=width)
    if several:
        whole = group.kind is not FindingKind.UNOBSERVABLE
        lines += ["    environments", *name_lines(group.environments, indent=EVENT_INDENT, width=width, whole=whole)]
    return lines


def _wrapped(heading: str, message: str | None, plain: str, width: int) -> list[str]:
    """Return the heading with the message behind it, or below it if the line would be too long.

    `plain` is the heading without colour.
    """
    if message is None:
        return [heading]
    shown = for_terminal(message)
    if len(plain) + 2 + len(shown) <= width:
        return [f"{heading}: {shown}"]
    return [f"{heading}:", *wrap(shown, indent=EVENT_INDENT, width=width)]


def _painter(kind: FindingKind, style: Style) -> Callable[[str], str]:
    if kind is FindingKind.UNOBSERVABLE:
        return style.dim
    return style.red if kind in (FindingKind.LIVE, FindingKind.UNCERTAIN) else style.yellow


def _finding_lines(finding: Finding, message: str, style: Style) -> list[str]:
    """Return the event, and below it the expected and the actual URL."""
    event = finding.event.value if finding.event else ""
    shown = f"  {style.dim(for_terminal(message))}" if message else ""
    lines = [f"{EVENT_INDENT}{event}{shown}"] if event or shown else []
    actual = words.actual_of(finding)
    if finding.expected is None or actual is None or finding.actual is None or words.is_masked(actual):
        if finding.expected is not None:
            lines.append(EXPECTED + style.green(for_terminal(finding.expected)))
        if actual is not None:
            lines.append(ACTUAL + style.red(for_terminal(actual)))
        return lines
    actual_lines, expected_lines = compare((ACTUAL, actual), (EXPECTED, finding.expected), style)
    return [*lines, *expected_lines, *actual_lines]
