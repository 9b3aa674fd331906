"""What only the folder store promises (CONTRACT §7): files that are none, a lock that is held, reads in parts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from reconciler.errors import Conflict, Unreachable
from reconciler.ports import Write
from reconciler.state import folder
from reconciler.state.folder import FolderStore
from tests.contract.test_stores import document, put


def test_a_read_that_comes_in_parts_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a network's file system, or of a file that grew."""
    store = FolderStore(tmp_path)
    put(store, document())
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, count: read(descriptor, min(count, 100)))
    assert store.read(["production"])["production"].document == document()


def test_a_link_that_leads_in_a_circle_is_unreachable_and_stays(tmp_path: Path) -> None:
    """Neither is it an environment without a document, nor is it written through; the others are."""
    store = FolderStore(tmp_path)
    (tmp_path / "a.json").symlink_to("a.json")
    with pytest.raises(
        Unreachable, match=r"a\.json can't be read: Too many levels of symbolic links. Check the folder"
    ):
        store.read(["a"])
    results = store.write([Write("a", document("a"), None), Write("b", document("b"), None)])
    assert isinstance(results[0].error, Unreachable)
    assert results[1].error is None
    assert (tmp_path / "a.json").is_symlink()
    assert store.read(["b"])["b"].document == document("b")


@pytest.mark.parametrize("size", [folder.MAX_BYTES, folder.MAX_BYTES + 1])
def test_what_is_larger_than_a_document_can_be_is_not_read(size: int, tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(size)
    expected = "a.json can't be read: it is larger than 16 MiB" if size > folder.MAX_BYTES else "is corrupt"
    with pytest.raises(Exception, match=expected):
        FolderStore(tmp_path).read(["a"])


def test_a_lock_that_somebody_holds_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading needs none."""
    store = FolderStore(tmp_path)
    version = put(store, document())
    monkeypatch.setattr(folder, "LOCK_TIMEOUT_S", 0.05)
    changed = Write("production", replace(document(version="2"), serial=2), version)
    with FileLock(tmp_path / ".lock"):
        (held,) = store.write([changed])
        assert store.read(["production"])["production"].document == document()
    assert isinstance(held.error, Unreachable)
    assert "another process has held the folder's lock for 0.05 s" in str(held.error)
    assert store.write([changed])[0].error is None


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    put(store, document())
    (tmp_path / folder.WRITING).mkdir()
    (tmp_path / folder.WRITING / "half").write_text("{")
    (tmp_path / "notes.txt").write_text("mine")
    put(store, document("staging"))
    assert sorted(os.listdir(tmp_path)) == [".lock", "notes.txt", "production.json", "staging.json"]
    assert store.names() == {"production", "staging"}


def test_the_place_of_temporary_files_is_no_way_to_others_files(tmp_path: Path) -> None:
    """A link there would have them swept away."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("x")
    store = FolderStore(tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / folder.WRITING).symlink_to(other)
    (written,) = store.write([Write("production", document(), None)])
    assert "is a symbolic link, maybe to files of others. Remove it" in str(written.error)
    assert (other / "precious").read_text() == "x"


def test_a_forgotten_document_that_somebody_removed_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    version = put(store, document())
    (tmp_path / "production.json").unlink()
    assert isinstance(store.write([Write("production", None, version)])[0].error, Conflict)


def test_bytes_are_on_the_disk_before_their_name_and_the_name_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old document or the new one, and what was told as written is there after it."""
    store = FolderStore(tmp_path / "new" / "state")
    done: list[tuple[str, str]] = []
    sync, replace_file, unlink = os.fsync, os.replace, os.unlink

    def synced(descriptor: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def replaced(source: str, target: str) -> None:
        done.append(("rename", source))
        replace_file(source, target)

    def unlinked(path: str) -> None:
        done.append(("remove", path))
        unlink(path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    results = store.write([Write(name, document(name), None) for name in "ab"])
    folder = str(tmp_path / "new" / "state")
    temporary = {path for what, path in done if what == "rename"}
    assert len(temporary) == 2
    assert done[0] == ("sync", str(tmp_path / "new")), "the new folder's own name"
    assert set(done[1:3]) == {("sync", path) for path in temporary}
    assert set(done[3:5]) == {("rename", path) for path in temporary}
    assert done[5:] == [("sync", folder)]
    done.clear()
    monkeypatch.setattr(os, "unlink", unlinked)
    store.write([Write("a", None, results[0].version)])
    assert done == [("remove", f"{folder}/a.json"), ("sync", folder)]
    done.clear()
    store.write([Write("b", None, "another")])
    assert done == [], "a conflict changes nothing"


def test_no_handle_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over ten thousand environments they would run out, also where every write fails."""
    store = FolderStore(tmp_path)
    versions = [one.version for one in store.write([Write(name, document(name), None) for name in "ab"])]
    before = sorted(os.listdir("/proc/self/fd"))
    store.read("ab")
    changed = [
        Write(name, replace(document(name, "2"), serial=2), was) for name, was in zip("ab", versions, strict=True)
    ]

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for result in store.write(changed):
            assert f"{result.environment}.json can't be written: No space left on device. Make room" in str(
                result.error
            )
            assert result.version is None
    assert sorted(os.listdir(tmp_path)) == [".lock", "a.json", "b.json"]
    assert [one.error for one in store.write(changed)] == [None, None]
    assert sorted(os.listdir("/proc/self/fd")) == before
    store.close()


def test_what_is_hidden_or_no_document_is_no_environment(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    put(store, document())
    for name in (".hidden.json", "notes.txt", "staging.json.bak", "json"):
        (tmp_path / name).write_text("{}")
    assert store.names() == {"production"}


def test_a_store_can_be_closed_at_any_time_and_used_on(tmp_path: Path) -> None:
    """The threads that sync end with it, and come back where they are needed."""
    store = FolderStore(tmp_path)
    store.close()
    assert [one.error for one in store.write([Write(name, document(name), None) for name in "ab"])] == [None, None]
    store.close()
    store.close()
    assert [one.error for one in store.write([Write(name, document(name), None) for name in "cd"])] == [None, None]
    store.close()
    assert store.location == str(tmp_path)
    assert store.gather_s == 0
