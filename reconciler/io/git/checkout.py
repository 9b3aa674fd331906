"""The user's checkout: its folder, and reads of it. Nothing here writes."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.io.git.command import GitFailed, GitUnusable, run_git

ORIGIN = "origin"  # the remote that a clone has, and the only one that a workflow's checkout has

_DUBIOUS = re.compile(r"(?:detected dubious ownership|unsafe repository)[^\n]*")
_ADVICE = re.compile(r"git config --global --add safe\.directory [^\n]+")


class Checkout:
    """A work tree of git around `folder`.

    This program finds it by its `.git`, and does not ask git. git would take plain files named HEAD, config, objects
    and refs for a repository, and run the programs that its configuration names. A pull request can hold such files,
    but no `.git`. Only git 2.38 and later can be made to ignore such files (`safe.bareRepository`).
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Find the checkout. Raises: GitUnusable if there is none."""
        top = find_top(folder, environ)
        if top is None:
            raise GitUnusable(
                f"{folder} is not in a git repository. Run in a checkout; if only the state needs one, you can set "
                "`state` to a folder such as .reconciler/state"
            )
        self.top = top
        self._environ = environ

    def run(self, *arguments: str) -> bytes:
        """Run a command that reads. Raises: GitFailed, GitUnusable."""
        return run_git(arguments, self.top, self._environ)

    def check(self) -> None:
        """Ask git whether it accepts the checkout. Raises: GitUnusable, for example where another user owns it."""
        try:
            self.run("rev-parse", "--git-dir")
        except GitFailed as error:
            advice = advise_ownership(error, self.top)
            raise GitUnusable(
                advice or f"git does not accept {self.top}: {error.reason}. Fix it, or set `state` to a folder"
            ) from error

    def list_config(self) -> list[tuple[str, str]]:
        """Return all entries of every file and variable that apply here, in git's order: the last one wins."""
        entries = []
        for entry in self.run("config", "--list", "--includes", "-z").split(b"\0")[:-1]:
            # fsdecode is the rule for environment variables, in which the values are passed on, so no byte changes
            key, separator, value = os.fsdecode(entry).partition("\n")
            entries.append((key, value if separator else "true"))  # a key without a value means true
        return entries

    def find_head(self) -> str | None:
        """Return HEAD's commit; None before the first one."""
        return self._first_line("rev-parse", "--verify", "--quiet", "HEAD")

    def differs(self, paths: Iterable[Path]) -> bool:
        """Return whether any file at or below `paths` differs from HEAD. Paths outside of the checkout are left out.

        An ignored YAML file counts, because it is read as a manifest. The index is not written, and no monitor of the
        file system is started. Raises: GitFailed, GitUnusable.
        """
        here = [os.path.relpath(path, self.top) for path in map(os.path.realpath, paths) if self._holds(path)]
        if not here:
            return False
        listed = self.run(
            *("--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "status", "--porcelain"),
            *("--untracked-files=all", "--ignored", "--ignore-submodules=none", "--no-renames", "-z", "--", *here),
        )
        entries = listed.split(b"\0")[:-1]
        return any(not entry.startswith(b"!! ") or entry.endswith((b".yaml", b".yml")) for entry in entries)

    def _holds(self, path: str) -> bool:
        return Path(path).is_relative_to(self.top)

    def find_origin(self) -> str | None:
        """Return the address of the remote `origin`, None without one. It may hold a password."""
        return self._first_line("remote", "get-url", ORIGIN)

    def find_default_branch(self) -> str | None:
        """Return the name of the default branch: that of `origin`, or else the only one; None if it is not known."""
        remote = self._first_line("symbolic-ref", "--quiet", "--short", f"refs/remotes/{ORIGIN}/HEAD")
        if remote:
            return remote.removeprefix(f"{ORIGIN}/")
        here = self._first_line("symbolic-ref", "--quiet", "--short", "HEAD")
        listed = self._first_line("for-each-ref", "--format=%(refname:short)", "refs/heads")
        return here if here and listed in ("", here) else None

    def find_remotes(self) -> tuple[str, ...]:
        """Return the names of the checkout's remotes. Raises: GitFailed, GitUnusable."""
        return tuple(self.run("remote").decode(errors="surrogateescape").splitlines())

    def _first_line(self, *arguments: str) -> str | None:
        try:
            return self.run(*arguments).decode(errors="replace").strip()
        except GitFailed:
            return None


def advise_ownership(error: GitFailed, folder: Path | str) -> str | None:
    """Return what to do if git refuses a repository of another user; None for other failures."""
    refused = _DUBIOUS.search(error.text)
    if refused is None:
        return None
    found = _ADVICE.search(error.text)
    advice = found[0].strip() if found else f"git config --global --add safe.directory {shlex.quote(str(folder))}"
    return f"git {refused[0]}: it belongs to another user. If you trust it, run `{advice}`, then run again"


def find_top(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the top folder of the checkout around `folder`, without asking git; None without a checkout."""
    ceilings = {
        os.path.realpath(ceiling) for ceiling in environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep) if ceiling
    }
    here = Path(os.path.realpath(folder))
    for candidate in (here, *here.parents):
        if candidate != here and str(candidate) in ceilings:
            return None
        if os.path.lexists(candidate / ".git"):
            return candidate
    return None
