"""The promises of the folder store alone (docs/state.md): special files, a held lock, reads in parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from reconciler.errors import Conflict, Corrupt, Unreachable
from reconciler.io.files import HAS_MODES
from reconciler.model import Snapshot
from reconciler.ports import Write
from reconciler.state import folder
from reconciler.state.document import MAX_BYTES, encode_document
from reconciler.state.folder import FolderStore
from tests.contract.test_stores import document, put


def test_a_read_that_comes_in_parts_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network's file system may return parts, and a file may grow."""
    store = FolderStore(tmp_path)
    put(store, document())
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, count: read(descriptor, min(count, 100)))
    assert store.read(["production"])["production"].document == document()


def test_a_folder_is_the_same_from_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("state")
    monkeypatch.chdir(tmp_path / "sub")
    ways = ("../state", "../sub/../state/", "../link", str(tmp_path / "state"))
    assert {FolderStore(Path(way)).identity for way in ways} == {str(tmp_path.resolve() / "state")}
    assert FolderStore(Path("state")).identity == str(tmp_path.resolve() / "sub/state")


def test_a_link_that_leads_in_a_circle_is_unreachable_and_stays(tmp_path: Path) -> None:
    """It does not count as an environment without a document, and is not written through; others are written."""
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


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
def test_what_is_larger_than_a_document_can_be_is_not_read(size: int, tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(size)
    expected = r"a\.json is larger than 16 MiB" if size > MAX_BYTES else "is corrupt"
    with pytest.raises(Corrupt, match=expected):
        FolderStore(tmp_path).read(["a"])


def test_a_held_lock_is_waited_for_and_then_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading needs no lock."""
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


def test_only_the_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    put(store, document())
    (tmp_path / folder.WRITING).mkdir()
    (tmp_path / folder.WRITING / "half").write_text("{")
    (tmp_path / "notes.txt").write_text("mine")
    put(store, document("staging"))
    assert sorted(os.listdir(tmp_path)) == [".lock", "notes.txt", "production.json", "staging.json"]
    assert store.names() == {"production", "staging"}


@pytest.mark.parametrize("name", [folder.WRITING, ".lock"])
def test_no_file_is_reached_through_a_link_in_place_of_our_own(name: str, tmp_path: Path) -> None:
    """A pull request may hold a link there, which would have those files removed or emptied."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("x")
    store = FolderStore(tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).symlink_to(other if name == folder.WRITING else other / "precious")
    (written,) = store.write([Write("production", document(), None)])
    assert f"{name} is a symbolic link, maybe to files of others. Remove it" in str(written.error)
    assert (other / "precious").read_text() == "x"


@pytest.mark.parametrize("name", [folder.WRITING, ".lock"])
def test_what_is_in_place_of_a_file_of_our_own_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name == folder.WRITING:
        name = f"{folder.WRITING}/deep"
        (tmp_path / name).mkdir()
    (written,) = FolderStore(tmp_path).write([Write("production", document(), None)])
    assert f"state: {tmp_path}: {name} can't be written: " in str(written.error)


@pytest.mark.parametrize("place", ["state/production.json", "state", "above"])
def test_a_link_to_a_missing_place_is_not_an_empty_state(place: str, tmp_path: Path) -> None:
    """The disk with the state may not be mounted, and may hold another run's intent."""
    store = FolderStore(tmp_path / "above" / "state" if place == "above" else tmp_path / "state")
    if place == "state/production.json":
        (tmp_path / "state").mkdir()
    (tmp_path / place).symlink_to(tmp_path / "missing")
    reason = "through a link to a place that is missing"
    with pytest.raises(Unreachable, match=reason):
        store.read(["production"])
    if place == "state/production.json":
        assert store.names() == {"production"}
    else:
        with pytest.raises(Unreachable, match=reason):
            store.names()
    (written,) = store.write([Write("production", document(), None)])
    assert "through a link to a place that is missing. Mount or make that place" in str(written.error)
    assert (tmp_path / place).is_symlink()
    assert not (tmp_path / "missing").exists()


def test_forgetting_a_document_that_was_removed_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    version = put(store, document())
    (tmp_path / "production.json").unlink()
    assert isinstance(store.write([Write("production", None, version)])[0].error, Conflict)


@pytest.mark.linux
def test_bytes_are_on_the_disk_before_their_name_and_the_name_before_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old document or the new one, and every reported write is durable."""
    store = FolderStore(tmp_path / "newer" / "new" / "state")
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
    folder = str(tmp_path / "newer" / "new" / "state")
    temporary = {path for what, path in done if what == "rename"}
    assert len(temporary) == 2
    above = {("sync", str(path)) for path in (tmp_path, tmp_path / "newer", tmp_path / "newer" / "new")}
    assert set(done[:3]) == above, "the new folders' own names"
    assert set(done[3:5]) == {("sync", path) for path in temporary}
    assert set(done[5:7]) == {("rename", path) for path in temporary}
    assert done[7:] == [("sync", folder)]
    done.clear()
    monkeypatch.setattr(os, "unlink", unlinked)
    store.write([Write("a", None, results[0].version)])
    assert done == [("remove", f"{folder}/a.json"), ("sync", folder)]
    done.clear()
    store.write([Write("b", None, "another")])
    assert done == [], "a conflict changes nothing"


@pytest.mark.linux
def test_documents_whose_names_are_not_durable_are_reported_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails after the rename: nothing may be built on the write, but it is there."""
    store = FolderStore(tmp_path)
    version = put(store, document())
    sync = os.fsync

    def broken(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(tmp_path):
            raise OSError(5, "Input/output error")
        sync(descriptor)

    changed = replace(document(version="2"), serial=2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        first, lost = store.write([Write("production", changed, version), Write("b", document("b"), "another")])
    assert isinstance(first.error, Unreachable) and first.version is None
    assert str(first.error) == (
        f"state: {tmp_path}: the disk did not confirm what was written, and a power cut may undo it: Input/output "
        "error. Check the folder, its owner and the disk"
    )
    assert isinstance(lost.error, Conflict)
    assert store.read(["production", "b"]).keys() == {"production"}
    assert store.read(["production"])["production"].document == changed


@pytest.mark.linux
def test_no_handle_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand environments would use them up, also if every write fails."""
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


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Files that another program has open on Windows, which can be neither replaced nor removed."""
    names: set[str] = set()
    replace_file, unlink = os.replace, os.unlink

    def check(path: str) -> None:
        if os.path.basename(path) in names:
            error = PermissionError(13, "Acesso negado", path)
            error.winerror = 5  # type: ignore[attr-defined]
            raise error

    def replaced(source: str, target: str) -> None:
        check(target)
        replace_file(source, target)

    def unlinked(path: str) -> None:
        check(path)
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        patch.setattr(os, "unlink", unlinked)
        yield names


def test_a_document_that_is_held_for_a_while_is_written(
    tmp_path: Path, held: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader closes it soon. To give up after a PUT would leave the environment locked."""
    store = FolderStore(tmp_path)
    version = put(store, document())
    held.add("production.json")
    pauses: list[float] = []

    def close_later(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            held.clear()

    monkeypatch.setattr("time.sleep", close_later)
    changed = replace(document(version="2"), serial=2)
    (result,) = store.write([Write("production", changed, version)])
    assert (result.error, len(pauses)) == (None, 5)
    assert store.read(["production"])["production"].document == changed
    assert sorted(os.listdir(tmp_path)) == [".lock", "production.json"]


def test_a_document_that_stays_held_fails_alone_and_says_why(
    tmp_path: Path, held: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other documents are written, and no temporary file is left."""
    store = FolderStore(tmp_path)
    versions = [put(store, document(name)) for name in "abc"]
    held |= {"a.json", "c.json"}
    monkeypatch.setattr("time.sleep", lambda _: None)
    changed = replace(document("b", version="2"), serial=2)
    results = store.write(
        [
            Write("a", replace(document("a", version="2"), serial=2), versions[0]),
            Write("b", changed, versions[1]),
            Write("c", None, versions[2]),
        ]
    )
    assert results[1].error is None
    for result in (results[0], results[2]):
        assert isinstance(result.error, Unreachable)
        assert str(result.error) == (
            f"state: {tmp_path}: {result.environment}.json can't be written: another program has it open, or you have "
            "no permission to change it. Close it there (an editor, a virus scanner, a sync client), then run again"
        )
    stored = {name: one.document for name, one in store.read("abc").items()}
    assert stored == {"a": document("a"), "b": changed, "c": document("c")}
    assert sorted(os.listdir(tmp_path)) == [".lock", "a.json", "b.json", "c.json"]
    store.close()


def test_hidden_and_other_files_are_not_environments(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    put(store, document())
    for name in (".hidden.json", "notes.txt", "staging.json.bak", "json"):
        (tmp_path / name).write_text("{}")
    assert store.names() == {"production"}


def test_a_store_can_be_closed_at_any_time_and_used_on(tmp_path: Path) -> None:
    """Its sync threads end with it, and start again when they are needed."""
    store = FolderStore(tmp_path)
    store.close()
    assert [one.error for one in store.write([Write(name, document(name), None) for name in "ab"])] == [None, None]
    store.close()
    store.close()
    assert [one.error for one in store.write([Write(name, document(name), None) for name in "cd"])] == [None, None]
    store.close()
    assert store.location == str(tmp_path)
    assert store.gather_s == 0


def test_a_folder_with_documents_and_a_near_name_is_found(tmp_path: Path) -> None:
    """Any name of the path may have the mistake; a folder without documents is not proposed."""
    put(FolderStore(tmp_path / ".reconciler" / "state"), document())
    (tmp_path / ".reconciler" / "states").mkdir()
    (tmp_path / "reconciler").mkdir()
    assert FolderStore(tmp_path / ".reconciler" / "stat").find_near() == "state"
    assert FolderStore(tmp_path / ".reconcilier" / "state").find_near() == ".reconciler"
    assert FolderStore(tmp_path / ".reconciler" / "state").find_near() is None
    assert FolderStore(tmp_path / "elsewhere").find_near() is None
    assert FolderStore(tmp_path / "no" / "such" / "folder").find_near() is None


def test_reading_does_not_make_the_folder(tmp_path: Path) -> None:
    """Even the folder is not made."""
    store = FolderStore(tmp_path / "state")
    store.names()
    store.read(["production"])
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_not_an_environment(tmp_path: Path) -> None:
    """Its name is invalid, so it is refused if it is asked for, and ignored otherwise."""
    put(FolderStore(tmp_path), document())
    (tmp_path / "Notes.json").write_text("{}")
    (tmp_path / "README.md").write_text("notes")
    assert FolderStore(tmp_path).names() == {"production", "Notes"}
    with pytest.raises(Corrupt, match="Notes"):
        FolderStore(tmp_path).read(["Notes"])


def test_a_folder_that_is_a_file_is_unreachable(tmp_path: Path) -> None:
    """Reads and writes report it; nothing is overwritten."""
    (tmp_path / "state").write_text("not a folder")
    store = FolderStore(tmp_path / "state")
    with pytest.raises(Unreachable, match="can't be read"):
        store.names()
    assert isinstance(store.write([Write("production", document(), None)])[0].error, Unreachable)


def test_a_full_disk_leaves_the_old_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No temporary file is left, and the error says what is wrong."""
    store = FolderStore(tmp_path)
    version = put(store, document())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = store.write([Write("production", replace(document(version="2"), serial=2), version)])[0]
    assert "No space left on device" in str(result.error)
    assert store.read(["production"])["production"].document == document()
    assert sorted(os.listdir(tmp_path)) == [".lock", "production.json"]


def test_a_disk_that_fills_up_in_the_middle_of_a_batch_leaves_the_rest_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each document is the old or the new one, and reported writes are done."""
    store = FolderStore(tmp_path)
    versions = {name: put(store, document(name)) for name in "abc"}
    sync, calls = os.fsync, iter(range(100))

    def full_once(descriptor: int) -> None:
        if next(calls) == 1:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full_once)
    changed = {name: replace(document(name, version="2"), serial=2) for name in "abc"}
    results = store.write([Write(name, changed[name], versions[name]) for name in "abc"])
    # They are synced at the same time, so any of them may be the second.
    [failed] = [result for result in results if result.error is not None]
    assert isinstance(failed.error, Unreachable)
    stored = {name: one.document for name, one in store.read("abc").items()}
    assert stored == {**changed, failed.environment: document(failed.environment)}


def test_documents_are_canonical(tmp_path: Path) -> None:
    """Sorted keys, two spaces and a final newline make the diff readable."""
    put(FolderStore(tmp_path), document())
    text = (tmp_path / "production.json").read_text()
    assert text.startswith('{\n  "applied": {\n    "account": "org:1",\n')
    assert text.endswith('  "serial": 1\n}\n')


def test_a_folder_of_another_user_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the system's answer is simulated."""
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)
    access = FolderStore(tmp_path / "state").find_write_access()
    assert (access.allowed, access.hint) == (False, f"chmod u+rwx {tmp_path}")
    if HAS_MODES:
        monkeypatch.setattr(os, "geteuid", lambda: os.stat(tmp_path).st_uid + 1)
    access = FolderStore(tmp_path / "state").find_write_access()
    assert (access.allowed, access.hint.startswith("ask its owner for")) == (False, HAS_MODES)


# --- the comparison with a snapshot ----------------------------------------------------------------


def settle_down(store: FolderStore) -> Snapshot:
    """Return a snapshot after the store's first write: from then on, every change by others is noticed."""
    put(store, document("first"))
    return store.read_changes(store.read_changes().snapshot).snapshot


def test_after_our_own_writes_nothing_is_looked_at(tmp_path: Path) -> None:
    """The folder still has the time of change of our last write, so the files need not be checked."""
    store = FolderStore(tmp_path)
    seen = settle_down(store)
    for name in "abc":
        put(store, document(name))
        assert store.read_changes(seen).snapshot is seen
    store.close()


@pytest.mark.parametrize("how", ["by another process", "by hand"])
def test_a_change_between_our_writes_is_found_after_the_second(how: str, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    seen = settle_down(store)
    if how == "by hand":
        (tmp_path / "theirs.new").write_bytes(encode_document(document("theirs")))
        (tmp_path / "theirs.new").rename(tmp_path / "theirs.json")
    else:
        put(FolderStore(tmp_path), document("theirs"))
    put(store, document("ours"))
    assert "theirs" in store.read_changes(seen).heads


def test_a_file_system_without_exact_times_is_looked_at_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change within the same second would not be visible."""
    exact = os.utime

    def coarse(path: int, *, ns: tuple[int, int]) -> None:
        exact(path, ns=(ns[0], ns[1] // 10**9 * 10**9))

    monkeypatch.setattr(os, "utime", coarse)
    store = FolderStore(tmp_path)
    seen = settle_down(store)
    put(store, document("ours"))
    assert set(store.read_changes(seen).heads) == {"ours"}


def test_a_write_that_failed_is_followed_by_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    seen = settle_down(store)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert store.write([Write("lost", document("lost"), None)])[0].error is not None
    put(FolderStore(tmp_path), document("theirs"))
    put(store, document("ours"))
    assert "theirs" in store.read_changes(seen).heads
