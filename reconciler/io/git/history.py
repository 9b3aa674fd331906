"""Commits, trees and blobs of the repository around a folder, also those that its checkout lacks.

All reads are made in a temporary bare repository that borrows the checkout's objects, but not its configuration, hooks,
filters or replaced objects. What the checkout lacks (a runner's checkout has one commit) is fetched from `origin` into
another temporary repository. That one borrows nothing: else git would report the whole history of the borrowed objects
to the remote as present, and a shallow checkout lacks most of it. The checkout itself is never changed.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from reconciler.io.git.checkout import ORIGIN, Checkout
from reconciler.io.git.command import COMMIT, GitError, GitFailed
from reconciler.io.git.scratch import REMOTE, ScratchRepository
from reconciler.text.commits import shorten_commit

MAX_LINE = 200  # commits of a first-parent line that are read
LINK, SUBMODULE = "120000", "160000"  # modes of a tree's entries

logger = logging.getLogger(__name__)

_ABSENT = "000000"  # the mode of a side of a comparison that does not have the path
_DRIVE = re.compile(r"[\\:]") if os.name == "nt" else None


class MissingObject(GitError):
    """A commit or a blob that neither the checkout nor the remote has."""


class UnsafeName(GitError):
    """A file of a commit that can't be written, or only outside of its folder."""


class TreeFile(NamedTuple):
    """A file, link or submodule in a commit."""

    mode: str
    blob: str


class FileChange(NamedTuple):
    """A path that differs between two commits. A side is None if the commit does not have the path."""

    path: str
    before: TreeFile | None
    after: TreeFile | None


class Line(NamedTuple):
    """The first-parent line of a commit, itself first. With `is_whole` it ends with the repository's first commit."""

    commits: tuple[str, ...]
    is_whole: bool


class GitHistory:
    """Reads of the repository around `folder`. Every method raises GitError if git can't be used, or refuses."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._fetched = ScratchRepository(folder, environ, ORIGIN)
        self._has_fetched = False

    def close(self) -> None:
        """Remove the temporary repositories."""
        self._fetched.close()
        if "_reader" in self.__dict__:
            self._reader.close()

    @cached_property
    def _checkout(self) -> Checkout:
        return Checkout(self._folder, self._environ)

    @cached_property
    def _reader(self) -> ScratchRepository:
        """Return the repository for all reads. It has the checkout's shallow boundary, so that walks end there.

        It borrows nothing from a partial clone: that lacks objects, and git would fetch each of them alone.
        """
        reader = ScratchRepository(self._folder, self._environ, ORIGIN)
        if not self._is_partial():
            _borrow(reader, self._find_path("objects"))
            boundary = self._find_path("shallow")
            if boundary.exists():
                (_folder_of(reader) / "shallow").write_bytes(boundary.read_bytes())
        return reader

    def _is_partial(self) -> bool:
        entries = self._checkout.list_config()
        return any(key == "extensions.partialclone" or key.endswith(".promisor") for key, _ in entries)

    def _find_path(self, name: str) -> Path:
        answer = self._checkout.run("rev-parse", "--git-path", name)
        return self._checkout.top / os.fsdecode(answer.removesuffix(b"\n"))

    # --- commits ---------------------------------------------------------------------------------------

    def read_line(self, commit: str, limit: int = MAX_LINE) -> Line:
        """Return the commit and those before it on its first-parent line, at most `limit`.

        If the checkout's history ends earlier, the missing commits are fetched.
        """
        _check(commit)
        commits: list[str] = []
        if not self._find_missing([commit]):
            commits = self._list_line(self._reader, commit, limit)
        if not commits or (len(commits) <= limit and self.find_parents(commits[-1])):
            self._fetch([commit], depth=limit + 1)
            commits = self._list_line(self._fetched, commit, limit)
        is_whole = len(commits) <= limit and not self.find_parents(commits[-1])
        return Line(tuple(commits[:limit]), is_whole)

    @staticmethod
    def _list_line(repository: ScratchRepository, commit: str, limit: int) -> list[str]:
        return repository.run("rev-list", "--first-parent", f"--max-count={limit + 1}", commit).decode().split()

    def find_parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents that the commit names, which may not be in the checkout."""
        self.ensure([commit])
        head, _, _ = self._cat([commit])[commit].partition(b"\n\n")
        return tuple(line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent "))

    def ensure(self, commits: Iterable[str], refs: Mapping[str, str] | None = None) -> None:
        """Fetch the missing ones of these commits, each with its files and without its history.

        They are requested by their names; `refs` name other places where a commit may be. Raises MissingObject.
        """
        missing = self._find_missing([_check(commit) for commit in dict.fromkeys(commits)])
        if not missing:
            return
        try:
            self._fetch(missing, depth=1)
        except GitFailed:
            for commit in missing:
                self._fetch_one(commit, (refs or {}).get(commit))
        lacking = self._find_missing(missing)
        if lacking:
            name = shorten_commit(lacking[0])
            raise MissingObject(f"the commit {name} is neither in the checkout nor at the remote {ORIGIN}")

    def _fetch_one(self, commit: str, ref: str | None) -> None:
        try:
            self._fetch([commit], depth=1)
        except GitFailed:
            if ref is None:
                raise
            self._fetch([ref], depth=1)

    def _fetch(self, wanted: Sequence[str], *, depth: int) -> None:
        if not self._fetched.has_remote:
            raise MissingObject(
                f"the commit {shorten_commit(wanted[0])} is not in the checkout, which has no remote {ORIGIN} to fetch "
                "it from"
            )
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", f"--depth={depth}")
        self._fetched.run("fetch", *options, REMOTE, *wanted)
        if not self._has_fetched:
            self._has_fetched = True
            _borrow(self._reader, _folder_of(self._fetched) / "objects")

    def _find_missing(self, commits: Sequence[str]) -> list[str]:
        asked = "".join(f"{commit}^{{tree}}\n" for commit in commits).encode()
        answers = self._reader.run("cat-file", "--batch-check", stdin=asked).decode().splitlines()
        return [commit for commit, answer in zip(commits, answers, strict=True) if answer.endswith(" missing")]

    # --- trees -----------------------------------------------------------------------------------------

    def list_files(self, commit: str, paths: Sequence[str] = ()) -> dict[str, TreeFile]:
        """Return the files of a commit at and below the paths, or all of them.

        A path that the commit doesn't have adds none.
        """
        self.ensure([commit])
        listed = self._reader.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *map(_clean, paths))
        files = {}
        for entry in listed.split(b"\0")[:-1]:
            facts, _, name = entry.partition(b"\t")
            mode, _, blob = facts.decode().split(" ")
            files[os.fsdecode(name)] = TreeFile(mode, sys.intern(blob))
        return files

    def compare(self, pairs: Sequence[tuple[str, str | None]], path: str = "") -> list[list[FileChange]]:
        """Return the changes at or below a path, for each pair of a commit and an earlier one (None: an empty tree)."""
        self.ensure(commit for pair in pairs for commit in pair if commit is not None)
        lines = "".join(f"{after} {before}\n" if before else f"{after}\n" for after, before in pairs)
        options = ("--stdin", "--always", "--root", "-r", "-z", "--raw", "--no-renames", "--no-abbrev")
        pathspecs = [clean] if (clean := _clean(path)) else []
        answer = self._reader.run("--literal-pathspecs", "diff-tree", *options, "--", *pathspecs, stdin=lines.encode())
        found = list(_parse_changes(answer))
        if len(found) != len(pairs):
            raise GitFailed(0, "", f"fatal: git compared {len(found)} of {len(pairs)} commits")
        return found

    # --- blobs -----------------------------------------------------------------------------------------

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Return the content of blobs, which were listed or compared before."""
        return self._cat(list(dict.fromkeys(blobs)))

    def _cat(self, names: Sequence[str]) -> dict[str, bytes]:
        asked = "".join(f"{name}\n" for name in names).encode()
        data = self._reader.run("cat-file", "--batch", "--buffer", stdin=asked) if names else b""
        found, at = {}, 0
        for name in names:
            end = data.index(b"\n", at)
            facts = data[at:end].decode().split(" ")
            if len(facts) != 3:
                raise MissingObject(f"the object {shorten_commit(name)} is neither in the checkout nor was it fetched")
            size = int(facts[2])
            found[name] = data[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    def write_files(self, files: Mapping[str, TreeFile], folder: Path) -> None:
        """Write files of a commit into an empty folder, each with exactly the bytes of its blob. Raises UnsafeName.

        No filter, conversion of line ends or attribute applies. A link stays a link, and a submodule is an empty
        folder. Links are made last, and nothing is overwritten, so that no file gets into a link's target.
        """
        places = {name: _place(folder, name) for name in files}
        contents = self.read(file.blob for file in files.values() if file.mode != SUBMODULE)
        for parent in sorted({place.parent for place in places.values()}):
            parent.mkdir(parents=True, exist_ok=True)
        for name, file in sorted(files.items(), key=lambda one: one[1].mode == LINK):
            try:
                if file.mode == LINK:
                    places[name].symlink_to(os.fsdecode(contents[file.blob]))
                elif file.mode == SUBMODULE:
                    places[name].mkdir()
                else:
                    with places[name].open("xb") as written:
                        written.write(contents[file.blob])
            except (OSError, ValueError) as error:  # ValueError: a link to a name with a zero byte
                reason = getattr(error, "strerror", None) or error  # without the path of the temporary folder
                raise UnsafeName(f"{name!a} of the commit can't be written: {reason}") from error


def _borrow(reader: ScratchRepository, objects: Path) -> None:
    """Let the repository find its missing objects in another repository's folder of objects."""
    with (_folder_of(reader) / "objects" / "info" / "alternates").open("ab") as file:
        file.write(os.fsencode(os.path.realpath(objects)) + b"\n")


def _folder_of(repository: ScratchRepository) -> Path:
    return Path(os.fsdecode(repository.run("rev-parse", "--absolute-git-dir").removesuffix(b"\n")))


def _check(commit: str) -> str:
    """Return the name of a commit. Raises: GitFailed for anything else, which could be an option of git."""
    if not COMMIT.fullmatch(commit):
        raise GitFailed(-1, "", f"fatal: {commit!a} is not the full name of a commit")
    return commit


def _clean(path: str) -> str:
    """Return a path as git names it, "" for the whole tree."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _place(folder: Path, name: str) -> Path:
    parts = name.split("/")
    if any(part in ("", ".", "..") or (_DRIVE is not None and _DRIVE.search(part)) for part in parts):
        raise UnsafeName(f"the commit has a file that is named {name!a}, which no folder can hold")
    return folder.joinpath(*parts)


def _parse_changes(answer: bytes) -> Iterator[list[FileChange]]:
    """Yield the changes of each pair. A pair begins with the name of its commit."""
    fields = iter(answer.split(b"\0")[:-1])
    changes: list[FileChange] | None = None
    for field in fields:
        if not field.startswith(b":"):
            if changes is not None:
                yield changes
            changes = []
            continue
        before_mode, after_mode, before, after, _ = field[1:].decode().split(" ")
        assert changes is not None, "git names the commit first"
        changes.append(FileChange(os.fsdecode(next(fields)), _side(before_mode, before), _side(after_mode, after)))
    if changes is not None:
        yield changes


def _side(mode: str, blob: str) -> TreeFile | None:
    return None if mode == _ABSENT else TreeFile(mode, sys.intern(blob))
