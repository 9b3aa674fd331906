"""Make a store from the `state` setting. An ambiguous text is refused: a wrong guess would lose the state.

See docs/state.md#where-it-is-kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

from reconciler.core.where import BUCKETS, SHARED
from reconciler.errors import InputError
from reconciler.io.git.checkout import ORIGIN, Checkout
from reconciler.io.git.command import GitError, GitUnusable
from reconciler.model import Fault
from reconciler.ports import StateStore

HAS_DRIVES = bool(PurePath("c:/").drive)  # on Windows

_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_-])?", re.ASCII)
_NO_BRANCH = re.compile(r"\.\.|//|/\.|\.lock(?:/|\Z)")  # parts that git refuses in a branch's name
_BUCKET = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._=/-]*)?", re.ASCII)
_SCHEMES = ("file", *SHARED)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.ASCII | re.DOTALL)  # a single letter is a drive of Windows
_DRIVE = re.compile(r"/?[A-Za-z]:", re.ASCII)
_QUOTES = "\"'`´‘’“”„«»"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEMPLATE = re.compile(r"\{\{|%[A-Za-z_][A-Za-z0-9_]*%", re.ASCII)
_REF = re.compile(r"(?:refs/)?remotes/")
_OF_REPOSITORIES = ("http", "https", "ssh", "git+ssh", "git+https")
_HOW_GIT = "git:REMOTE/BRANCH with one of the checkout's remotes (`git remote -v`)"
_NO_FOLDER = Fault("does not name a folder", "write a path such as .reconciler/state")


def open_store(setting: str, folder: Path, environ: Mapping[str, str] | None = None) -> StateStore:
    """Return the store that `setting` names. A relative path is below `folder`. Nothing is read yet.

    Raises InputError for a setting that does not name a store, and if the extra for buckets is not installed.
    """
    return parse_state(setting, folder, environ)()


def parse_state(setting: str, folder: Path, environ: Mapping[str, str] | None = None) -> Callable[[], StateStore]:
    """Check the setting, and return a function that opens the store. Modules of the store are imported only then.

    `environ` is the environment in which git runs. No message repeats the setting, because it may be a token that was
    put in the wrong place.

    Raises InputError for a setting that does not name a store.
    """
    match = _SCHEME.fullmatch(setting)
    scheme, rest = (match[1], match[2]) if match else ("", setting)
    _refuse(_find_text_fault(setting, scheme, rest) or _find_scheme_fault(scheme))
    if scheme == "git":
        return _parse_git(rest, folder, environ)
    if scheme in BUCKETS:
        return _parse_bucket(setting)
    if scheme == "file" and rest.startswith("//"):
        path = _path_of_url(rest)
    else:
        _refuse(find_path_fault(rest, explicit=scheme == "file", has_drives=HAS_DRIVES))
        path = rest
        if not scheme:
            _refuse(_find_remote_fault(path, folder, os.environ if environ is None else environ))
    place = folder / _expand(path)

    def open_folder() -> StateStore:
        from reconciler.state.folder import FolderStore

        return FolderStore(place)

    return open_folder


# --- ambiguous settings ------------------------------------------------------------------------------


def _find_text_fault(setting: str, scheme: str, rest: str) -> Fault | None:
    """Find quotes, spaces or placeholders that a shell, an env file or a template would have replaced."""
    if scheme in ("", "file") and (not rest or not _can_be_a_name(setting)):
        return _NO_FOLDER
    for text in filter(None, (setting, rest)):
        if text[0] in _QUOTES or text[-1] in _QUOTES:
            return Fault("has a quote at an end, which would be part of the name", "write it without quotes")
        if text != text.strip():
            return Fault("begins or ends with a space", "remove it")
    if "$" in setting or (_TEMPLATE.search(setting) and not setting.startswith("file://")):
        return Fault("has a placeholder such as $NAME, which is not filled in", "write the value in its place")
    return None


def _find_scheme_fault(scheme: str) -> Fault | None:
    if scheme in ("", *_SCHEMES):
        return None
    if scheme.lower() in _SCHEMES:
        return Fault("has its scheme in capitals", f"write {scheme.lower()}: in small letters")
    hint = "write a folder's path, git:REMOTE/BRANCH, or s3://, gs:// or az://"
    if scheme.lower() in _OF_REPOSITORIES:
        hint = f"write {_HOW_GIT}; or a folder's path, s3://, gs:// or az://"
    return Fault(f"{scheme}: is not a store", hint)


def find_path_fault(path: str, *, explicit: bool, has_drives: bool) -> Fault | None:
    """Return why a text is not the path of a folder. `explicit`: it followed `file:`, so it can't be anything else."""
    first = re.split(r"[/\\]", path, maxsplit=1)[0]
    if path.startswith("~") and first != "~":
        return Fault("~NAME is not filled in", "write the whole path, or ./~NAME for a folder of that name")
    if _DRIVE.match(path):
        return _find_drive_fault(path, has_drives=has_drives)
    if "\\" in path and not has_drives:
        return Fault("has a backslash, which is part of a name on this system", "write / between folders")
    if explicit:
        return None
    if path.startswith("refs/"):
        return Fault("names a ref of git", "write git:REMOTE/BRANCH, or ./refs/… for a folder")
    before, colon, _ = first.partition(":")
    if not before or not colon:
        return None
    if "@" in before:
        return Fault("is the address of a repository", f"write {_HOW_GIT}")
    return Fault("has a colon in its first name", "write git:REMOTE/BRANCH, or ./ before a folder's path")


def _find_drive_fault(path: str, *, has_drives: bool) -> Fault | None:
    if not has_drives:
        return Fault("begins with a drive letter, which only Windows knows", "write a path of this system")
    if not re.match(r"[A-Za-z]:[/\\]", path):
        return Fault("is relative to a drive's own working directory", r"write the whole path, as in C:\plug\state")
    return None


def _find_remote_fault(path: str, folder: Path, environ: Mapping[str, str]) -> Fault | None:
    """Return the fault of a path that begins with a remote of the checkout around `folder`, even if the path exists."""
    text = _REF.sub("", path, count=1) if _REF.match(path) else path
    if "/" not in text or text[0] in "./~":
        return None
    for remote in _find_remotes(folder, environ):
        if text.startswith(f"{remote}/"):
            hint = f"write git:{remote}/BRANCH, or ./{remote}/… for a folder"
            return Fault(f"begins with {remote}, a remote of this checkout, but not with git:", hint)
    return None


def _find_remotes(folder: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    try:
        checkout = Checkout(folder, environ)
    except GitUnusable:
        return ()
    try:
        return checkout.find_remotes()
    except GitError:
        return (ORIGIN,)  # git refuses the checkout, or is not installed; a clone has this remote


# --- the stores --------------------------------------------------------------------------------------


def _can_be_a_name(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return _CONTROL.search(text) is None


def _expand(path: str) -> str:
    """Return the path with the user's home folder for a `~` at its beginning. Raises InputError."""
    if not path.startswith("~"):
        return path
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    if not home.is_absolute():
        raise _wrong(Fault("begins with ~, but your home folder is not known", "set HOME, or write the whole path"))
    return str(home) + path[1:]


def _path_of_url(rest: str) -> str:
    """Return the path from the part after `file:`, as in file:///srv/state or file:///C:/state. Raises InputError."""
    from urllib.request import url2pathname

    path = url2pathname(rest[2:]) if re.match("///(?!/)", rest) else ""
    if not Path(path).is_absolute():
        hint = "write file:///srv/state, on Windows file:///C:/state, or a plain path"
        raise _wrong(Fault("does not name an absolute path after file://", hint))
    if not _can_be_a_name(path):
        raise _wrong(_NO_FOLDER)
    if _DRIVE.match(path):
        _refuse(_find_drive_fault(path, has_drives=HAS_DRIVES))
    return path


def _parse_git(place: str, folder: Path, environ: Mapping[str, str] | None) -> Callable[[], StateStore]:
    remote, slash, branch = place.partition("/")
    if branch.startswith("refs/"):
        hint = "write git:REMOTE/BRANCH, with the name of the branch alone"
        raise _wrong(Fault("has refs/ before the branch", hint))
    known = _REMOTE.fullmatch(remote) and _BRANCH.fullmatch(branch) and not _NO_BRANCH.search(branch)
    if not slash or not known or branch == "HEAD":
        hint = "write git:REMOTE/BRANCH, as in git:origin/reconciler-state"
        raise _wrong(Fault("does not name a remote and a branch", hint))

    def open_git() -> StateStore:
        from reconciler.state.git import GitStore

        return GitStore(folder, remote, branch, environ=environ)

    return open_git


def _parse_bucket(setting: str) -> Callable[[], StateStore]:
    if not _BUCKET.fullmatch(setting):
        hint = "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
        raise _wrong(Fault("does not name a bucket", hint))

    def open_bucket() -> StateStore:
        from reconciler.state.objects import ObjectStore

        return ObjectStore(setting)

    return open_bucket


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        raise _wrong(fault)


def _wrong(fault: Fault) -> InputError:
    return InputError.of("state", *fault)
