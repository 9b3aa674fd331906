"""Drift for an issue or a job's summary: what differs as blocks, alike environments once (CONTRACT §8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Drift
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import words
from reconciler.views.markdown_parts import MAX_CHARS, NOTE_CHARS, fit, names, page
from reconciler.views.text_drift import advice
from reconciler.views.where_words import new_state_paragraph, where_paragraph

OPEN_BLOCKS = 10  # of so many groups the details stand open; a longer page is skimmed first


def render_drift(drift: Drift, vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> str:
    """Summary, what was looked at, the groups by what matters, and what to do next."""
    groups = group_findings(drift.findings, vars_by_environment)
    head = [*new_state_paragraph(drift.where), f"## {words.drift_summary(drift)}"]
    head += [f"Looked at {words.looked_at(drift)}."] if words.has_drift(drift) else []
    head += where_paragraph(drift.where)
    texts = advice(drift.findings)
    tail = ["What to do next:\n\n" + "\n".join(f"- {for_markdown(text)}" for text in texts)] if texts else []
    room = MAX_CHARS - len(page(head, [], tail)) - NOTE_CHARS
    body, left_out = fit(_blocks(groups), room, between=2)
    if left_out:
        body.append(f"… and {counted(left_out, 'more finding')}: run `reconciler drift`")
    return page(head, body, tail)


def _blocks(groups: Sequence[FindingGroup]) -> Iterator[tuple[str, int]]:
    """Each block with the number of findings that it stands for."""
    is_open = len(groups) <= OPEN_BLOCKS
    for group in groups:
        yield _block(group, is_open=is_open), group.size


def _block(group: FindingGroup, *, is_open: bool) -> str:
    several = len(group.environments) > 1
    alike = f"{environments(len(group.environments))} alike"
    what = group.kind.value if group.message is None else f"{group.kind.value}: {for_markdown(group.message)}"
    notes = [f"Hosts: {words.list_hosts(group, for_markdown_code)}"] if group.hosts else []
    notes += [names(group.environments)] if several else []
    lines = list(_diff_lines(group))
    if not lines:
        name = f"**{alike}**" if several else for_markdown_code(group.environments[0])
        return f"- {' — '.join([f'{name} {what}', *notes])}"
    title = f"<b>{alike if several else for_markdown_code(group.environments[0], in_html=True)}</b> {what}"
    opening = f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>"
    return "\n\n".join([opening, for_markdown_block(lines, language="diff"), *notes, "</details>"])


def _diff_lines(group: FindingGroup) -> Iterator[str]:
    """Of each event what is expected and what is there; nothing where neither is known and the message says it all."""
    for finding in group.findings:
        actual = words.actual_of(finding)
        told = f": {finding.message}" if group.message is None else ""
        if finding.event is not None:
            yield f"# {finding.event.value}{told}"
        if finding.expected is not None:
            yield f"+ expected {finding.expected}"
        if actual is not None:
            yield f"- actual   {actual}"
