"""The `state` setting -> a store."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.errors import InputError
from reconciler.ports import StateStore

_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_-])?(?<!\.lock)", re.ASCII)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


def open_store(setting: str, folder: Path) -> StateStore:
    """The store that `setting` names, relative paths taken from `folder`. Opens nothing yet.

    Raises InputError for a setting that names none.
    """
    from reconciler.state.folder import FolderStore

    match = _SCHEME.match(setting)
    if match is None or match[1] == "file":
        path = setting.removeprefix("file:")
        if path.startswith("//"):
            path = "/" + path.lstrip("/")
        if not path or "\0" in path:
            raise _wrong("names no folder", "write a path such as .reconciler/state")
        return FolderStore(folder / path)
    if match[1] == "git":
        return _open_git(setting.removeprefix("git:"), folder)
    if match[1] in {"s3", "gs", "az"}:
        from reconciler.state.objects import ObjectStore

        if not re.fullmatch(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=/-]*)?", setting, re.ASCII):
            raise _wrong("names no bucket", "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
        return ObjectStore(setting)
    raise _wrong(f"{match[1]}: is no store", "write a folder's path, git:REMOTE/BRANCH, or s3://, gs:// or az://")


def _open_git(place: str, folder: Path) -> StateStore:
    from reconciler.state.git import GitStore

    remote, slash, branch = place.partition("/")
    if not slash or not _REMOTE.fullmatch(remote) or not _BRANCH.fullmatch(branch) or ".." in branch or "//" in branch:
        raise _wrong("names no remote and branch", "write git:REMOTE/BRANCH, as in git:origin/reconciler-state")
    return GitStore(folder, remote, branch)


def _wrong(message: str, hint: str) -> InputError:
    return InputError.of("state", message, hint)
