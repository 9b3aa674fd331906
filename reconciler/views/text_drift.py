"""Drift for a terminal: one line a finding, then what to do about each kind (CONTRACT §8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.core.escape import for_terminal
from reconciler.model import Finding, FindingKind
from reconciler.views import words
from reconciler.views.style import Style, columns, wrap

ORDER = {kind: place for place, kind in enumerate(FindingKind)}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By what matters, then by environment; the events of one stay in the order given."""
    return sorted(findings, key=lambda finding: (ORDER[finding.kind], finding.environment))


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
    rows = columns(
        (finding.kind.value, for_terminal(finding.environment), finding.event.value if finding.event else "-", "")
        for finding in findings
    )
    longest = max(len(row) for row in rows)
    return [
        f"{_painted(row.ljust(longest), finding, style)}  {for_terminal(_what(finding))}"
        for row, finding in zip(rows, findings, strict=True)
    ]


def _painted(row: str, finding: Finding, style: Style) -> str:
    if finding.kind is FindingKind.UNOBSERVABLE:
        return style.dim(row)
    paint = style.red if finding.kind in (FindingKind.LIVE, FindingKind.UNCERTAIN) else style.yellow
    return paint(row)


def _what(finding: Finding) -> str:
    parts = []
    if finding.expected is not None:
        parts.append(f"expected {finding.expected}")
    if finding.actual is not None:
        parts.append(f"actual {finding.actual}")
    return finding.message + (f": {', '.join(parts)}" if parts else "")


def _next_lines(findings: Sequence[Finding], style: Style, width: int) -> list[str]:
    occurring = {finding.kind for finding in findings}
    if not occurring:
        return []
    texts = [words.NEXT_FOR_KIND[kind] for kind in FindingKind if kind in occurring]
    return [style.bold("What to do next:"), *(line for text in texts for line in wrap(text, indent="  ", width=width))]
