"""Checked receivers for a terminal: failures first, then warnings, what passed, and the hosts.

See docs/contract.md#drift.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import CheckResult, ReceiverCheck
from reconciler.text.counts import number
from reconciler.text.escape import for_terminal
from reconciler.text.groups import group_failing_receivers
from reconciler.views import words
from reconciler.views.style import Style, columns, name_lines, next_lines, wrap

FAILED_SHOWN = 100  # groups; the others are counted
SHOWN = 20  # receivers that passed, and hosts; the others are counted
INDENT = " " * 4


def render_check(result: CheckResult, *, colour: bool, width: int = 100) -> str:
    """Return the result as text; the last line is its summary."""
    style = Style(colour)
    failed = [receiver for receiver in result.receivers if not receiver.ok]
    sections = [
        _failed_lines(failed, style, width),
        _warning_lines(result, style, width),
        _passed_lines([receiver for receiver in result.receivers if receiver.ok], style),
        _host_lines(result, style),
        next_lines(words.check_advice(result), style, width=width),
        [style.bold(words.check_summary(result))],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _failed_lines(failed: Sequence[ReceiverCheck], style: Style, width: int) -> list[str]:
    groups = group_failing_receivers(failed)
    if not groups:
        return []
    shown = groups[:FAILED_SHOWN]
    rows = columns((words.check_figures(group[0]), _name_receivers(group), _show_address(group)) for group in shown)
    lines = []
    for row, group in zip(rows, shown, strict=True):
        lines.append(f"{style.red('!')} {style.red(row)}")
        lines += wrap(for_terminal(group[0].message), indent=INDENT, width=width)
        names = name_lines(sorted({name for one in group for name in one.environments}), indent=INDENT, width=width)
        lines += [style.dim(line) for line in names]
    if len(groups) > len(shown):
        left = sum(len(group) for group in groups[FAILED_SHOWN:])
        lines.append(f"… and {number(left)} more failed: --format json lists all")
    return lines


def _name_receivers(group: Sequence[ReceiverCheck]) -> str:
    return group[0].event.value if len(group) == 1 else f"{number(len(group))} receivers alike"


def _show_address(group: Sequence[ReceiverCheck]) -> str:
    return for_terminal(group[0].url if len(group) == 1 else group[0].place)


def _warning_lines(result: CheckResult, style: Style, width: int) -> list[str]:
    warnings = words.check_warnings(result)
    if not warnings:
        return []
    lines = [line for warning in warnings[:SHOWN] for line in wrap(for_terminal(warning), indent="  ", width=width)]
    if len(warnings) > SHOWN:
        lines.append(f"  … and {number(len(warnings) - SHOWN)} more")
    return [style.yellow("Warnings:"), *lines]


def _passed_lines(passed: Sequence[ReceiverCheck], style: Style) -> list[str]:
    if not passed:
        return []
    rows = columns((words.check_figures(one), one.event.value, for_terminal(one.url)) for one in passed[:SHOWN])
    lines = [style.bold("Passed:"), *(f"  {style.green(row)}" for row in rows)]
    if len(passed) > SHOWN:
        lines.append(f"  … and {number(len(passed) - SHOWN)} more")
    return lines


def _host_lines(result: CheckResult, style: Style) -> list[str]:
    hosts = words.check_hosts(result)
    if not hosts:
        return []
    rows = columns(
        (for_terminal(place), for_terminal(addresses), f"certificate: {days}" if days else "")
        for place, addresses, days in hosts[:SHOWN]
    )
    lines = [style.bold("Hosts:"), *(f"  {row}" for row in rows)]
    if len(hosts) > SHOWN:
        lines.append(f"  … and {number(len(hosts) - SHOWN)} more")
    return lines
