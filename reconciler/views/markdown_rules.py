"""The rules that a merge changes, for the comment on a pull request (docs/github.md).

Whatever is cut, a change is never shown with equal texts before and after.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.workflow.change import Loosening, SettingChange, SettingValue
from reconciler.core.workflow.parts import PinChange
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown, for_markdown_code
from reconciler.views.markdown_parts import fit, names

HEADING = "## This also changes the rules"
NAMES_SHOWN = 20  # of a list of environments; the plan has all of them
MAX_FAULT = 400  # characters of the base's fault
LIST_SHARE = 13  # this part of the text is for the settings, and as much for all other rules
VALUE_SHARE = 100  # this part of the text is for one value
LEAST_VALUE = 80
CONTEXT = 20  # characters shown before and after a difference


def render_rules(found: Loosening, base_fault: str, *, max_chars: int) -> list[str]:
    """Return the heading and the list, of about 15% of `max_chars`; nothing if no rule changes."""
    if not found:
        return []
    most = max(LEAST_VALUE, max_chars // VALUE_SHARE)
    settings = [_setting(one, most) for one in found.settings]
    others = [*_policies(found.policies), *_pins(found.pins, most), *(f"- {for_markdown_code(p)}" for p in found.paths)]
    room = max_chars // LIST_SHARE
    lists = [*_uncompared(found.unknown, base_fault), *_fitted(settings, room), *_fitted(others, room)]
    return [HEADING, "\n".join(lists)]


def _fitted(lines: Sequence[str], room: int) -> list[str]:
    taken, left = fit([(line, 1) for line in lines], room, between=1)
    more = f"- … and {counted(left, 'more change')}: the summary of this check has more room"
    return [*taken, more] if left else taken


def _uncompared(unknown: Sequence[str], base_fault: str) -> list[str]:
    what = " and ".join(f"the {one}" for one in unknown)
    why = for_markdown(base_fault[:MAX_FAULT])
    return [f"- {what} could not be compared with the base: {why}"] if what else []


def _policies(environment_names: Sequence[str]) -> list[str]:
    if not environment_names:
        return []
    return [f"- the policy of {environments(len(environment_names))}: {names(environment_names, NAMES_SHOWN)}"]


def _pins(pins: Sequence[PinChange], most: int) -> list[str]:
    removed = [one.environment for one in pins if one.after is None]
    lines = [f"- {environments(len(removed))} lost `organization_id`: {names(removed, NAMES_SHOWN)}"] if removed else []
    for one in pins:
        if one.after is not None:
            label = f"`organization_id` of {for_markdown_code(one.environment)}"
            lines.append(f"- {label}: {_moved(one.before, one.after, most)}")
    return lines


# --- settings --------------------------------------------------------------------------------------


def _setting(change: SettingChange, most: int) -> str:
    label = f"- the setting {for_markdown_code(change.path)}: "
    if isinstance(change.before, tuple) and isinstance(change.after, tuple):
        return label + _moved_entries(change.before, change.after, most)
    return label + _moved(_join(change.before), _join(change.after), most)


def _join(value: SettingValue) -> str:
    return (", ".join(value) or "[]") if isinstance(value, tuple) else value


def _moved_entries(before: Sequence[str], after: Sequence[str], most: int) -> str:
    """Return the entries that were added and removed. The first is always shown."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    entries = [f"+ {one}" for one in new if one not in old]
    entries += [f"- {one}" for one in old if one not in new]
    if not entries:
        return "the same entries in another order or number"
    cut = [(for_markdown_code(_cut(entry, most)), 1) for entry in entries]
    first, *others = cut
    taken, left = fit(others, most - len(first[0]), between=2)
    shown = ", ".join([first[0], *taken])
    return f"{shown} and {counted(left, 'more entry', 'more entries')}" if left else shown


def _moved(before: str, after: str, most: int) -> str:
    """Return two differing texts, each cut around the part in which they differ."""
    if max(len(before), len(after)) > most:
        before, after = _around_difference(before, after, most)
    return f"{for_markdown_code(before)} → {for_markdown_code(after)}"


def _around_difference(before: str, after: str, most: int) -> tuple[str, str]:
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    room = shorter - start
    end = next((at for at in range(room) if before[-1 - at] != after[-1 - at]), room)

    def part_of(text: str) -> str:
        first, last = max(0, start - CONTEXT), min(len(text), len(text) - end + CONTEXT)
        return f"{'…' if first else ''}{_cut(text[first:last], most)}{'…' if last < len(text) else ''}"

    return part_of(before), part_of(after)


def _cut(text: str, most: int) -> str:
    """Return at most about `most` characters: the start and the end. A host's end says whose it is."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
