"""The `state` setting -> a store."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.errors import InputError
from reconciler.ports import StateStore

_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_-])?(?<!\.lock)", re.ASCII)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")  # a single letter is a drive of Windows


def open_store(setting: str, folder: Path) -> StateStore:
    """Return the store that `setting` names, a relative path taken from `folder`. Opens nothing yet.

    Raises InputError for a setting that does not name a store.
    """
    from reconciler.state.folder import FolderStore

    match = _SCHEME.match(setting)
    if match is None or match[1] == "file":
        path = setting.removeprefix("file:")
        if match is not None and path.startswith("//"):
            path = _path_of_url(path)
        if not path or "\0" in path:
            raise _wrong("does not name a folder", "write a path such as .reconciler/state")
        return FolderStore(folder / path)
    if match[1] == "git":
        return _open_git(setting.removeprefix("git:"), folder)
    if match[1] in {"s3", "gs", "az"}:
        from reconciler.state.objects import ObjectStore

        if not re.fullmatch(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=/-]*)?", setting, re.ASCII):
            raise _wrong("names no bucket", "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
        return ObjectStore(setting)
    raise _wrong(f"{match[1]}: is not a store", "write a folder's path, git:REMOTE/BRANCH, or s3://, gs:// or az://")


def _path_of_url(rest: str) -> str:
    """Return the path of what follows `file:`, as in file:///srv/state or file:///C:/state. Raises InputError."""
    from urllib.request import url2pathname

    path = url2pathname(rest[2:]) if re.match("///(?!/)", rest) else ""
    if not Path(path).is_absolute():
        hint = "write file:///srv/state, on Windows file:///C:/state, or a plain path"
        raise _wrong("does not name an absolute path after file://", hint)
    return path


def _open_git(place: str, folder: Path) -> StateStore:
    from reconciler.state.git import GitStore

    remote, slash, branch = place.partition("/")
    if not slash or not _REMOTE.fullmatch(remote) or not _BRANCH.fullmatch(branch) or ".." in branch or "//" in branch:
        raise _wrong("names no remote and branch", "write git:REMOTE/BRANCH, as in git:origin/reconciler-state")
    return GitStore(folder, remote, branch)


def _wrong(message: str, hint: str) -> InputError:
    return InputError.of("state", message, hint)
