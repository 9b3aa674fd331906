"""Which action the workflows get, and where a starting tree can't be written."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from reconciler.cli.init import find_action
from tests.fuzz.hostile import drive

COMMIT = "c0ffee" * 6 + "c0ff"
ACTION = f"acme/reconciler/.github/actions/reconciler@{COMMIT}"


class Installed:
    """A distribution that tells where it came from (PEP 610)."""

    def __init__(self, told: str | None) -> None:
        self._told = told

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._told


def installed_from(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(told))


@pytest.mark.parametrize(
    ("url", "commit", "action"),
    [
        ("https://github.com/acme/reconciler", COMMIT, ACTION),
        ("https://github.com/acme/reconciler.git", COMMIT, ACTION),
        ("ssh://git@github.com/acme/reconciler.git", COMMIT, ACTION),
        ("https://github.com/acme/reconciler", "main", None),
        ("https://gitlab.com/acme/reconciler", COMMIT, None),
        ("https://github.com.evil.test/acme/reconciler", COMMIT, None),
    ],
)
def test_the_action_is_at_the_commit_that_was_installed(
    monkeypatch: pytest.MonkeyPatch, url: str, commit: str, action: str | None
) -> None:
    """On GitHub, and at a commit that nobody can move."""
    installed_from(monkeypatch, json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": commit}}))
    assert find_action() == action


@pytest.mark.parametrize("told", [None, "{}", "no JSON"])
def test_from_a_wheel_nobody_knows_the_action(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    """Whatever stands in place of its origin."""
    installed_from(monkeypatch, told)
    assert find_action() is None


def test_what_is_not_installed_at_all_knows_no_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a folder of sources, say."""

    def unknown(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", unknown)
    assert find_action() is None


def test_of_a_checkout_it_is_the_remotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one without a remote, without a commit, or on a machine without git, it is unknown."""
    checkout = tmp_path / "a checkout"
    installed_from(monkeypatch, json.dumps({"url": checkout.as_uri(), "dir_info": {"editable": True}}))
    assert find_action() is None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    checkout.mkdir()
    git("init", "-q")
    git("remote", "add", "origin", "git@github.com:acme/reconciler.git")
    assert find_action() is None
    git("-c", "user.name=ana", "-c", "user.email=ana@acme.com.br", "commit", "-q", "--allow-empty", "-m", "first")
    assert find_action() == ACTION.replace(COMMIT, git("rev-parse", "HEAD"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_action() is None


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is somebody's, and left as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").write_text("mine\n")
    drove = drive(tmp_path, {}, "init")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == (
        "error: DIR: manifests/_defaults.yaml can't be written: a file stands where a folder is needed (choose a "
        "folder that can be written)\n"
    )
    assert (tmp_path / "manifests").read_text() == "mine\n"


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


def test_a_folder_of_an_impossible_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any that can't be written."""
    monkeypatch.chdir(tmp_path)
    drove = drive(tmp_path, {}, "init", "x" * 300)
    assert (drove.code, "can't be written: File name too long" in drove.err) == (3, True)
