"""A plan for the comment on a pull request: changes first, at most 65,000 characters (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from reconciler.core.groups import Group, HostUse, group_alike, list_hosts
from reconciler.model import Action, LiveDifference, Plan
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import words
from reconciler.views.markdown_parts import MAX_CHARS, NOTE_CHARS, fit, names, page, row
from reconciler.views.where_words import new_state_paragraph, where_paragraph

OPEN_BLOCKS = 10  # of so many changes the details stand open; a longer page is skimmed first
LEAST_CHARS = 20  # no block is shorter
LIST_CHARS = 6_000  # for the warnings, and at least for the reasserts; more than fifty names ever take
HOST_CHARS = 6_000  # for the hosts of what is left out
NAMES_OF_A_HOST = (words.NAMES_SHOWN, 10, 1)  # at most; the first of these with which the whole plan fits


def render_plan(
    plan: Plan,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    max_chars: int = MAX_CHARS,
) -> str:
    """Summary, digest, notes, warnings, changes, reasserts, orphans, unchanged.

    A host that doesn't fit is left out only where fewer names don't help. It is counted.
    """
    groups = group_alike(plan, vars_by_environment)
    changed = [group for group in groups if group.representative.action is not Action.REASSERT]
    reasserted = [group for group in groups if group.representative.action is Action.REASSERT]
    head = [*new_state_paragraph(plan.where), f"## {words.plan_summary(plan)}", _summary_table(plan)]
    head += where_paragraph(plan.where)
    digest = words.shown_digest(plan)
    if digest:
        head.append(f"Digest: {for_markdown_code(digest)}")
    warnings = _warnings(plan)
    notes = _destination_notes(plan, LIST_CHARS)
    tail = [words.new_hosts_note(plan) or "", *_orphans(plan), words.unchanged_line(plan) or ""]
    room = max_chars - len(page([*head, *notes, *warnings], [], tail)) - 3 * NOTE_CHARS
    for names_of_a_host in NAMES_OF_A_HOST:
        is_last = names_of_a_host == NAMES_OF_A_HOST[-1]
        body = _Body(room - (HOST_CHARS if is_last else 0), names_of_a_host, may_cut=is_last)
        body.add(changed, reserve=LIST_CHARS if reasserted else 0, more="with changes")
        body.add(reasserted, reserve=0, more="to reassert")
        if not body.is_cut:
            break
    blocks = [*body.blocks, *_left_out_hosts(plan, body.hosts)]
    spare = max_chars - len(page([*head, *warnings], blocks, tail)) - NOTE_CHARS
    return page([*head, *_destination_notes(plan, max(spare, LIST_CHARS)), *warnings], blocks, tail)


class _Body:
    """The blocks that fit, each whole but for the hosts of the last ones, and the hosts that they show."""

    def __init__(self, room: int, names_of_a_host: int, *, may_cut: bool) -> None:
        self.blocks: list[str] = []
        self.hosts: set[str] = set()
        self.is_cut = False
        self._room = room
        self._names_of_a_host = names_of_a_host
        self._may_cut = may_cut

    def add(self, groups: Sequence[Group], *, reserve: int, more: str) -> None:
        """Add a section, and leave `reserve` characters for the next one. A block that can't fit is not even made."""
        is_open = len(groups) <= OPEN_BLOCKS
        left_out = 0
        self._room -= reserve
        for group in groups:
            if self.is_cut and not self._may_cut:
                break  # it will be done again, with fewer names
            hosts = self._find_fitting(group, is_open=is_open) if self._room > _least_size(group) else None
            if hosts is None:
                self.is_cut = True
                left_out += len(group.members)
                continue
            block = _block(group, hosts, self._names_of_a_host, is_open=is_open)
            self.blocks.append(block)
            self.hosts.update(use.host for use in hosts)
            self._room -= len(block) + 2
        self._room += reserve
        if left_out:
            further = counted(left_out, "more environment")
            self.blocks.append(f"… and {further} {more}: run `reconciler plan` to see all")

    def _find_fitting(self, group: Group, *, is_open: bool) -> Sequence[HostUse] | None:
        """Return the hosts with which the block fits: all, or the first ones; None where it doesn't fit."""

        def fits(count: int) -> bool:
            block = _block(group, group.hosts[:count], self._names_of_a_host, is_open=is_open)
            return len(block) + 2 <= self._room

        count = len(group.hosts)
        if fits(count):
            return group.hosts
        self.is_cut = True
        if len(group.members) == 1 or not self._may_cut or not fits(1):
            return None
        fewest, most = 1, count  # one fits, all don't
        while most - fewest > 1:
            middle = (fewest + most) // 2
            fewest, most = (middle, most) if fits(middle) else (fewest, middle)
        return group.hosts[:fewest]


def _left_out_hosts(plan: Plan, shown: Collection[str]) -> list[str]:
    """The hosts of what doesn't fit: those that fit here, the others counted."""
    putting = [planned for planned in plan.environments if planned.action.puts]
    missing = [use for use in list_hosts(putting, frozenset(plan.new_hosts)) if use.host not in shown]
    if not missing:
        return []
    parts = [(words.host_label(use, for_markdown_code), 1) for use in missing]
    taken, left_out = fit(parts, HOST_CHARS, between=2)
    more = f"{counted(left_out, 'more host')} not shown here: run `reconciler plan` to see all" if left_out else ""
    return [f"**Hosts of what is left out**: {' and '.join(part for part in (', '.join(taken), more) if part)}"]


def _summary_table(plan: Plan) -> str:
    count = plan.count_actions()
    header = ["unchanged" if action is Action.NOOP else action.value for action in Action]
    figures = row(*(number(count[action]) for action in Action))
    return "\n".join([row(*header), row(*("---:" for _ in header)), figures])


def _destination_notes(plan: Plan, room: int) -> list[str]:
    """Each value with its environments, as far as they fit into `room` characters; the others are counted."""
    paragraphs = []
    for note in words.destination_notes(plan):
        rows = [
            (f"- {for_markdown_code(value)}: {names(some)}", len(some))
            for value, members in note.rows
            for some in (members[at : at + words.NAMES_SHOWN] for at in range(0, len(members), words.NAMES_SHOWN))
        ]
        taken, left_out = fit(rows, room - NOTE_CHARS, between=1)
        if left_out:
            taken.append(f"- … and {counted(left_out, 'more environment')}: run `reconciler plan` to see all")
        paragraphs.append(f"**Note**: {for_markdown(note.heading)}\n\n" + "\n".join(taken))
        room -= len(paragraphs[-1]) + 2
    return paragraphs


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


def _least_size(group: Group) -> int:
    """No block of the group is shorter: escaping only ever adds characters."""
    return LEAST_CHARS + sum(len(change.before or "") + len(change.after) for change in group.representative.changes)


def _block(group: Group, hosts: Sequence[HostUse], names_of_a_host: int, *, is_open: bool) -> str:
    """One environment, or one group: what happens and why, the changes as a diff, then hosts and names."""
    planned = group.representative
    several = len(group.members) > 1
    alike = f"{environments(len(group.members))} alike"
    wave = words.waves(group.members)
    what = f"{planned.action.value}{f', {wave}' if wave else ''}: {words.reasons(planned)}{words.new_host_count(group)}"
    notes = [names(group.environments)] if several else words.host_notes(group, for_markdown_code)
    unchecked = words.unchecked_line(group)
    if unchecked:
        notes.append(for_markdown(unchecked))
    lines = _diff_lines(group)
    if not lines:  # a reassert: the texts stay
        name = f"**{alike}**" if several else for_markdown_code(planned.environment)
        listed = _host_list(group, hosts, names_of_a_host, indent="  ") if several else []
        return "\n".join([f"- {' — '.join([f'{name} {what}', *notes])}", *listed])
    title = f"<b>{alike if several else for_markdown_code(planned.environment, in_html=True)}</b> {what}"
    opening = f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>"
    listed = ["\n".join(_host_list(group, hosts, names_of_a_host, indent=""))] if several else []
    return "\n\n".join([opening, for_markdown_block(lines, language="diff"), *listed, *notes, "</details>"])


def _host_list(group: Group, hosts: Sequence[HostUse], names_of_a_host: int, *, indent: str) -> list[str]:
    lines = []
    for use in hosts:
        named = words.host_environments(use, partial(names, most=names_of_a_host))
        label = words.host_label(use, for_markdown_code)
        lines.append(f"{indent}- {label}: {environments(len(use.environments))}{named and f': {named}'}")
    left_out = len(group.hosts) - len(hosts)
    return [*lines, f"{indent}- … and {counted(left_out, 'more host')}"] if left_out else lines


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
