"""A plan for a terminal: the changes first, then the rest in a few lines.

See docs/contract.md#plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from reconciler.core.groups import Group, group_alike
from reconciler.model import Action, ApiUse, Change, EnvironmentPlan, LiveDifference, Plan
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_terminal
from reconciler.views import words
from reconciler.views.style import Style, columns, compare, host_lines, name_lines, wrap
from reconciler.views.where_words import describe_apis, describe_state, name_api, new_state_lines, where_lines

SYMBOLS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REASSERT: "="}
BEFORE, AFTER = "        before  ", "        after   "
APPLIED, OBSERVED = "        applied   ", "        observed  "
EVENT_INDENT = "      "


def render_plan(
    plan: Plan,
    vars_by_environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    *,
    colour: bool,
    width: int = 100,
) -> str:
    """Return the plan as text; the last line is its summary.

    Environments whose changes differ only in the values of their vars are one group.
    """
    style = Style(colour)
    groups = words.sort_by_importance(group_alike(plan, vars_by_environment))
    sections = [new_state_lines(plan.where, style)]
    sections += [_group_lines(group, style, width) for group in groups]
    note = words.new_hosts_note(plan)
    sections.append([style.dim(line) for line in wrap(note, indent="", width=width)] if note else [])
    sections.append(_orphan_lines(plan, style))
    unchanged = words.unchanged_line(plan)
    sections.append([style.dim(unchanged)] if unchanged else [])
    sections += [_note_lines(note, style, width) for note in words.destination_notes(plan)]
    sections.append([style.yellow("warning: ") + for_terminal(warning) for warning in plan.warnings])
    sections.append(where_lines(plan.where, style, width))
    sections.append(_closing_lines(plan, style))
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def render_question(plan: Plan, apis: Sequence[ApiUse]) -> str:
    """Return the question before an apply: how many environments are sent, to which APIs, and the state.

    `apis` are those of the environments that are sent.
    """
    count = plan.count_actions()
    actions = ", ".join(f"{number(count[action])} to {action}" for action in SYMBOLS)
    sent = environments(sum(count[action] for action in SYMBOLS))
    where = name_api(apis[0], for_terminal) if len(apis) == 1 else describe_apis(apis, for_terminal)
    state = f", with the state {describe_state(plan.where, for_terminal)}" if plan.where else ""
    return "\n".join([*new_state_lines(plan.where, Style(colour=False)), f"Put {sent} ({actions}) at {where}{state}?"])


def _closing_lines(plan: Plan, style: Style) -> list[str]:
    summary = style.bold(words.plan_summary(plan))
    digest = words.shown_digest(plan)
    return [style.dim(f"Digest: {for_terminal(digest)}"), summary] if digest else [summary]


def _group_lines(group: Group, style: Style, width: int) -> list[str]:
    planned = group.representative
    lines = [_header(group, style)]
    for moved in planned.destination_changes:
        lines += _compared_lines(moved.part.value, moved.before, moved.after, style)
    if planned.action is Action.CREATE:
        lines += _create_lines(planned, style)
    else:
        live = {difference.event: difference for difference in planned.live}
        for at, change in enumerate(planned.changes):
            lines += _change_lines(change, _common_source(group, at), live.pop(change.event, None), style)
        lines += [line for difference in live.values() for line in _live_lines(difference, style)]
    if len(group.members) > 1:
        lines += host_lines(words.plan_hosts(group), style, indent="    ", width=width)
        lines += ["    environments", *name_lines(group.environments, indent=EVENT_INDENT, width=width, whole=True)]
        lines += _value_lines(group, width)
    else:
        lines += [
            line for text in words.host_notes(group, for_terminal) for line in wrap(text, indent="    ", width=width)
        ]
    unchecked = words.unchecked_line(group)
    if unchecked:
        lines += [style.dim(line) for line in wrap(for_terminal(unchecked), indent="    ", width=width)]
    return lines


def _value_lines(group: Group, width: int) -> list[str]:
    """Return the rarest values of the placeholders with their environments; the other environments are counted."""
    if not group.values:
        return []
    lines = [f"    values of {', '.join(map(for_terminal, words.placeholders(group.values)))}"]
    for one in group.values[: words.NAMES_SHOWN]:
        named = name_lines(one.environments, indent="", width=width)
        first = f"{EVENT_INDENT}{words.filled(one, for_terminal)}: "
        whole = len(named) == 1 and len(first) + len(named[0]) <= width
        lines += [first + named[0]] if whole else [first.rstrip(), *(f"{EVENT_INDENT}    {line}" for line in named)]
    left_out = sum(len(one.environments) for one in group.values[words.NAMES_SHOWN :])
    more = f"{EVENT_INDENT}and {counted(left_out, 'more environment')}: see them with --format json"
    return [*lines, more] if left_out else lines


def _header(group: Group, style: Style) -> str:
    planned = group.representative
    several = len(group.members) > 1
    name = f"{environments(len(group.members))} alike" if several else for_terminal(planned.environment)
    symbol = SYMBOLS[planned.action]
    paint = {Action.CREATE: style.green, Action.UPDATE: style.yellow}.get(planned.action, style.cyan)
    wave = words.waves(group.members)
    where = f", {wave}" if wave else ""
    return f"{paint(symbol)} {style.bold(name)}  {paint(planned.action.value)}{where}: {words.reasons(planned)}"


def _create_lines(planned: EnvironmentPlan, style: Style) -> list[str]:
    longest = max((len(change.event) for change in planned.changes), default=0)
    return [
        f"{EVENT_INDENT}{change.event.ljust(longest)}  {style.green(for_terminal(change.after))}"
        for change in planned.changes
    ]


def _common_source(group: Group, at: int) -> str:
    """Return `file:line` of the change if it is the same for all members, else an empty text."""
    source = group.representative.changes[at].source
    if any(member.changes[at].source != source for member in group.members):
        return ""
    return f"{for_terminal(source.file)}:{source.line}"


def _change_lines(change: Change, source: str, live: LiveDifference | None, style: Style) -> list[str]:
    """Return the lines of one change. `live` says what Plug holds instead of `change.before`."""
    heading = change.event.value + (f"  {style.dim(source)}" if source else "")
    if change.before is None or live is None:
        return _compared_lines(heading, change.before, change.after, style)
    lines = [EVENT_INDENT + heading]
    labels = (BEFORE.ljust(len(OBSERVED)), AFTER.ljust(len(OBSERVED)))
    before, after = compare((labels[0], change.before), (labels[1], change.after), style)
    return [*lines, *before, OBSERVED + style.red(_observed(live)), *after]


def _compared_lines(heading: str, before: str | None, after: str, style: Style) -> list[str]:
    """Return the heading, and below it the lines before and after the change."""
    if before is None:
        return [EVENT_INDENT + heading, AFTER + style.green(for_terminal(after))]
    before_lines, after_lines = compare((BEFORE, before), (AFTER, after), style)
    return [EVENT_INDENT + heading, *before_lines, *after_lines]


def _live_lines(live: LiveDifference, style: Style) -> list[str]:
    """Return the URL that Plug holds, and the applied one, which will be sent again."""
    heading = f"{EVENT_INDENT}{live.event.value}  {style.dim('live drift')}"
    if live.expected is None:
        return [heading, OBSERVED + style.red(_observed(live))]
    if live.actual is None or words.is_masked(live.actual):
        applied = APPLIED + style.green(for_terminal(live.expected))
        return [heading, OBSERVED + style.red(_observed(live)), applied]
    observed, applied_lines = compare((OBSERVED, live.actual), (APPLIED, live.expected), style)
    return [heading, *observed, *applied_lines]


def _observed(live: LiveDifference) -> str:
    return words.NOTHING if live.actual is None else for_terminal(live.actual)


def _note_lines(note: words.DestinationNote, style: Style, width: int) -> list[str]:
    """Return each value with all its environments. However large the fleet is, no use of a token is left out."""
    lines = [style.yellow("note: ") + note.heading]
    for value, names in note.rows:
        line = f"{EVENT_INDENT}{for_terminal(value)}: {', '.join(map(for_terminal, names))}"
        if len(line) <= width:
            lines.append(line)
        else:
            lines.append(f"{EVENT_INDENT}{for_terminal(value)}:")
            lines += name_lines(names, indent=EVENT_INDENT + "    ", width=width, whole=True)
    return lines


def _orphan_lines(plan: Plan, style: Style) -> list[str]:
    orphans = [for_terminal(one.environment) for one in plan.environments if one.action is Action.ORPHAN]
    if not orphans:
        return []
    shown = orphans[: words.NAMES_SHOWN]
    heading = f"{counted(len(orphans), 'orphan')}: in the state, in no manifest. {words.ORPHANS_LIVE}"
    lines = [style.bold(line) for line in (heading, f"{words.ORPHANS_RETIRE}:")]
    lines += [f"  {row}" for row in columns((name, f"reconciler state forget {name}") for name in shown)]
    if len(orphans) > len(shown):
        lines.append(f"  and {number(len(orphans) - len(shown))} more")
    return lines
