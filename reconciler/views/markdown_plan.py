"""A plan for the comment on a pull request: changes first, at most 65,000 characters (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from reconciler.model import Action, LiveDifference, Plan
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.text.groups import Group, group_alike
from reconciler.views import words
from reconciler.views.markdown_parts import MAX_CHARS, NOTE_CHARS, fit, names, page, row

OPEN_BLOCKS = 10  # of so many changes the details stand open; a longer page is skimmed first
LEAST_CHARS = 20  # no block is shorter
LIST_CHARS = 6_000  # for the warnings, and at least for the reasserts; more than fifty names ever take


def render_plan(plan: Plan, vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> str:
    """Summary, digest, notes, warnings, changes, reasserts, orphans, unchanged."""
    groups = group_alike(plan, vars_by_environment)
    changed = [group for group in groups if group.representative.action is not Action.REASSERT]
    reasserted = [group for group in groups if group.representative.action is Action.REASSERT]
    head = [f"## {words.plan_summary(plan)}", _summary_table(plan)]
    if changed:
        head.append(f"Digest: {for_markdown_code(plan.digest)}")
    head += [f"**Note**: {for_markdown(note)}" for note in words.destination_notes(plan)]
    head += _warnings(plan)
    tail = [*_orphans(plan), words.unchanged_line(plan) or ""]
    room = MAX_CHARS - len(page(head, [], tail)) - 2 * NOTE_CHARS
    body = _blocks(changed, room - (LIST_CHARS if reasserted else 0), more="with changes")
    room -= sum(len(part) + 2 for part in body)
    body += _blocks(reasserted, room, more="to reassert")
    return page(head, body, tail)


def _summary_table(plan: Plan) -> str:
    count = plan.count_actions()
    header = ["unchanged" if action is Action.NOOP else action.value for action in Action]
    figures = row(*(number(count[action]) for action in Action))
    return "\n".join([row(*header), row(*("---:" for _ in header)), figures])


def _warnings(plan: Plan) -> list[str]:
    lines = [(f"- {for_markdown(warning)}", 1) for warning in plan.warnings]
    taken, left_out = fit(lines, LIST_CHARS, between=1)
    if left_out:
        taken.append(f"- … and {counted(left_out, 'more warning')}: run `reconciler plan` to see all")
    return ["**Warnings**\n\n" + "\n".join(taken)] if taken else []


def _orphans(plan: Plan) -> list[str]:
    orphans = [one.environment for one in plan.environments if one.action is Action.ORPHAN]
    if not orphans:
        return []
    return [
        f"**{counted(len(orphans), 'orphan')}**, in the state, in no manifest: {names(orphans)}. Plug keeps "
        "their webhooks; bring the manifest back, or drop the environment from the state: "
        "`reconciler state forget ENVIRONMENT`."
    ]


def _blocks(groups: Sequence[Group], room: int, *, more: str) -> list[str]:
    """The blocks that fit, whole; one that can't is not even made."""
    is_open = len(groups) <= OPEN_BLOCKS
    taken: list[str] = []
    left_out = 0
    for group in groups:
        block = _block(group, is_open=is_open) if room > _least_size(group) else None
        if block is not None and len(block) + 2 <= room:
            taken.append(block)
            room -= len(block) + 2
        else:
            left_out += len(group.members)
    if left_out:
        further = counted(left_out, "more environment")
        taken.append(f"… and {further} {more}: run `reconciler plan` to see all")
    return taken


def _least_size(group: Group) -> int:
    """No block of the group is shorter: escaping only ever adds characters."""
    return LEAST_CHARS + sum(len(change.before or "") + len(change.after) for change in group.representative.changes)


def _block(group: Group, *, is_open: bool) -> str:
    """One environment, or one group: what happens and why, and the changes as a diff."""
    planned = group.representative
    several = len(group.members) > 1
    alike = f"{environments(len(group.members))} alike"
    wave = words.waves(group.members)
    what = f"{planned.action.value}{f', {wave}' if wave else ''}: {words.reasons(planned)}"
    notes = [names(group.environments)] if several else []
    unchecked = words.unchecked_line(group)
    if unchecked:
        notes.append(for_markdown(unchecked))
    lines = _diff_lines(group)
    if not lines:  # a reassert: the texts stay
        name = f"**{alike}**" if several else for_markdown_code(planned.environment)
        return f"- {' — '.join([f'{name} {what}', *notes])}"
    title = f"<b>{alike if several else for_markdown_code(planned.environment, in_html=True)}</b> {what}"
    opening = f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>"
    return "\n\n".join([opening, *notes, for_markdown_block(lines, language="diff"), "</details>"])


def _diff_lines(group: Group) -> list[str]:
    planned = group.representative
    live = {difference.event: difference for difference in planned.live}
    lines: list[str] = []
    for moved in planned.destination_changes:
        lines.append(f"# {moved.part.value}")
        lines += [f"- {moved.before}"] if moved.before is not None else []
        lines.append(f"+ {moved.after}")
    for at, change in enumerate(planned.changes):
        shared = all(member.changes[at].source == change.source for member in group.members)
        lines.append(f"# {change.event.value}" + (f" ({change.source.file}:{change.source.line})" if shared else ""))
        if change.before is not None:
            lines.append(f"- {change.before}")
        if change.event in live:
            lines.append(f"! observed: {_observed(live.pop(change.event))}")
        lines.append(f"+ {change.after}")
    for difference in live.values():
        lines.append(f"# {difference.event.value}: live drift")
        lines.append(f"! observed: {_observed(difference)}")
        if difference.expected is not None:
            lines.append(f"+ {difference.expected}")
    return lines


def _observed(difference: LiveDifference) -> str:
    return words.NOTHING if difference.actual is None else difference.actual
