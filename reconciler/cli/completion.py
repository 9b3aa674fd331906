"""Names that the shell completes at the Tab key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file, or a folder on the path to one."""
    return _leave_to_shell(incomplete, "file")


def complete_folders(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a folder."""
    return _leave_to_shell(incomplete, "dir")


def _leave_to_shell(incomplete: str, kind: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # late: only the Tab key needs it

    return [CompletionItem(incomplete, type=kind)]


def complete_file_of_format(formats: Sequence[str], incomplete: str) -> list[str]:
    """Return `FORMAT=` for each format, or behind it the files and folders, which no shell completes there."""
    form, separator, path = incomplete.partition("=")
    if not separator:
        return [f"{name}=" for name in formats if name.startswith(form)]
    folder, slash, start = path.rpartition("/")
    found = []
    with suppress(OSError), os.scandir(folder + slash or ".") as entries:
        found = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    return sorted(f"{form}={folder}{slash}{name}" for name in found if name.startswith(start))


def complete_environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the environments of the manifests, and of a state in a folder, whose name begins with `incomplete`.

    Manifests or a state that can't be read add no name, because the shell would show an error within the line.
    """
    return sorted(name for name in set(_find_names(context)) if name.startswith(incomplete))


def _find_names(context: click.Context) -> Iterator[str]:
    from reconciler.cli.held import session_of
    from reconciler.errors import ReconcilerError
    from reconciler.state.folder import FolderStore

    session = session_of(context, context.params)
    with suppress(ReconcilerError):
        yield from [one.environment for one in session.desired]
    with suppress(ReconcilerError):
        # names that only the state has are needed for `state forget`; a store on the network would be too slow
        if isinstance(session.store, FolderStore):
            yield from session.store.names()
