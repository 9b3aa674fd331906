"""A plan for the comment on a pull request: changes first, at most 65,000 characters (docs/contract.md#plan)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from types import MappingProxyType

from msgspec import Struct

from reconciler.core.groups import Group, group_alike
from reconciler.core.host_uses import HostUse, list_host_uses
from reconciler.model import Action, LiveDifference, Plan
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import words
from reconciler.views.markdown_parts import (
    MAX_CHARS,
    NOTE_CHARS,
    Block,
    FittedBlocks,
    fit,
    host_list,
    names,
    page,
    row,
    value_list,
)
from reconciler.views.where_words import new_state_paragraph, where_paragraph

OPEN_BLOCKS = 10  # with up to so many changes their details are shown open; a longer page is skimmed first
LEAST_CHARS = 20  # no block is shorter
LIST_CHARS = 6_000  # for the warnings, and at least for the reasserts; fifty names always fit
HOST_CHARS = 6_000  # at least, for the hosts of the blocks that are left out


def render_plan(
    plan: Plan,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    max_chars: int = MAX_CHARS,
) -> str:
    """Return the summary, digest, notes, warnings, changes, reasserts, orphans and the number of the unchanged.

    A host is left out, and counted, only if it doesn't fit even with fewer names.
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
    room = max_chars - len(page([*head, *notes, *warnings], [], tail)) - 4 * NOTE_CHARS
    for most_names in words.NAMES_OF_A_HOST:
        is_last = most_names == words.NAMES_OF_A_HOST[-1]
        body = FittedBlocks(room - (HOST_CHARS if is_last else 0), most_names, may_cut=is_last)
        shown = _add(body, changed, reserve=LIST_CHARS if reasserted else 0, more="with changes")
        shown += _add(body, reasserted, reserve=0, more="to reassert")
        if not body.is_cut:
            break
    hosts = _left_out_hosts(plan, shown, room=body.room + HOST_CHARS) if body.is_cut else []
    room = max_chars - len(page([*head, *notes, *warnings], [*body.texts, *hosts], tail)) - 2 * NOTE_CHARS
    blocks = [*_with_values(body.texts, shown, room), *hosts]
    spare = max_chars - len(page([*head, *warnings], blocks, tail)) - NOTE_CHARS
    return page([*head, *_destination_notes(plan, max(spare, LIST_CHARS)), *warnings], blocks, tail)


class _Shown(Struct, frozen=True):
    """A group, how many of its hosts are shown, and its place among the texts: none if it is left out."""

    group: Group
    hosts: int
    at: int | None


def _add(body: FittedBlocks, groups: Sequence[Group], *, reserve: int, more: str) -> list[_Shown]:
    is_open = len(groups) <= OPEN_BLOCKS
    blocks = (
        Block(partial(_block, group, is_open=is_open), len(words.plan_hosts(group)), _least_size(group))
        for group in groups
    )
    places = count(len(body.texts))
    shown = list(zip(groups, body.add(blocks, reserve=reserve), strict=True))
    left_out = sum(len(group.members) for group, hosts in shown if hosts is None)
    if left_out:
        body.texts.append(f"… and {counted(left_out, 'more environment')} {more}: run `reconciler plan` to see all")
    return [
        _Shown(group, _count_hosts(group, hosts), None if hosts is None else next(places)) for group, hosts in shown
    ]


def _with_values(texts: Sequence[str], shown: Sequence[_Shown], room: int) -> list[str]:
    """Return the blocks, each group followed by what its placeholders stand for, as far as that fits."""
    found = list(texts)
    waiting = [(one.at, one.group.values) for one in shown if one.at is not None and one.group.values]
    for left, (at, values) in zip(range(len(waiting), 0, -1), waiting, strict=True):
        (text,) = value_list(values, room // left)
        if len(text) + 2 <= room // left:
            found[at] = f"{found[at]}\n\n{text}"
            room -= len(text) + 2
    return found


def _count_hosts(group: Group, shown: int | None) -> int:
    """Return how many hosts of a group are shown. A single environment shows all of them in its changes and notes."""
    if shown is None:
        return 0
    return shown if len(group.members) > 1 else len(group.hosts) + len(group.observed)


def _left_out_hosts(plan: Plan, shown: Sequence[_Shown], *, room: int) -> list[str]:
    """Return every host of the groups that are left out. Hosts that no shown group has come first."""
    parts: list[str] = []
    for title, lists, new_hosts in (
        ("Hosts of what is left out", [(one.group.hosts, one.hosts) for one in shown], frozenset(plan.new_hosts)),
        (
            "Hosts observed at Plug of what is left out",
            [(one.group.observed, max(0, one.hosts - len(one.group.hosts))) for one in shown],
            frozenset[str](),
        ),
    ):
        known = {use.host for uses, count in lists for use in uses[:count]}
        left_out = _join((use for uses, count in lists for use in uses[count:]), new_hosts)
        parts += _list_left_out(title, left_out, known, room=room - sum(map(len, parts)))
    return parts


def _join(uses: Iterable[HostUse], new_hosts: frozenset[str]) -> tuple[HostUse, ...]:
    hosts_of: dict[str, list[str]] = {}
    for use in uses:
        for environment in use.environments:
            hosts_of.setdefault(environment, []).append(use.host)
    return list_host_uses(hosts_of.items(), new_hosts)


def _list_left_out(title: str, uses: Iterable[HostUse], known: Collection[str], *, room: int) -> list[str]:
    """Return a list of the hosts with names if it fits, else with their numbers of environments alone."""
    ordered = sorted(uses, key=lambda use: use.host in known)
    if not ordered:
        return []
    for most_names in words.NAMES_OF_A_HOST:
        lines = host_list([("", use) for use in ordered], len(ordered), most_names)
        if sum(map(len, lines)) + len(lines) <= room:
            return [f"**{title}**\n\n" + "\n".join(lines)]
    listed: list[str] = []
    for use in ordered:
        listed.append(f"{words.host_label(use, for_markdown_code)}: {number(len(use.environments))}")
        room -= len(listed[-1]) + 2
        if room < 0:
            listed.pop()
            break
    texts = [", ".join(listed)] if listed else []
    rest = ordered[len(listed) :]
    if rest:
        hidden = sum(1 for use in rest if use.host not in known)
        which = f", of which {number(hidden)} {'is' if hidden == 1 else 'are'} not shown here" if hidden else ""
        texts.append(f"{counted(len(rest), 'more host')}{which}: run `reconciler plan` to see all")
    return [f"**{title}**, with the number of environments: {' and '.join(texts)}"]


def _summary_table(plan: Plan) -> str:
    count = plan.count_actions()
    header = ["unchanged" if action is Action.NOOP else action.value for action in Action]
    figures = row(*(number(count[action]) for action in Action))
    return "\n".join([row(*header), row(*("---:" for _ in header)), figures])


def _destination_notes(plan: Plan, room: int) -> list[str]:
    """Return each value with the environments that fit into `room` characters; the others are counted."""
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
        f"**{counted(len(orphans), 'orphan')}**, in the state, in no manifest: {names(orphans)}. {words.ORPHANS_LIVE} "
        f"{words.ORPHANS_RETIRE}: `reconciler state forget ENVIRONMENT`."
    ]


def _least_size(group: Group) -> int:
    """Return a lower bound of the length of the group's block: escaping only adds characters."""
    return LEAST_CHARS + sum(len(change.before or "") + len(change.after) for change in group.representative.changes)


def _block(group: Group, hosts: int, most_names: int, *, is_open: bool) -> str:
    """Return one environment or one group: the action and its reasons, the changes as a diff, hosts and names."""
    planned = group.representative
    several = len(group.members) > 1
    alike = f"{environments(len(group.members))} alike"
    wave = words.waves(group.members)
    what = f"{planned.action.value}{f', {wave}' if wave else ''}: {words.reasons(planned)}{words.new_host_count(group)}"
    every = words.plan_hosts(group)
    named = names(group.environments, max(most_names, words.NAMES_SHOWN))
    notes = [named] if several else words.host_notes(group, for_markdown_code)
    if group.values:
        notes.append(f"differs: {', '.join(map(for_markdown_code, words.placeholders(group.values)))}")
    unchecked = words.unchecked_line(group)
    if unchecked:
        notes.append(for_markdown(unchecked))
    lines = _diff_lines(group)
    if not lines:  # a reassert changes no text
        name = f"**{alike}**" if several else for_markdown_code(planned.environment)
        listed = host_list(every, hosts, most_names, indent="  ")
        return "\n".join([f"- {' — '.join([f'{name} {what}', *notes])}", *listed])
    title = f"<b>{alike if several else for_markdown_code(planned.environment, in_html=True)}</b> {what}"
    opening = f"<details{' open' if is_open else ''}>\n<summary>{title}</summary>"
    list_of_hosts = ["\n".join(host_list(every, hosts, most_names))] if every else []
    return "\n\n".join([opening, for_markdown_block(lines, language="diff"), *list_of_hosts, *notes, "</details>"])


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
