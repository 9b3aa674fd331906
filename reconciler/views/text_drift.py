"""Drift for a terminal: one line a finding, then what to do about each kind (CONTRACT §8).

What is unobservable for the same reason in many environments is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.model import Finding, FindingKind
from reconciler.text.counts import environments
from reconciler.text.escape import for_terminal
from reconciler.text.groups import group_findings
from reconciler.views import words
from reconciler.views.style import Style, columns, wrap

ORDER = {kind: place for place, kind in enumerate(FindingKind)}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By what matters, then by environment; the events of one stay in the order given.

    Of the unobservable, whole environments come before single events.
    """

    def matter(finding: Finding) -> tuple[int, bool, str]:
        beside = finding.kind is FindingKind.UNOBSERVABLE and finding.event is not None
        return ORDER[finding.kind], beside, finding.environment

    return sorted(findings, key=matter)


def render_drift(findings: Iterable[Finding], *, colour: bool, width: int = 100) -> str:
    """The findings as text; the last line is the summary."""
    style = Style(colour)
    ordered = in_order(findings)
    sections = [
        _finding_lines(ordered, style),
        _next_lines(ordered, style, width),
        [style.bold(words.drift_summary(ordered))],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _finding_lines(findings: Sequence[Finding], style: Style) -> list[str]:
    if not findings:
        return []
    groups = group_findings(findings)
    rows = columns(
        (group[0].kind.value, _who(group), group[0].event.value if group[0].event else "-", "") for group in groups
    )
    longest = max(len(row) for row in rows)
    return [
        f"{_painted(row.ljust(longest), group[0], style)}  {for_terminal(_what(group[0]))}"
        for row, group in zip(rows, groups, strict=True)
    ]


def _who(group: Sequence[Finding]) -> str:
    return for_terminal(group[0].environment) if len(group) == 1 else environments(len(group))


def _painted(row: str, finding: Finding, style: Style) -> str:
    if finding.kind is FindingKind.UNOBSERVABLE:
        return style.dim(row)
    paint = style.red if finding.kind in (FindingKind.LIVE, FindingKind.UNCERTAIN) else style.yellow
    return paint(row)


def _what(finding: Finding) -> str:
    parts = []
    if finding.expected is not None:
        parts.append(f"expected {finding.expected}")
    actual = words.actual_of(finding)
    if actual is not None:
        parts.append(f"actual {actual}")
    return finding.message + (f": {', '.join(parts)}" if parts else "")


def _next_lines(findings: Sequence[Finding], style: Style, width: int) -> list[str]:
    occurring = {finding.kind for finding in findings}
    if not occurring:
        return []
    texts = [words.NEXT_FOR_KIND[kind] for kind in FindingKind if kind in occurring]
    return [style.bold("What to do next:"), *(line for text in texts for line in wrap(text, indent="  ", width=width))]
