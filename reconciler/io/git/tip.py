"""The last commit of a branch, as the remote has it now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.io.git.checkout import ORIGIN
from reconciler.io.git.command import GitFailed
from reconciler.io.git.scratch import REMOTE, ScratchRepository


def find_tip(folder: Path, environ: Mapping[str, str], branch: str) -> str | None:
    """Return the last commit of a branch of `origin`; None if the remote has no such branch.

    Raises: GitUnusable, GitFailed.
    """
    repository = ScratchRepository(folder, environ, ORIGIN)
    try:
        if not repository.has_remote:
            raise GitFailed(-1, "", f"fatal: the checkout has no remote {ORIGIN}")
        return find_commit(repository.run, f"refs/heads/{branch}")
    finally:
        repository.close()


def find_commit(run: Callable[..., bytes], ref: str) -> str | None:
    """Return the commit of a ref of the remote; None if it has no such ref. `run` is that of a ScratchRepository.

    The remote also lists refs whose names end in this one.
    """
    for line in run("ls-remote", REMOTE, ref).decode(errors="replace").splitlines():
        commit, _, name = line.partition("\t")
        if name == ref:
            return commit
    return None
