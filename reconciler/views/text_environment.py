"""One environment for a terminal, with the file and line or the setting of each value."""

from __future__ import annotations

from typing import assert_never

from reconciler.model import Location, Origin, ResolvedEnvironment, ResolvedValue, ResolvedVar, ResolvedWebhook
from reconciler.text.escape import for_terminal
from reconciler.views.style import Style, columns

INDENT = "  "
NOT_GIVEN = "-"


def render_environment(resolved: ResolvedEnvironment, *, colour: bool) -> str:
    """Return the values, the vars, and each webhook as it is sent, and as it is written if that differs."""
    style = Style(colour)
    lines = [style.bold(for_terminal(resolved.environment)) + f"  {style.dim(_place(resolved.source))}", ""]
    rows = [(value.key, *_value_cells(value)) for value in resolved.values]
    lines += [INDENT + row for row in columns(rows)]
    lines += ["", f"{INDENT}PUT to {for_terminal(resolved.endpoint)}"]
    if resolved.vars:
        lines += ["", style.bold("vars")]
        lines += [INDENT + row for row in columns(_var_cells(var) for var in resolved.vars)]
    lines += ["", style.bold("webhooks")]
    for webhook in resolved.webhooks:
        lines += _webhook_lines(webhook, style)
    return "\n".join(lines) + "\n"


def _value_cells(value: ResolvedValue) -> tuple[str, str]:
    shown = NOT_GIVEN if value.value is None else for_terminal(str(value.value))
    return _origin(value), shown


def _origin(value: ResolvedValue) -> str:
    match value.origin:
        case Origin.MANIFEST:
            return _place(value.source)
        case Origin.FILE_NAME:
            return "the file's name"
        case Origin.SETTING:
            place = value.setting
            assert place is not None
            return f"{for_terminal(place.file)}: {place.key}" if place.file else place.key
        case Origin.DEFAULT:
            return "not given" if value.value is None else "the default"
        case _:
            assert_never(value.origin)


def _var_cells(var: ResolvedVar) -> tuple[str, str, str]:
    place = _place(var.source) + ("" if var.used else " (not used)")
    return for_terminal(var.name), place, for_terminal(var.value)


def _webhook_lines(webhook: ResolvedWebhook, style: Style) -> list[str]:
    lines = [f"{INDENT}{webhook.event.value}  {style.dim(_place(webhook.source))}"]
    lines.append(f"{INDENT}  {for_terminal(webhook.url)}")
    if webhook.written != webhook.url:
        lines.append(style.dim(f"{INDENT}  written as {for_terminal(webhook.written)}"))
    return lines


def _place(source: Location | None) -> str:
    return "" if source is None else f"{for_terminal(source.file)}:{source.line}"
