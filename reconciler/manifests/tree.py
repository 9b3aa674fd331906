"""The walk of the tree, which finds the manifests and the files of defaults (docs/manifests.md)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from pathlib import Path, PurePath

from msgspec import Struct, field

from reconciler.core.portable import find_reserved_fault, make_comparison_key
from reconciler.io.files import NotRegularError, TooLargeError, is_link_entry, read_regular
from reconciler.manifests.file_names import (
    DEFAULTS,
    SUFFIXES,
    find_near_miss,
    is_hidden,
    is_lookalike,
    is_nearly_defaults,
)
from reconciler.model import Fault, Problem
from reconciler.text.escape import for_terminal

MAX_BYTES = 1024 * 1024  # of a manifest
MAX_FOLDERS = 100  # inside each other; the walk recurses, and must not overflow Python's stack


class Folder(Struct):
    """One folder: its file of defaults, its manifests and the folders in it, by the names that are shown."""

    name: str
    defaults: str | None = None
    manifests: list[str] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)


def walk(root: str, problems: list[Problem], warnings: list[Problem]) -> Folder | None:
    """Return the tree below `root` in the order of names; None, with a problem, if it can't be walked.

    Names are shown with forward slashes on every system. `warnings` gets the files that are not read.
    """
    shown = PurePath(root).as_posix()
    hint = "run in the folder that holds it, set `manifests` to where it is, or begin with `reconciler init`"
    try:
        if not stat.S_ISDIR(Path(shown).stat().st_mode):
            problems.append(Problem.of("manifests", f"{shown} is not a folder", hint))
            return None
    except OSError as error:
        problems.append(Problem.of("manifests", f"{shown} can't be read: {error.strerror}", hint))
        return None
    real = Path(os.path.realpath(shown))
    folder = _TreeWalk(real, problems, warnings).folder(shown, (real,))
    if not any(True for _ in all_manifests(folder)) and not problems:
        problems.append(Problem.of("manifests", f"{shown} holds no manifest", "add one such as production.yaml"))
    return folder


def all_manifests(folder: Folder) -> Iterator[str]:
    yield from folder.manifests
    for inner in folder.folders:
        yield from all_manifests(inner)


class ManifestFileKind(Enum):
    """The two kinds of files that the tree reads."""

    DEFAULTS = "defaults"
    MANIFEST = "manifest"


@lru_cache(maxsize=50_000)
def find_kind(path: str) -> ManifestFileKind | None:
    """Return as what `walk` reads a file, judged by its path below the root; None if it does not read the file."""
    *folders, name = path.split("/")
    if not name or not _is_text(name) or len(folders) > MAX_FOLDERS or not all(map(_is_read_folder, folders)):
        return None
    if name == DEFAULTS:
        return ManifestFileKind.DEFAULTS
    if is_hidden(name) or find_near_miss(name) is not None or is_lookalike(name) or not name.endswith(SUFFIXES):
        return None
    return ManifestFileKind.MANIFEST


@lru_cache(maxsize=10_000)
def _is_read_folder(name: str) -> bool:
    return _is_text(name) and not is_hidden(name) and not _is_misnamed_folder(name)


def _is_misnamed_folder(name: str) -> bool:
    return name == DEFAULTS or ("." in name[1:] and is_nearly_defaults(name))


def _is_text(name: str) -> bool:
    """Return whether a name is UTF-8: JSON can't hold any other."""
    return name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)


class _TreeWalk(Struct, frozen=True):
    """The walk of one tree. `root` is its real path."""

    root: Path
    problems: list[Problem]
    warnings: list[Problem]

    def folder(self, shown: str, parents: tuple[Path, ...]) -> Folder:
        """Return a folder and all below it. `parents` are its own real path and those of the folders around it."""
        folder = Folder(shown)
        try:
            with os.scandir(shown) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(shown, f"can't be read: {error.strerror}")
            return folder
        names: dict[str, str] = {}
        for entry in entries:
            if self._may_read(entry, shown, names):
                self._sort_in(folder, entry, f"{shown}/{entry.name}", parents)
        return folder

    def _may_read(self, entry: os.DirEntry[str], folder: str, names: dict[str, str]) -> bool:
        """Return whether a file or folder may be read. `names` are the names that came before it in the folder."""
        name, shown = entry.name, f"{folder}/{entry.name}"
        if not _is_text(name):
            self._refuse(for_terminal(shown), "has a name that is not UTF-8", "rename it")
            return False
        near = find_near_miss(name)
        if near is not None and not _is_folder(entry):
            self._refuse(shown, *near)
            return False
        if _is_folder(entry) and _is_misnamed_folder(name):
            message = f"is a folder: defaults are read from a file named {DEFAULTS}"
            self._refuse(shown, message, "move its defaults into such a file, or give the folder another name")
            return False
        reserved = find_reserved_fault(name)
        if reserved is not None:
            self._refuse(shown, f"its name {reserved}", "choose a name that works on every system")
        first = names.setdefault(make_comparison_key(name), name)
        if first != name:
            message = f"has the same name as {folder}/{first} on systems where case or the form of an accent is ignored"
            self._refuse(shown, message, "rename one of the two")
        if is_lookalike(name) and not _is_folder(entry):
            hint = "a manifest ends in .yaml or .yml; move what is not a manifest out of this folder"
            self.warnings.append(Problem(shown, 1, 1, "", "is not read because of its ending", hint))
            return False
        return name == DEFAULTS or not is_hidden(name)

    def _sort_in(self, folder: Folder, entry: os.DirEntry[str], shown: str, parents: tuple[Path, ...]) -> None:
        named_as_manifest = entry.name.endswith(SUFFIXES)
        if is_link_entry(entry):
            fault = _find_link_fault(shown, self.root, parents)
            if fault is not None:
                if named_as_manifest or os.path.isdir(shown):  # noqa: PTH112 - entry.is_dir() fails on a loop
                    self._refuse(shown, *fault)
                return
        if entry.is_dir():
            if len(parents) > MAX_FOLDERS:
                self._refuse(shown, "is nested too deeply", f"{MAX_FOLDERS} folders are enough")
                return
            here = Path(os.path.realpath(shown))
            folder.folders.append(self.folder(shown, (*parents, here)))
        elif entry.name == DEFAULTS:
            folder.defaults = shown
        elif named_as_manifest:
            folder.manifests.append(shown)

    def _refuse(self, shown: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(shown, 1, 1, "", message, hint))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points back at itself
        return False


def _find_link_fault(shown: str, root: Path, parents: tuple[Path, ...]) -> Fault | None:
    """Return what is wrong with a symbolic link."""
    try:
        target = Path(os.path.realpath(shown))
    except OSError as error:  # Linux shows some targets in /proc only to their owner
        return Fault(f"is a symbolic link that can't be followed: {error.strerror}", "remove it")
    if not os.path.exists(target):  # noqa: PTH110 - exists() fails on a name that is too long
        return Fault("is a symbolic link to nothing", "remove it, or fix its target")
    if not target.is_relative_to(root):
        return Fault("is a symbolic link that leaves the tree", "copy into the tree what it points at")
    if target in parents:
        return Fault("is a symbolic link to a folder around it", "remove it")
    if target.is_dir() and not _is_skipped(target, root):
        # links to folders of links would be read exponentially often
        return Fault("is a symbolic link to a folder that is read already", "remove it")
    return None


def _is_skipped(target: Path, root: Path) -> bool:
    """Return whether a folder is not read because of its name, so that it is read through a link only."""
    return any(part[0] in "._" for part in target.relative_to(root).parts)


def read_bytes(shown: str, problems: list[Problem]) -> bytes | None:
    """Return the content of a manifest; None, with a problem, if it can't be read or is larger than a manifest."""
    try:
        return read_regular(shown, MAX_BYTES)
    except NotRegularError:
        problems.append(Problem(shown, 1, 1, "", "is not a regular file"))
    except TooLargeError:
        problems.append(Problem(shown, 1, 1, "", "is larger than 1 MiB", "a manifest holds one environment"))
    except OSError as error:
        problems.append(Problem(shown, 1, 1, "", f"can't be read: {error.strerror}"))
    return None
