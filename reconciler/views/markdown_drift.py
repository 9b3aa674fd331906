"""Drift for an issue or a job summary: findings as blocks, with alike environments as one (docs/contract.md#drift)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Drift
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import words
from reconciler.views.markdown_parts import (
    MAX_CHARS,
    NOTE_CHARS,
    Block,
    FittedBlocks,
    host_list,
    names,
    next_steps,
    page,
)
from reconciler.views.where_words import new_state_paragraph, where_paragraph

OPEN_BLOCKS = 10  # with up to so many groups their details are shown open; a longer page is skimmed first


def render_drift(
    drift: Drift,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    on_github: bool = False,
) -> str:
    """Return the summary, what was compared, the groups with the most important first, and what to do next.

    `on_github`: the reader has the team's workflows, for an issue.
    """
    groups = group_findings(drift.findings, vars_by_environment)
    head = [*new_state_paragraph(drift.where), f"## {words.drift_summary(drift)}"]
    head += [f"Looked at {words.looked_at(drift)}."] if words.has_drift(drift) else []
    head += where_paragraph(drift.where)
    tail = next_steps(words.drift_advice(drift, on_github=on_github))
    room = MAX_CHARS - len(page(head, [], tail)) - NOTE_CHARS
    is_open = len(groups) <= OPEN_BLOCKS
    blocks = [Block(partial(_block, group, is_open=is_open), len(words.finding_hosts(group))) for group in groups]
    for most_names in words.NAMES_OF_A_HOST:
        body = FittedBlocks(room, most_names, may_cut=most_names == words.NAMES_OF_A_HOST[-1])
        shown = body.add(blocks)
        if not body.is_cut:
            break
    left_out = sum(group.size for group, hosts in zip(groups, shown, strict=True) if hosts is None)
    if left_out:
        body.texts.append(f"… and {counted(left_out, 'more finding')}: run `reconciler drift`")
    return page(head, body.texts, tail)


def _block(group: FindingGroup, hosts: int, most_names: int, *, is_open: bool) -> str:
    several = len(group.environments) > 1
    alike = f"{environments(len(group.environments))} alike"
    what = group.kind.value if group.message is None else f"{group.kind.value}: {for_markdown(group.message)}"
    every = words.finding_hosts(group)
    notes = [names(group.environments, max(most_names, words.NAMES_SHOWN))] if several else []
    lines = list(_diff_lines(group))
    if not lines:
        name = f"**{alike}**" if several else for_markdown_code(group.environments[0])
        listed = host_list(every, hosts, most_names, indent="  ")
        return "\n".join([f"- {' — '.join([f'{name} {what}', *notes])}", *listed])
    title = f"<b>{alike if several else for_markdown_code(group.environments[0], in_html=True)}</b> {what}"
    opening = f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>"
    listed = ["\n".join(host_list(every, hosts, most_names))] if every else []
    return "\n\n".join([opening, for_markdown_block(lines, language="diff"), *listed, *notes, "</details>"])


def _diff_lines(group: FindingGroup) -> Iterator[str]:
    """Yield the expected and the actual URL of each event; nothing for findings that have only a message."""
    for finding in group.findings:
        actual = words.actual_of(finding)
        message = f": {finding.message}" if group.message is None else ""
        if finding.event is not None:
            yield f"# {finding.event.value}{message}"
        if finding.expected is not None:
            yield f"+ expected {finding.expected}"
        if actual is not None:
            yield f"- actual   {actual}"
