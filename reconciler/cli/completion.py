"""Names for the shell's Tab key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def complete_environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The environments of the manifests and of a state on this machine whose name begins so, in order.

    What can't be read offers nothing: a shell asks in the middle of a line, and an error would be written over it.
    """
    return sorted(name for name in set(_find_names(context)) if name.startswith(incomplete))


def _find_names(context: click.Context) -> Iterator[str]:
    from reconciler.cli.session import session_of
    from reconciler.errors import ReconcilerError
    from reconciler.state.folder import FolderStore

    session = session_of(context, context.params)
    with suppress(ReconcilerError):
        yield from [one.environment for one in session.desired]
    with suppress(ReconcilerError):
        # `state forget` is for what no manifest has any more. Nobody waits for a network at a key
        if isinstance(session.store, FolderStore):
            yield from session.store.names()
