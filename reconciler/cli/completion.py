"""Names for the shell's Tab key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def complete_environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The environments of the manifests whose name begins so, in order.

    Where the manifests or the settings can't be read there are none: a shell asks in the middle of a line, and an
    error would be written over it.
    """
    from reconciler.cli.session import session_of
    from reconciler.errors import ReconcilerError

    try:
        names = [one.environment for one in session_of(context, context.params).desired]
    except ReconcilerError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))
