"""Where a starting tree can't be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.hostile import drive


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is somebody's, and left as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").write_text("mine\n")
    drove = drive(tmp_path, {}, "init")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == (
        "error: DIR: manifests/_defaults.yaml can't be written: a file is where a folder is needed (choose a "
        "folder that can be written)\n"
    )
    assert (tmp_path / "manifests").read_text() == "mine\n"


@pytest.mark.posix
@pytest.mark.parametrize(("target", "reason"), [(".github", "Too many levels of symbolic links"), ("x" * 300, None)])
def test_a_link_that_leads_nowhere_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, reason: str | None
) -> None:
    """In a circle, or to a name that no file can have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".github").symlink_to(target)
    drove = drive(tmp_path, {}, "init")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err.startswith("error: DIR: .github/")
    assert f"can't be written: {reason or ''}" in drove.err


@pytest.mark.posix
def test_a_folder_of_an_impossible_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any that can't be written."""
    monkeypatch.chdir(tmp_path)
    drove = drive(tmp_path, {}, "init", "x" * 300)
    assert (drove.code, "can't be written: File name too long" in drove.err) == (3, True)
