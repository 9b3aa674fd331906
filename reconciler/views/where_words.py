"""Where a run acts, in words that text, Markdown and annotations share (CONTRACT §4).

`show` escapes a host or the setting of a state for the place where it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model import ApiUse, Where
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown_code, for_terminal
from reconciler.views.style import Style, wrap

HOSTS_SHOWN = 50  # the others are counted


def describe_new_state(where: Where | None, show: Callable[[str], str]) -> str | None:
    """Return what to check where no applied record was found; None where there is one."""
    if where is None or not where.is_new:
        return None
    near = f" (did you mean {show(where.near)}?)" if where.near else ""
    return f"nothing was ever applied to {show(where.location)}; if that is wrong, check `state`{near}"


def describe_apis(apis: Sequence[ApiUse], show: Callable[[str], str]) -> str:
    """`www.plugchat.com.br (3 environments), the sandbox 127.0.0.1:8787 (1 environment)`."""
    shown = [
        f"{'the sandbox ' if api.sandbox else ''}{show(api.host)} ({environments(api.environments)})"
        for api in apis[:HOSTS_SHOWN]
    ]
    left = len(apis) - len(shown)
    return ", ".join(shown) + (f" and {counted(left, 'more host')}" if left > 0 else "")


def describe_state(where: Where, show: Callable[[str], str]) -> str:
    """`git:origin/reconciler-state (5 documents)`."""
    return f"{show(where.location)} ({counted(where.documents, 'document')})"


def new_state_lines(where: Where | None, style: Style) -> list[str]:
    """The first line of a text about a new state; it is not wrapped, so that a script can find it."""
    described = describe_new_state(where, for_terminal)
    return [style.yellow(f"New state: {described}")] if described else []


def where_lines(where: Where | None, style: Style, width: int) -> list[str]:
    """The lines `API: …` and `State: …` of a text."""
    if where is None:
        return []
    described = [f"API: {describe_apis(where.apis, for_terminal)}"] if where.apis else []
    described.append(f"State: {describe_state(where, for_terminal)}")
    return [style.dim(line) for one in described for line in wrap(one, indent="", width=width)]


def new_state_paragraph(where: Where | None) -> list[str]:
    """The first paragraph of a page in Markdown about a new state."""
    described = describe_new_state(where, for_markdown_code)
    return [f"**New state:** {described}."] if described else []


def where_paragraph(where: Where | None) -> list[str]:
    """The paragraph of a page in Markdown that names API and state."""
    if where is None:
        return []
    apis = [f"API: {describe_apis(where.apis, for_markdown_code)}."] if where.apis else []
    return [" ".join([*apis, f"State: {describe_state(where, for_markdown_code)}."])]


def where_text(where: Where | None) -> str:
    """The same for an annotation, a line each; its own escapes come later."""
    if where is None:
        return ""
    apis = [f"API: {describe_apis(where.apis, str)}"] if where.apis else []
    return "\n".join([*apis, f"State: {describe_state(where, str)}"])
