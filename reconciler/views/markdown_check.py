"""Checked receivers for a job's summary: failures as a table, warnings, hosts, advice (docs/contract.md#drift)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import CheckResult, ReceiverCheck
from reconciler.text.counts import counted, number
from reconciler.text.escape import for_markdown, for_markdown_code
from reconciler.text.groups import group_failing_receivers
from reconciler.views import words
from reconciler.views.markdown_parts import MAX_CHARS, NOTE_CHARS, fit, names, next_steps, page, row, table

LIST_CHARS = 6_000  # for the warnings, and for the hosts


def render_check(result: CheckResult, *, max_chars: int = MAX_CHARS) -> str:
    """Return the summary, the failing receivers, warnings, hosts, and what to do next."""
    failed = [receiver for receiver in result.receivers if not receiver.ok]
    head = [f"## {words.check_summary(result)}"]
    list_chars = min(LIST_CHARS, max_chars // 4)
    hosts = [(row(*map(for_markdown_code, host[:2]), for_markdown(host[2])), 1) for host in words.check_hosts(result)]
    tail = [
        *_warnings(result, list_chars),
        *table(("host", "addresses", "certificate"), hosts, "more hosts", room=list_chars),
        *next_steps(words.check_advice(result)),
    ]
    rows = [(_failed_row(group), len(group)) for group in group_failing_receivers(failed)]
    header = ("stage", "status", "event", "receiver", "environments", "message")
    room = max_chars - len(page(head, [], tail)) - 2
    return page(head, table(header, rows, "more failed: `--format json` lists all", room=room), tail)


def _failed_row(group: Sequence[ReceiverCheck]) -> str:
    first = group[0]
    several = len(group) > 1
    return row(
        first.stage.value,
        "" if first.status is None else str(first.status),
        f"{number(len(group))} alike" if several else for_markdown_code(first.event.value),
        for_markdown_code(first.place if several else first.url),
        names(sorted({name for one in group for name in one.environments})),
        for_markdown(first.message),
    )


def _warnings(result: CheckResult, room: int) -> list[str]:
    lines = [(f"- {for_markdown(warning)}", 1) for warning in words.check_warnings(result)]
    taken, left_out = fit(lines, room - NOTE_CHARS, between=1)
    if left_out:
        taken.append(f"- … and {counted(left_out, 'more warning')}")
    return ["**Warnings**\n\n" + "\n".join(taken)] if taken else []
