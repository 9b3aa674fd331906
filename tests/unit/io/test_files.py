"""The module that opens all files: limits, pipes and devices in place of files, durability, other programs."""

from __future__ import annotations

import ast
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reconciler
from reconciler.io import files
from reconciler.io.files import (
    InUseError,
    NotRegularError,
    Patience,
    TooLargeError,
    Utf16Error,
    is_file,
    is_folder,
    is_link,
    read_given,
    read_regular,
    read_with_stat,
    replace,
    sync_folder,
    unlink,
    without_mark,
    write_new,
    write_whole,
)

PACKAGE = Path(reconciler.__file__).parent


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_regular, read_given])
@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_up_to_its_limit_is_read(tmp_path: Path, size: int, read: Callable[[Path, int], bytes]) -> None:
    """A file of exactly the limit is allowed."""
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    assert read(tmp_path / "a", 100) == data


@pytest.mark.linux
@pytest.mark.parametrize("read", [read_regular, read_given])
def test_a_file_beyond_its_limit_is_refused_and_not_read_to_its_end(
    tmp_path: Path, read: Callable[[Path, int], bytes]
) -> None:
    """The terabyte file is sparse, so it takes no room on the disk."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TooLargeError, match="it is larger than 1 MiB"):
        read(tmp_path / "a", 2**20)
    with pytest.raises(TooLargeError, match="it is larger than 1000 bytes"):
        read(tmp_path / "a", 1000)


@pytest.mark.parametrize("size", [0, 5, 99, 100, 101])
def test_a_file_that_comes_in_parts_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A network's file system does this; the limit counts all parts."""
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, count: read(descriptor, min(count, 7)))
    if size > 100:
        with pytest.raises(TooLargeError):
            read_regular(tmp_path / "a", 100)
    else:
        assert read_regular(tmp_path / "a", 100) == data


@pytest.mark.linux
def test_a_file_whose_size_the_system_does_not_know_is_read_to_its_end() -> None:
    """Files of /proc have the size 0."""
    data = read_regular("/proc/self/status", 2**20)
    assert data.startswith(b"Name:") and data.endswith(b"\n")
    with pytest.raises(TooLargeError):
        read_regular("/proc/self/status", 100)


def test_bytes_are_not_translated(tmp_path: Path) -> None:
    """Line ends stay, and so does the Ctrl-Z at which a text file of DOS ends."""
    data = b"a\r\nb\nc\x1ad\r"
    write_new(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == data == read_regular(tmp_path / "a", 100)


@pytest.mark.posix
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    """Opening it the usual way would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegularError, match="not a regular file"):
        read_regular(tmp_path / "pipe", 100)


@pytest.mark.posix
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_in_place_of_a_file_is_refused(path: str) -> None:
    """One of them would never end."""
    with pytest.raises(NotRegularError, match="not a regular file"):
        read_regular(path, 100)


@pytest.mark.posix
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """The message is the system's."""
    with pytest.raises(NotRegularError, match="Is a directory"):
        read_regular(tmp_path, 100)
    with pytest.raises(OSError, match="Is a directory"):
        read_given(tmp_path, 100)


@pytest.mark.posix
def test_a_file_that_the_user_named_may_be_a_pipe(tmp_path: Path) -> None:
    """For `apply <(…)` the writer may be slow, and is waited for; the limit counts."""
    os.mkfifo(tmp_path / "pipe")

    def write(size: int) -> None:
        with (tmp_path / "pipe").open("wb") as file:
            for _ in range(size):
                file.write(b"x")
                file.flush()

    for size in (50, 100):
        writer = threading.Thread(target=write, args=(size,))
        writer.start()
        assert read_given(tmp_path / "pipe", 100) == b"x" * size
        writer.join()
    with pytest.raises(TooLargeError):
        read_given("/dev/zero", 100)


@pytest.mark.linux
def test_a_disk_that_fails_is_not_a_short_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left open."""
    (tmp_path / "a").write_bytes(b"x")
    before = sorted(os.listdir("/proc/self/fd"))

    def fail(_descriptor: int, _count: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", fail)
        with pytest.raises(OSError, match="Input/output error"):
            read_regular(tmp_path / "a", 100)
    with pytest.raises(TooLargeError):
        read_regular(tmp_path / "a", 0)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.posix
def test_the_mode_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    """It is not that of a file that takes its name meanwhile."""
    write_new(tmp_path / "a", b"x", mode=0o600)
    data, found = read_with_stat(tmp_path / "a", 100)
    assert (data, found.st_mode & 0o777, found.st_uid) == (b"x", 0o600, os.getuid())


def test_a_byte_order_mark_is_removed_and_utf_16_is_named() -> None:
    """Windows' programs write them at the start of a text."""
    assert without_mark("é".encode("utf-8-sig")) == "é".encode() == without_mark("é".encode())
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        data = "{}".encode(encoding)
        marked = data if encoding == "utf-16" else "\ufeff".encode(encoding) + data
        with pytest.raises(Utf16Error, match="is UTF-16, as PowerShell's > writes it"):
            without_mark(marked)


@pytest.mark.posix
def test_the_kind_of_a_path_is_found_without_raising(tmp_path: Path) -> None:
    """pathlib raises for a name that no file can have."""
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path / "gone", tmp_path / ("x" * 300), tmp_path / "link"):
        assert not is_file(path) and not is_folder(path)
    assert is_folder(tmp_path) and not is_file(tmp_path) and not is_link(tmp_path)
    assert is_link(tmp_path / "link")


# --- writing -----------------------------------------------------------------------------------------


class Disk:
    """Records what reaches the disk, and fails on request."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[str, str]] = []
        self.failing = ""
        self._fsync, self._replace, self._write = os.fsync, os.replace, os.write
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "replace", self.replace)
        patch.setattr(os, "write", self.write)

    def _do(self, what: str, path: str) -> None:
        self.done.append((what, path))
        if what == self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    def fsync(self, descriptor: int) -> None:
        self._do("sync", os.readlink(f"/proc/self/fd/{descriptor}"))
        self._fsync(descriptor)

    def replace(self, source: str, target: str) -> None:
        self._do("replace", source)
        self._replace(source, target)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write as much as a disk takes at a time."""
        self._do("write", os.readlink(f"/proc/self/fd/{descriptor}"))
        return self._write(descriptor, data[:10])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        yield Disk(patch)


@pytest.mark.linux
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, disk: Disk) -> None:
    """Then its name is synced. All of it is written, however little the disk takes at a time."""
    write_whole(tmp_path / "a", "0123456789" * 3)
    assert (tmp_path / "a").read_text() == "0123456789" * 3
    kinds = [what for what, _ in disk.done]
    assert kinds == ["write", "write", "write", "sync", "replace", "sync"]
    temporary = disk.done[0][1]
    assert Path(temporary).parent == tmp_path
    assert disk.done[3:] == [("sync", temporary), ("replace", temporary), ("sync", str(tmp_path))]


@pytest.mark.linux
@pytest.mark.parametrize("failing", ["write", "sync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, disk: Disk, failing: str) -> None:
    """Every step is tried."""
    (tmp_path / "a").write_text("old")
    disk.failing = failing
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(tmp_path / "a", "new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.linux
@pytest.mark.parametrize("failing", ["write", "sync"])
def test_a_new_file_is_whole_or_missing(tmp_path: Path, disk: Disk, failing: str) -> None:
    """No descriptor is left open."""
    before = sorted(os.listdir("/proc/self/fd"))
    disk.failing = failing
    with pytest.raises(OSError, match="No space left on device"):
        write_new(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == []
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.posix
def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    """It replaces neither a file nor a link, which may lead elsewhere."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("a", "link"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, b"new")
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.posix
def test_the_file_behind_a_link_is_replaced(tmp_path: Path) -> None:
    """The link stays a link, also one to a missing file."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "latest").symlink_to("plans/monday")
    for text in ("first", "second"):
        write_whole(tmp_path / "latest", text)
        assert (tmp_path / "plans/monday").read_text() == text
    assert (tmp_path / "latest").is_symlink()
    assert os.listdir(tmp_path / "plans") == ["monday"]


@pytest.mark.linux
def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """As root, a plan would replace /dev/null for the whole machine."""
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(tmp_path / "full", "x")
    write_whole("/dev/null", "x")
    assert not is_file("/dev/null")
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(tmp_path, "x")


def test_text_is_utf_8_with_line_feeds(tmp_path: Path) -> None:
    """The bytes are the same on every system."""
    write_whole(tmp_path / "a", "é\n✓\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\n\xe2\x9c\x93\n"


@pytest.mark.posix
def test_macos_is_asked_for_the_drives_own_cache_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync alone would leave the bytes in it. A file system that does not know the request gets fsync."""
    asked: list[int] = []
    synced: list[int] = []
    refused = False

    def control(descriptor: int, request: int) -> int:
        asked.append(request)
        if refused:
            raise OSError(errno.ENOTSUP, "Operation not supported")
        return 0

    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", control)
    monkeypatch.setattr(os, "fsync", synced.append)
    write_new(tmp_path / "a", b"x")
    assert (asked, synced) == ([51], [])
    refused = True
    write_new(tmp_path / "b", b"x")
    assert asked == [51, 51]
    assert len(synced) == 1


@pytest.mark.linux
def test_a_folder_is_synced_if_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without O_DIRECTORY can't open one, and some file systems refuse; a disk that fails is an error."""
    code = errno.EINVAL

    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    sync_folder(tmp_path)
    code = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)
    monkeypatch.delattr(os, "O_DIRECTORY")
    sync_folder(tmp_path)


# --- another program has it open ---------------------------------------------------------------------


def windows_error(number: int | None, path: object) -> PermissionError:
    error = PermissionError(errno.EACCES, "Acesso negado", str(path))
    error.winerror = number  # type: ignore[attr-defined]
    return error


class Held:
    """A system on which others have a file open: the first calls fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int | None = 32) -> None:
        self.number = number
        self.failures = 0
        self.slept_s = 0.0
        self.calls = {name: getattr(os, name) for name in ("replace", "unlink", "open")}
        for name in self.calls:
            monkeypatch.setattr(os, name, self._wrap(name))
        monkeypatch.setattr("time.sleep", self._sleep)

    def _wrap(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if self.failures > 0 and "held" in str(arguments[:2]):
                self.failures -= 1
                raise windows_error(self.number, arguments[0])
            return self.calls[name](*arguments, **named)

        return call

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds


@pytest.mark.parametrize("number", [5, 32, 33, None])
def test_a_file_that_is_held_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    """This is tested for reads, replacements and removals. The C library does not give Windows' own number."""
    held = Held(monkeypatch, number)
    target = tmp_path / "held"
    (tmp_path / "new").write_text("new")
    held.failures = 3
    replace(str(tmp_path / "new"), str(target), Patience())
    held.failures = 3
    assert read_with_stat(target, 100, Patience())[0] == b"new"
    held.failures = 3
    unlink(str(target), Patience())
    assert (os.listdir(tmp_path), held.failures) == ([], 0)
    assert held.slept_s == pytest.approx(9 * files.PAUSE_S)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (32, "another program has it open"),
        (33, "another program has it open"),
        (5, "another program has it open, or you have no permission to change it"),
    ],
)
def test_a_file_that_stays_held_is_named_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    """After ten seconds the message is our own; the system's may be in another language."""
    held = Held(monkeypatch, number)
    held.failures = 10_000
    with pytest.raises(InUseError) as caught:
        unlink(str(tmp_path / "held"), Patience())
    assert (caught.value.strerror, caught.value.filename) == (reason, str(tmp_path / "held"))
    assert held.slept_s == pytest.approx(10)


def test_patience_is_shared_by_the_files_of_one_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand files that can't be read cost ten seconds, not a day; each is tried."""
    held = Held(monkeypatch)
    held.failures = 10_000
    patience = Patience(1.0)
    for number in range(100):
        with pytest.raises(InUseError):
            read_with_stat(tmp_path / f"held-{number}", 100, patience)
    assert held.slept_s == pytest.approx(1)


def test_an_output_file_that_is_held_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor shows the plan; if it stays open, the old file is not changed."""
    target = tmp_path / "held.json"
    target.write_text("old")
    held = Held(monkeypatch)
    # the temporary file has the name in its own, and is opened first: only the replacement is refused
    monkeypatch.setattr(os, "open", held.calls["open"])
    held.failures = 3
    write_whole(target, "new")
    assert target.read_text() == "new"
    held.failures = 10_000
    with pytest.raises(InUseError):
        write_whole(target, "newer")
    held.failures = 0
    assert target.read_text() == "new"


@pytest.mark.posix
def test_a_permission_that_is_missing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an open file can be replaced on this system, its answer is final."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(PermissionError, match="Permission denied"):
        replace("a", "b", Patience())


# --- the only place ----------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield each call of the package: its place, the function, and its arguments."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                yield f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}", ast.unparse(node.func), node


def test_no_text_is_written_with_the_systems_line_ends() -> None:
    """Every write of text names its line end; io/files writes bytes. A formatter of click only collects text."""
    faults = []
    for where, name, call in calls():
        given = [
            one.value for one in (*call.args, *(one.value for one in call.keywords)) if isinstance(one, ast.Constant)
        ]
        writes = (name.endswith(".write_text") and name != "formatter.write_text") or (
            name.rpartition(".")[2] in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile")
            and any(isinstance(one, str) and set("wax+") & set(one) and set(one) <= set("rwaxt+") for one in given)
        )
        line_end = next((ast.unparse(one.value) for one in call.keywords if one.arg == "newline"), "")
        if writes and line_end != repr("\n"):
            faults.append(f"{where}: {name}")
    assert faults == []


def test_no_other_module_opens_files_by_descriptor_or_moves_them() -> None:
    """Flags, retries and syncs are decided in one place. The null device is exempt."""
    forbidden = {"open", "fsync", "replace", "rename", "unlink", "remove", "mkdir", "rmdir"}
    faults = [
        f"{where}: {name}"
        for where, name, call in calls()
        if name.startswith("os.") and name[3:] in forbidden and ast.unparse(call.args[0]) != "os.devnull"
    ]
    assert [one for one in faults if not one.startswith("io/files.py")] == []
    assert faults, "io/files.py itself is found"
