"""Drift for a terminal: what differs, alike environments once, then what to do about each kind.

See docs/contract.md#drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Drift, Finding, FindingKind
from reconciler.text.counts import environments
from reconciler.text.escape import for_terminal
from reconciler.views import words
from reconciler.views.style import Style, compare, host_lines, name_lines, wrap
from reconciler.views.where_words import new_state_lines, where_lines

EVENT_INDENT = "      "
EXPECTED, ACTUAL = "        expected  ", "        actual    "


def render_drift(
    drift: Drift,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    colour: bool,
    width: int = 100,
) -> str:
    """The findings as text; the last line is the summary. Environments that differ in their vars alone are folded."""
    style = Style(colour)
    groups = group_findings(drift.findings, vars_by_environment)
    sections = [new_state_lines(drift.where, style)]
    sections += [_group_lines(group, style, width) for group in groups]
    sections.append(_next_lines(drift.findings, style, width))
    sections.append(where_lines(drift.where, style, width))
    sections.append([*_looked_at_lines(drift, style, width), style.bold(words.drift_summary(drift))])
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _looked_at_lines(drift: Drift, style: Style, width: int) -> list[str]:
    """Without drift the summary says it."""
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
    """The heading with the message behind it, or below it where the line would be too long. `plain` has no colour."""
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
    """The event, and below it what is expected and what is there, one under the other."""
    event = finding.event.value if finding.event else ""
    told = f"  {style.dim(for_terminal(message))}" if message else ""
    lines = [f"{EVENT_INDENT}{event}{told}"] if event or told else []
    actual = words.actual_of(finding)
    if finding.expected is None or actual is None or finding.actual is None or words.is_masked(actual):
        if finding.expected is not None:
            lines.append(EXPECTED + style.green(for_terminal(finding.expected)))
        if actual is not None:
            lines.append(ACTUAL + style.red(for_terminal(actual)))
        return lines
    there, wanted = compare((ACTUAL, actual), (EXPECTED, finding.expected), style)
    return [*lines, *wanted, *there]


def _next_lines(findings: Iterable[Finding], style: Style, width: int) -> list[str]:
    texts = advice(findings)
    if not texts:
        return []
    return [style.bold("What to do next:"), *(line for text in texts for line in wrap(text, indent="  ", width=width))]


def advice(findings: Iterable[Finding]) -> Sequence[str]:
    """What to do next about each kind that occurs, the most important first."""
    occurring = {finding.kind for finding in findings}
    return [words.NEXT_FOR_KIND[kind] for kind in FindingKind if kind in occurring]
