"""The `state` setting (docs/settings.md)."""

from __future__ import annotations

import os
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import InputError, Unreachable
from reconciler.state.folder import FolderStore
from reconciler.state.open import find_path_fault, open_store, parse_state


def refusal(setting: str, folder: Path = Path("/work")) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        open_store(setting, folder)
    (problem,) = caught.value.problems
    assert problem.key == "state"
    return problem.message, problem.hint


@pytest.mark.posix
@pytest.mark.parametrize(
    ("setting", "place"),
    [
        (".reconciler/state", "/work/.reconciler/state"),
        ("file:states", "/work/states"),
        ("file:/srv/states", "/srv/states"),
        ("file:///srv/states", "/srv/states"),
        ("file:///srv/my%20states", "/srv/my states"),
        ("file:my%20states", "/work/my%20states"),
        ("file:git:origin/x", "/work/git:origin/x"),
        ("/srv/states", "/srv/states"),
        ("state.d/a:b", "/work/state.d/a:b"),
        ("./a:b", "/work/a:b"),
        ("./~plug", "/work/~plug"),
        ("./S3:/bucket", "/work/S3:/bucket"),
        ("::x", "/work/::x"),
        ("a~/it's", "/work/a~/it's"),
        ("git:origin/reconciler-state", "git:origin/reconciler-state"),
        ("git:up.stream/states/plug", "git:up.stream/states/plug"),
        ("git:origin/heads/x", "git:origin/heads/x"),
    ],
)
def test_a_setting_names_a_store(setting: str, place: str) -> None:
    assert open_store(setting, Path("/work")).location == place


@pytest.mark.posix
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("", "does not name a folder"),
        ("file:", "does not name a folder"),
        ("a\0b", "does not name a folder"),
        ("a\nb", "does not name a folder"),
        ("a\ud800b", "does not name a folder"),
        ("file:///srv/a%00b", "does not name a folder"),
        ("file://srv/states", "does not name an absolute path after file://"),
        ("file://", "does not name an absolute path after file://"),
        ("file://./states", "does not name an absolute path after file://"),
        ("file:////srv/states", "does not name an absolute path after file://"),
        ("http://host/state", "http: is not a store"),
        ("desk:drawer", "desk: is not a store"),
        ("github.com:acme/state", "github.com: is not a store"),
        ("git:origin", "does not name a remote and a branch"),
        ("git:", "does not name a remote and a branch"),
        ("git:origin/", "does not name a remote and a branch"),
        ("git:-o/x", "does not name a remote and a branch"),
        ("git:origin/a b", "does not name a remote and a branch"),
        ("git:/branch", "does not name a remote and a branch"),
        ("git:origin/a..b", "does not name a remote and a branch"),
        ("git:origin/-x", "does not name a remote and a branch"),
        ("git:origin/x.lock", "does not name a remote and a branch"),
        ("git:origin/x.lock/y", "does not name a remote and a branch"),
        ("git:origin/x/.y", "does not name a remote and a branch"),
        ("git:origin/HEAD", "does not name a remote and a branch"),
        ("git:git@github.com:acme/state.git", "does not name a remote and a branch"),
        ("git://github.com/acme/state", "does not name a remote and a branch"),
        ("git:--upload-pack=x/y", "does not name a remote and a branch"),
        ("s3://", "does not name a bucket"),
    ],
)
def test_a_setting_that_names_no_store_says_what_to_write(setting: str, message: str) -> None:
    found, hint = refusal(setting)
    assert found == message
    assert hint


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ('"git:origin/x"', "has a quote at an end", "without quotes"),
        ("'states'", "has a quote at an end", "without quotes"),
        ("states'", "has a quote at an end", "without quotes"),
        ("“states”", "has a quote at an end", "without quotes"),
        ('file:"states"', "has a quote at an end", "without quotes"),
        ("git:'origin/x'", "has a quote at an end", "without quotes"),
        ('s3:"//bucket/x"', "has a quote at an end", "without quotes"),
        (" git:origin/x", "begins or ends with a space", "remove it"),
        ("states ", "begins or ends with a space", "remove it"),
        ("git: origin/x", "begins or ends with a space", "remove it"),
        ("${STATE}", "has a placeholder", "write the value"),
        ("$HOME/states", "has a placeholder", "write the value"),
        ("git:origin/$BRANCH", "has a placeholder", "write the value"),
        ("s3://$BUCKET/x", "has a placeholder", "write the value"),
        ("file:///srv/$USER", "has a placeholder", "write the value"),
        ("${{ vars.STATE }}", "has a placeholder", "write the value"),
        ("{{ state }}", "has a placeholder", "write the value"),
        ("%STATE%/plug", "has a placeholder", "write the value"),
        ("S3://bucket/plug", "has its scheme in capitals", "write s3: in small letters"),
        ("Git:origin/x", "has its scheme in capitals", "write git: in small letters"),
        ("FILE:states", "has its scheme in capitals", "write file: in small letters"),
        ("~ana/states", "~NAME is not filled in", "./~NAME"),
        ("file:~ana/states", "~NAME is not filled in", "./~NAME"),
        ("git@github.com:acme/state.git", "is the address of a repository", "git:REMOTE/BRANCH"),
        ("ana@10.0.0.1:state", "is the address of a repository", "git:REMOTE/BRANCH"),
        ("ssh://git@github.com/acme/state", "ssh: is not a store", "git remote -v"),
        ("my_host:state", "has a colon in its first name", "git:REMOTE/BRANCH"),
        ("git:origin/refs/heads/x", "has refs/ before the branch", "name of the branch alone"),
        ("refs/heads/x", "names a ref of git", "git:REMOTE/BRANCH"),
    ],
)
def test_an_ambiguous_setting_is_refused_with_what_was_probably_meant(setting: str, message: str, hint: str) -> None:
    """Quotes of an env file or another tool's syntax once made a new folder, and the state was lost."""
    found, advice = refusal(setting)
    assert found.startswith(message)
    assert hint in advice


@pytest.mark.skipif(os.name == "nt", reason="drives exist there")
@pytest.mark.parametrize("setting", [r"c:\plug\states", "C:/plug", "file:c:/plug", "file:///C:/plug", "c:states"])
def test_a_drive_letter_is_refused_outside_windows(setting: str) -> None:
    assert refusal(setting)[0] == "begins with a drive letter, which only Windows knows"


def test_on_windows_a_drive_needs_the_whole_path() -> None:
    for path in (r"c:\plug", "C:/plug", r"states\plug"):
        assert find_path_fault(path, explicit=False, has_drives=True) is None
    for path in ("c:plug", "c:"):
        assert find_path_fault(path, explicit=False, has_drives=True) is not None


@pytest.mark.skipif(os.name == "nt", reason="a backslash separates folders there")
@pytest.mark.parametrize("setting", [r".reconciler\state", r"\\server\share", r"file:a\b"])
def test_a_path_of_windows_is_refused_elsewhere(setting: str) -> None:
    """A settings file that was written on Windows made one folder with backslashes in its name."""
    assert refusal(setting)[0].startswith("has a backslash")


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert open_store("~/states", Path("/work")).location == str(tmp_path / "states")
    assert open_store("file:~/states", Path("/work")).location == str(tmp_path / "states")
    assert open_store("~", Path("/work")).location == str(tmp_path)
    assert refusal("git:~/x")[0] == "does not name a remote and a branch"


# --- remotes -----------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    for command in (
        ["init", "-q", str(folder)],
        ["-C", str(folder), "remote", "add", "origin", "https://example.com/x"],
        ["-C", str(folder), "remote", "add", "up/stream", "https://example.com/y"],
    ):
        subprocess.run(["git", *command], check=True)
    (folder / "origin").mkdir()
    return folder


@pytest.mark.parametrize("setting", ["origin/state", "up/stream/state", "remotes/origin/state"])
def test_a_remote_without_git_before_it_is_refused(checkout: Path, setting: str) -> None:
    """It is refused even if such a folder exists, as this mistake may have made it."""
    message, hint = refusal(setting, checkout)
    assert message.endswith("a remote of this checkout, but not with git:")
    assert "write git:" in hint
    assert "for a folder" in hint
    assert refusal(setting, checkout / "origin")[0] == message


@pytest.mark.parametrize("setting", ["./origin/state", "file:origin/state", "origin", "origins/state", "up/state"])
def test_a_folder_can_still_be_written(checkout: Path, setting: str) -> None:
    store = open_store(setting, checkout)
    assert store.location == str(checkout / setting.removeprefix("file:"))


def test_outside_a_checkout_a_path_has_no_remote(tmp_path: Path) -> None:
    assert open_store("origin/state", tmp_path).location == str(tmp_path / "origin/state")


def test_git_runs_in_the_environment_that_is_given(checkout: Path) -> None:
    """A workflow's step passes git its token in variables that this process does not have."""
    with pytest.raises(Unreachable, match="git was not found on PATH"):
        open_store("git:origin/reconciler-state", checkout, {"PATH": ""}).names()


def test_without_git_a_checkout_is_taken_to_have_an_origin(checkout: Path) -> None:
    with pytest.raises(InputError, match="begins with origin"):
        open_store("origin/state", checkout, {"PATH": "/nonexistent"})
    assert open_store("states/plug", checkout, {"PATH": "/nonexistent"}).location == str(checkout / "states/plug")


# --- any text ----------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *("git:", "file:", "s3:", "gs://", "S3://", "file://", "origin", "/", "//", "..", ".", "~", "~ana", "refs/"),
        *("heads/", "@", ":", "c:", "\\", "'", '"', "$", "${X}", "{{", "%X%", " ", "\n", "\0", "é", "\ud800", "x", "-"),
    ]
)
SETTINGS = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=12) | st.text(string.printable, max_size=12)


@given(setting=SETTINGS)
def test_any_text_opens_exactly_what_it_says_or_is_refused(setting: str) -> None:
    """Nothing is created."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        try:
            store = parse_state(setting, folder)()
        except InputError as error:
            assert all(problem.key == "state" and problem.hint for problem in error.problems)
        else:
            if isinstance(store, FolderStore):
                assert Path(store.location) == folder / says(setting)
            else:
                assert store.location == setting.rstrip("/")
            store.close()
        assert list(folder.iterdir()) == []


def says(setting: str) -> Path:
    """Return the path that the documentation describes."""
    if setting.startswith("file://"):
        from urllib.request import url2pathname

        return Path(url2pathname(setting.removeprefix("file://")))
    path = setting.removeprefix("file:")
    return Path.home() / path[2:] if path.partition("/")[0] == "~" else Path(path)


def test_a_bucket_is_checked_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`validate` opens no store, so it must not need the extra."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    parse_state("s3://bucket/plug", tmp_path)
    with pytest.raises(InputError, match="does not name a bucket"):
        parse_state("s3://", tmp_path)
