"""Names that the shell completes at the Tab key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def complete_environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the environments of the manifests, and of a state in a folder, whose name begins with `incomplete`.

    Manifests or a state that can't be read add no name: the shell would show an error in the middle of the line.
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
        # names that only the state has are needed for `state forget`; a store on the network would be too slow
        if isinstance(session.store, FolderStore):
            yield from session.store.names()
