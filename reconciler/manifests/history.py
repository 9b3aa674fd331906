"""The environments that earlier commits defined, resolved with today's options (the port `ReviewHistory`).

    line ── compare each commit with the one before ── the environments that a change touches ── resolve these alone

An environment's definition is its manifest and the defaults above it, by their blobs. While the blobs are the same, the
environment is the same, and nothing is resolved. If they differ, only the files of such environments are written
into a temporary folder and read by the ordinary loader.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from reconciler.core.digest import manifests_digest
from reconciler.core.portable import is_environment_name
from reconciler.core.workflow.strict import LastChange
from reconciler.errors import InputError
from reconciler.io.git.command import GitError
from reconciler.io.git.history import LINK, MAX_LINE, SUBMODULE, FileChange, GitHistory, Line, TreeFile
from reconciler.io.temporary import TemporaryFolder
from reconciler.manifests.file_names import DEFAULTS
from reconciler.manifests.load import load_tree, stem_of
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.manifests.nodes import File, parse_file
from reconciler.manifests.tree import ManifestFileKind, find_kind
from reconciler.ports import MergedPull

logger = logging.getLogger(__name__)

Want: TypeAlias = str
"""The digest of an environment as a commit defines it, or one of the two values below."""
ABSENT: Want = "absent"  # the commit has no such environment
UNKNOWN: Want = "unknown"  # this version refuses its manifest, or several manifests have its name

_FILE = "100644"
_KEY = b"environment"
# `{environment}` inside a text, which is not a key
_IN_A_TEXT = re.compile(rb"(?<=[\w/.=&-])\{environment\}", re.ASCII)
# A file of lines such as `key: value`, which can be read without a parser. Any other file is parsed.
_KEY_OF_A_LINE = rb"(?!sops:)[A-Za-z_]\w*:"
_SIMPLE_VALUE = rb" (?:[A-Za-z0-9][\w./@-]*(?::[\w./@{}-]+)*|'[\w ./@-]*')\n"
_SIMPLE_FILE = re.compile(
    rb"(?:%(key)s%(value)s|%(key)s\n(?:  %(key)s%(value)s)+)+" % {b"key": _KEY_OF_A_LINE, b"value": _SIMPLE_VALUE},
    re.ASCII,
)
_SIMPLE_NAME = re.compile(rb"^environment: ([a-z][a-z0-9._-]{0,62})$", re.MULTILINE)
_NO_TEXT = frozenset({"yes", "no", "on", "off", "true", "false", "null"})  # words that YAML reads as something else
MAX_SIMPLE_BYTES = 4096
_STEM = ""  # stands for the name of a manifest without `environment:`, which is its file's stem


class _Definition(Struct, frozen=True):
    """The files that define an environment: `defaults` from the root down, each as its folder and its blob."""

    path: str
    manifest: str
    defaults: tuple[tuple[str, str], ...]

    @property
    def blobs(self) -> tuple[str, ...]:
        """Return the blobs that the environment is made of, wherever the files are."""
        return (self.manifest, *(blob for _, blob in self.defaults))

    def files(self) -> Iterator[tuple[str, TreeFile]]:
        yield self.path, TreeFile(_FILE, self.manifest)
        for folder, blob in self.defaults:
            yield _join(folder, DEFAULTS), TreeFile(_FILE, blob)


class _WholeTree(Struct, frozen=True):
    """The whole tree of a commit that holds symbolic links, which only a walk of real files can follow."""

    commit: str


_Defined: TypeAlias = "_Definition | _WholeTree | Want"
_MakeNames: TypeAlias = Callable[[str, str], str | None]


class _Snapshot(Struct):
    """The blobs of one commit's manifests by path, of its defaults by folder, and the paths by environment's name."""

    commit: str
    manifests: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    named: dict[str | None, set[str]] = field(default_factory=dict)
    _chains: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def copy(self) -> _Snapshot:
        named = {name: set(paths) for name, paths in self.named.items()}
        return _Snapshot(self.commit, dict(self.manifests), dict(self.defaults), set(self.links), named)

    def add(self, path: str, file: TreeFile, name_of: _MakeNames) -> None:
        kind = None if file.mode == SUBMODULE else find_kind(path)
        if file.mode == LINK:
            self.links.add(path)
        elif kind is ManifestFileKind.DEFAULTS:
            self.defaults[_folder_of(path)] = file.blob
            self._chains.clear()
        elif kind is ManifestFileKind.MANIFEST:
            self.manifests[path] = file.blob
            self.named.setdefault(name_of(path, file.blob), set()).add(path)

    def remove(self, path: str, name_of: _MakeNames) -> None:
        self.links.discard(path)
        if find_kind(path) is ManifestFileKind.DEFAULTS:
            self.defaults.pop(_folder_of(path), None)
            self._chains.clear()
        blob = self.manifests.pop(path, None)
        if blob is not None:
            self.named[name_of(path, blob)].discard(path)

    def define(self, name: str) -> _Defined:
        if self.links:
            return _WholeTree(self.commit)
        paths = self.named.get(name)
        if not paths:
            return ABSENT
        if len(paths) > 1:
            return UNKNOWN
        path = next(iter(paths))
        return _Definition(path, self.manifests[path], self._find_chain(_folder_of(path)))

    def _find_chain(self, folder: str) -> tuple[tuple[str, str], ...]:
        if folder not in self._chains:
            above = self._find_chain(_folder_of(folder)) if folder else ()
            blob = self.defaults.get(folder)
            self._chains[folder] = above if blob is None else (*above, (folder, blob))
        return self._chains[folder]


class ManifestHistory:
    """The manifests below `root`, a path in the repository, in the commits on the line of `commit`, and in others."""

    def __init__(self, git: GitHistory, root: str, options: TreeOptions, commit: str) -> None:
        self._git = git
        self._root = root
        self._prefix = f"{root}/" if root else ""
        self._options = options
        self._commit = commit
        self._names: dict[str, str | None] = {}  # blob -> the name that it gives
        self._meanings: dict[str, str] = {}  # blob of defaults -> a text that is equal for equal values
        self._wants: dict[tuple[str, tuple[str, ...]], Want] = {}
        self._whole: dict[str, dict[str, Want]] = {}

    # --- the port ----------------------------------------------------------------------------------

    @property
    def commits(self) -> Sequence[str]:
        with _explaining():
            return self._line.commits[:MAX_LINE]

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        with _explaining():
            return self._walk(names)

    def fetch_heads(self, pulls: Collection[MergedPull]) -> None:
        with _explaining():
            refs = {pull.head_sha: f"refs/pull/{pull.number}/head" for pull in pulls}
            self._git.ensure(refs, refs)

    def compare(self, commit: str, names: Collection[str]) -> Mapping[str, bool | None]:
        with _explaining():
            (changes,) = self._git.compare([(self._commit, commit)], self._root)
            here = {name: self._head.define(name) for name in names}
            # the snapshot is moved to the other commit and back again: a copy would cost more than most changes
            touched = self._step_back(self._head, commit, changes, here)
            there = {name: self._head.define(name) if name in touched else one for name, one in here.items()}
            back = [FileChange(change.path, change.after, change.before) for change in changes]
            self._step_back(self._head, self._commit, back, {})
            return self._compare(here, there)

    # --- beside the port ---------------------------------------------------------------------------

    def find_wants(self, commit: str, names: Collection[str]) -> Mapping[str, Want]:
        """Return the digest of each environment as a commit defines it. Raises InputError."""
        with _explaining():
            snapshot = self._head if commit == self._commit else self._take_snapshot(commit)
            return self._resolve({name: snapshot.define(name) for name in names})

    def changed_by(self, commit: str) -> frozenset[str]:
        """Return the environments that a commit and its first parent define differently.

        An environment that can't be resolved on one side counts as changed if its text differs. Raises InputError.
        """
        with _explaining():
            parents = self._git.find_parents(commit)
            (changes,) = self._git.compare([(commit, parents[0] if parents else None)], self._root)
            if not changes:
                return frozenset()
            snapshot = self._take_snapshot(commit)
            after = {name: snapshot.define(name) for name in self._list_names(snapshot)}
            touched = self._step_back(snapshot, parents[0] if parents else "", changes, after)
            before = {name: snapshot.define(name) for name in touched | self._list_linked(snapshot)}
            same = self._compare({name: after.get(name, ABSENT) for name in before}, before)
            return frozenset(name for name, is_same in same.items() if not is_same)

    def _list_names(self, snapshot: _Snapshot) -> set[str]:
        return {name for name in snapshot.named if name} | self._list_linked(snapshot)

    def _list_linked(self, snapshot: _Snapshot) -> set[str]:
        return set(self._load_whole(snapshot.commit)) if snapshot.links else set()

    # --- the walk ----------------------------------------------------------------------------------

    @cached_property
    def _line(self) -> Line:
        """Return one commit more than is examined, as the last examined one is compared with it."""
        return self._git.read_line(self._commit, MAX_LINE + 1)

    @cached_property
    def _head(self) -> _Snapshot:
        return self._take_snapshot(self._commit)

    def _walk(self, names: Collection[str]) -> dict[str, LastChange]:
        commits, is_whole = self._line
        before: list[str | None] = [*commits[1:], *([None] if is_whole else [])]
        pairs = list(zip(commits, before, strict=False))[:MAX_LINE]
        snapshot = self._head.copy()
        pending = {name: snapshot.define(name) for name in names}
        found: dict[str, LastChange] = {}
        for position, changes in enumerate(self._git.compare(pairs, self._root)):
            if not pending:
                break
            touched = self._step_back(snapshot, before[position] or "", changes, pending) & pending.keys()
            then = {name: snapshot.define(name) for name in touched}
            for name, is_same in self._compare({name: pending[name] for name in touched}, then).items():
                pending[name] = then[name]
                if not is_same:
                    del pending[name]
                    found[name] = _found_at(position, commits[position], is_known=is_same is not None)
        logger.info("history: compared %d commits for %d environments", len(pairs), len(names))
        oldest = min(len(commits), MAX_LINE) - 1
        return found | {name: LastChange(None, commits[oldest], oldest) for name in pending}

    def _step_back(
        self, snapshot: _Snapshot, commit: str, changes: Sequence[FileChange], defined: Mapping[str, _Defined]
    ) -> set[str]:
        """Move the snapshot to the commit before, and return the environments whose definition may differ."""
        had_links, names = bool(snapshot.links), self._name_changed(changes)
        folders = [
            _folder_of(path)
            for change in changes
            if find_kind(path := self._inside(change.path)) is ManifestFileKind.DEFAULTS
            and not self._mean_the_same_defaults(change.before, change.after)
        ]
        snapshot.commit = commit  # nothing below can fail, so the snapshot never mixes two commits
        for change in changes:
            snapshot.remove(self._inside(change.path), self._name_of)
        for change in changes:
            if change.before is not None:
                snapshot.add(self._inside(change.path), change.before, self._name_of)
        if changes and (had_links or snapshot.links):
            return set(defined)
        return names | _find_below(folders, defined)

    def _name_changed(self, changes: Sequence[FileChange]) -> set[str]:
        """Return the environments' names in the changed manifests, before and after the changes."""
        manifests = [
            (path, file.blob)
            for change in changes
            if find_kind(path := self._inside(change.path)) is ManifestFileKind.MANIFEST
            for file in (change.before, change.after)
            if file is not None and file.mode not in (LINK, SUBMODULE)
        ]
        self._load_names(blob for _, blob in manifests)
        return {name for path, blob in manifests if (name := self._name_of(path, blob))}

    def _inside(self, path: str) -> str:
        """Return a path relative to the root; "" for the root itself, if it is a file or a link."""
        return path.removeprefix(self._prefix) if path.startswith(self._prefix) else ""

    def _take_snapshot(self, commit: str) -> _Snapshot:
        files = self._git.list_files(commit, [self._root] if self._root else [])
        inside = {self._inside(path): file for path, file in files.items()}
        self._load_names(
            file.blob
            for path, file in inside.items()
            if file.mode not in (LINK, SUBMODULE) and find_kind(path) is ManifestFileKind.MANIFEST
        )
        snapshot = _Snapshot(commit)
        for path, file in inside.items():
            snapshot.add(path, file, self._name_of)
        return snapshot

    # --- names -------------------------------------------------------------------------------------

    def _name_of(self, path: str, blob: str) -> str | None:
        name = self._names[blob]
        return stem_of(path) if name == _STEM else name

    def _load_names(self, blobs: Iterable[str]) -> None:
        unread = [blob for blob in dict.fromkeys(blobs) if blob not in self._names]
        for blob, data in self._git.read(unread).items():
            self._names[blob] = find_name(data)

    # --- wants -------------------------------------------------------------------------------------

    def _compare(self, here: Mapping[str, _Defined], there: Mapping[str, _Defined]) -> dict[str, bool | None]:
        """Return for each environment whether two definitions are the same; None if one can't be resolved."""
        differing = [name for name, one in here.items() if not self._mean_the_same(one, there[name])]
        wants = self._resolve({name: here[name] for name in differing})
        others = self._resolve({name: there[name] for name in differing})
        answers: dict[str, bool | None] = dict.fromkeys(here, True)
        for name in differing:
            is_known = UNKNOWN not in (wants[name], others[name])
            answers[name] = wants[name] == others[name] if is_known else None
        return answers

    def _mean_the_same(self, one: _Defined, other: _Defined) -> bool:
        if not isinstance(one, _Definition) or not isinstance(other, _Definition):
            return one == other and one != UNKNOWN
        if one.blobs == other.blobs:
            return True
        if one.manifest != other.manifest or len(one.defaults) != len(other.defaults):
            return False
        return all(
            self._find_meaning(blob) == self._find_meaning(other_blob)
            for (_, blob), (_, other_blob) in zip(one.defaults, other.defaults, strict=True)
        )

    def _mean_the_same_defaults(self, before: TreeFile | None, after: TreeFile | None) -> bool:
        if before is None or after is None or SUBMODULE in (before.mode, after.mode):
            return False
        return self._find_meaning(before.blob) == self._find_meaning(after.blob)

    def _find_meaning(self, blob: str) -> str:
        if blob not in self._meanings:
            self._meanings[blob] = find_meaning(self._git.read([blob])[blob]) or blob
        return self._meanings[blob]

    def _resolve(self, defined: Mapping[str, _Defined]) -> dict[str, Want]:
        """Return the digests of one commit's definitions."""
        wants: dict[str, Want] = {}
        missing: dict[str, _Definition] = {}
        for name, one in defined.items():
            if isinstance(one, str):
                wants[name] = one
            elif isinstance(one, _WholeTree):
                wants[name] = self._load_whole(one.commit).get(name, ABSENT)
            elif (name, one.blobs) in self._wants:
                wants[name] = self._wants[name, one.blobs]
            else:
                missing[name] = one
        if missing:
            files = dict(file for one in missing.values() for file in one.files())
            found = find_wants(self._load(files))
            for name, one in missing.items():
                wants[name] = self._wants[name, one.blobs] = found.get(name, ABSENT)
        return wants

    def _load_whole(self, commit: str) -> dict[str, Want]:
        if commit not in self._whole:
            files = self._git.list_files(commit, [self._root] if self._root else [])
            inside = {self._inside(path): file for path, file in files.items()}
            inside.pop("", None)
            last = list(self._whole.items())[-1:]  # two commits are compared at a time; more would only take memory
            self._whole = dict([*last, (commit, find_wants(self._load(inside)))])
        return self._whole[commit]

    def _load(self, files: Mapping[str, TreeFile]) -> Tree:
        with TemporaryFolder("reconciler-manifests-") as made:
            self._git.write_files(files, Path(made))
            return load_tree(made, self._options)


def find_wants(tree: Tree) -> dict[str, Want]:
    """Return the digest of each environment of a tree."""
    wants = dict.fromkeys(tree.names, UNKNOWN)
    wants |= {one.environment: manifests_digest([one]) for one in tree.desired if one.environment not in tree.repeated}
    return wants


def find_name(data: bytes) -> str | None:
    """Return the name that a manifest gives; "" if its file's stem is the name, None if the name is not valid.

    A manifest that can't be parsed has its file's stem as its name. Only one that may hold the key is parsed.
    """
    count = data.count(_KEY)
    if b"\\" not in data and len(_IN_A_TEXT.findall(data)) == count:
        return _STEM
    if count == 1 and len(data) <= MAX_SIMPLE_BYTES and _SIMPLE_FILE.fullmatch(data):
        simple = _SIMPLE_NAME.search(data)
        if simple is not None and simple[1].decode() not in _NO_TEXT:
            return simple[1].decode()
    file = parse_file("", data)
    if not isinstance(file, File) or "environment" not in file.values:
        return _STEM
    name = file.values["environment"]
    return name if isinstance(name, str) and is_environment_name(name) else None


def find_meaning(data: bytes) -> str | None:
    """Return a text that is equal for defaults with equal values, whatever their comments and layout.

    Return None for defaults with a fault.
    """
    file = parse_file("", data)
    if not isinstance(file, File) or file.problems:
        return None
    return json.dumps(file.values, sort_keys=True, default=repr)


def _found_at(position: int, commit: str, *, is_known: bool) -> LastChange:
    return LastChange(position, commit) if is_known else LastChange(None, commit, position)


def _find_below(folders: Collection[str], defined: Mapping[str, _Defined]) -> set[str]:
    """Return the environments whose manifest is at or below one of the folders."""
    if not folders:
        return set()
    starts = tuple(f"{folder}/" if folder else "" for folder in folders)
    return {name for name, one in defined.items() if isinstance(one, _Definition) and one.path.startswith(starts)}


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@contextmanager
def _explaining() -> Iterator[None]:
    """Translate errors of git, and of writing its files. Raises InputError."""
    try:
        yield
    except (GitError, OSError) as error:
        raise InputError(f"the manifests of earlier commits can't be read: {error}. Run again") from error
