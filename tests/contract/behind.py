"""Direct access to a store's place, for tests that put foreign bytes there or compare all of it."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import obstore
import obstore.store

from reconciler.ports import StateStore
from reconciler.state.folder import FolderStore
from reconciler.state.git import GitStore
from reconciler.state.objects import ObjectStore
from tests.contract.remotes import git
from tests.memory_store import MemoryStore


def plant(store: StateStore, folder: Path, files: Mapping[str, bytes]) -> None:
    """Put `<name>.json` into the store's place, without the store. `folder` holds a git store's `remote.git`."""
    named = {f"{name}.json": data for name, data in files.items()}
    if isinstance(store, MemoryStore):
        store.documents |= files
    elif isinstance(store, FolderStore):
        Path(store.location).mkdir(exist_ok=True)
        for name, data in named.items():
            (Path(store.location) / name).write_bytes(data)
    elif isinstance(store, ObjectStore):
        address = f"{os.environ['AWS_ENDPOINT_URL']}/{store.location.removeprefix('s3://')}"
        for name, data in named.items():
            request = urllib.request.Request(f"{address}/{name}", data=data, method="PUT")
            urllib.request.urlopen(request, timeout=60).close()
    elif isinstance(store, GitStore):
        branch = store.location.partition("/")[2]
        git(folder, "clone", "-q", "-b", branch, str(folder / "remote.git"), "planting")
        for name, data in named.items():
            (folder / "planting" / name).write_bytes(data)
        git(folder / "planting", "add", "-A")
        git(folder / "planting", "commit", "-q", "-m", "By hand")
        git(folder / "planting", "push", "-q", "origin", f"HEAD:{branch}")
    else:
        raise AssertionError(f"say in plant() how files are put into the place of a {type(store).__name__}")


def photograph(store: StateStore, folder: Path) -> dict[str, bytes]:
    """Return everything in the store's place, byte for byte; for git, every ref, object and file of the remote."""
    if isinstance(store, MemoryStore):
        return dict(store.documents)
    if isinstance(store, FolderStore):
        return _read_files(Path(store.location))
    if isinstance(store, ObjectStore):
        client = obstore.store.from_url(store.location, client_options={"allow_http": True})
        paths = [one["path"] for page in obstore.list(client) for one in page]
        return {path: bytes(obstore.get(client, path).bytes()) for path in paths}
    if isinstance(store, GitStore):
        return _read_files(folder / "remote.git") | _read_files(folder / "clone")
    raise AssertionError(f"say in photograph() what is in the place of a {type(store).__name__}")


def _read_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
