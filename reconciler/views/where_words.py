"""The API hosts and the state of a run, in the words that all views share (docs/contract.md#commands).

`show` escapes a host or the setting `state` for the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model import ApiUse, Where
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown_code, for_terminal
from reconciler.text.new_state import describe_new_state
from reconciler.views.style import Style, wrap

HOSTS_SHOWN = 50  # the others are counted


def name_api(api: ApiUse, show: Callable[[str], str]) -> str:
    """Return the host of an API, marked as the sandbox if it is one."""
    return f"the sandbox {show(api.host)}" if api.sandbox else show(api.host)


def describe_apis(apis: Sequence[ApiUse], show: Callable[[str], str]) -> str:
    """Return such as `www.plugchat.com.br (3 environments), the sandbox 127.0.0.1:8787 (1 environment)`."""
    shown = [f"{name_api(api, show)} ({environments(api.environments)})" for api in apis[:HOSTS_SHOWN]]
    left = len(apis) - len(shown)
    return ", ".join(shown) + (f" and {counted(left, 'more host')}" if left > 0 else "")


def describe_state(where: Where, show: Callable[[str], str]) -> str:
    """Return such as `git:origin/reconciler-state (5 documents)`."""
    return f"{show(where.location)} ({counted(where.documents, 'document')})"


def new_state_lines(where: Where | None, style: Style) -> list[str]:
    """Return the first line of a text about a new state. It is not wrapped, so that a script can find it."""
    if where is None or not where.is_new:
        return []
    return [style.yellow(f"New state: {describe_new_state(where, for_terminal)}")]


def where_lines(where: Where | None, style: Style, width: int) -> list[str]:
    """Return the lines `API: …` and `State: …` of a text."""
    if where is None:
        return []
    described = [f"API: {describe_apis(where.apis, for_terminal)}"] if where.apis else []
    described.append(f"State: {describe_state(where, for_terminal)}")
    return [style.dim(line) for one in described for line in wrap(one, indent="", width=width)]


def new_state_paragraph(where: Where | None) -> list[str]:
    """Return the first paragraph of a Markdown page about a new state."""
    if where is None or not where.is_new:
        return []
    return [f"**New state:** {describe_new_state(where, for_markdown_code)}"]


def where_paragraph(where: Where | None) -> list[str]:
    """Return the paragraph of a Markdown page that names the APIs and the state."""
    if where is None:
        return []
    apis = [f"API: {describe_apis(where.apis, for_markdown_code)}."] if where.apis else []
    return [" ".join([*apis, f"State: {describe_state(where, for_markdown_code)}."])]


def where_text(where: Where | None) -> str:
    """Return the lines `API: …` and `State: …` for an annotation, which escapes them itself."""
    if where is None:
        return ""
    apis = [f"API: {describe_apis(where.apis, str)}"] if where.apis else []
    return "\n".join([*apis, f"State: {describe_state(where, str)}"])
