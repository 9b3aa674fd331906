"""The changes of a merge that its plan does not show, for the comment on a pull request (docs/github.md)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.workflow.parts import ChangeGroup, EnvironmentChange, group_changes
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown_block
from reconciler.views.markdown_parts import NOTE_CHARS, fit, names, value_list


def render_unshown(changes: Sequence[EnvironmentChange], *, max_chars: int) -> list[str]:
    """Return each change as a diff, of at most `max_chars` together; the environments that don't fit are counted."""
    groups = group_changes(changes)
    blocks = ((_block(group, max_chars // 2), len(group.environments)) for group in groups)
    taken, left_out = fit(blocks, max_chars - NOTE_CHARS, between=2)
    more = f"… and {counted(left_out, 'more environment')}: the summary of this check has more room"
    return [*taken, more] if left_out else taken


def _block(group: ChangeGroup, room: int) -> str:
    lines: list[str] = []
    for part in group.parts:
        lines.append(f"# {part.part}")
        lines += [f"- {part.before}"] if part.before is not None else []
        lines += [f"+ {part.after}"] if part.after is not None else []
    several = len(group.environments) > 1
    first = names(group.environments)
    title = f"**{environments(len(group.environments))} alike**: {first}" if several else f"**{first}**"
    return "\n\n".join([title, for_markdown_block(lines, language="diff"), *value_list(group.values, room)])
