"""The last commit of a branch of the remote `origin`, as the remote has it now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.io.git.checkout import ORIGIN
from reconciler.io.git.command import GitFailed
from reconciler.io.git.scratch import REMOTE, ScratchRepository


def find_tip(folder: Path, environ: Mapping[str, str], branch: str) -> str | None:
    """Ask the remote of the checkout around `folder`. Returns None if it has no such branch.

    Raises: GitUnusable, GitFailed.
    """
    repository = ScratchRepository(folder, environ, ORIGIN)
    try:
        if not repository.has_remote:
            raise GitFailed(-1, "", f"fatal: the checkout has no remote {ORIGIN}")
        ref = f"refs/heads/{branch}"
        for line in repository.run("ls-remote", REMOTE, ref).decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            if name == ref:
                return commit
        return None
    finally:
        repository.close()
