"""The action in the workflows of a starting tree."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from reconciler.starter import find_action

COMMIT = "c0ffee" * 6 + "c0ff"
ACTION = f"acme/reconciler/.github/actions/reconciler@{COMMIT}"


class Installed:
    """A distribution with the origin of its installation (PEP 610)."""

    def __init__(self, origin: str | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._origin


def project_name() -> str:
    """The name under which this project is installed, as its metadata says."""
    name: str = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["name"]
    return name


def installed_from(monkeypatch: pytest.MonkeyPatch, origin: str | None) -> None:
    def find(name: str) -> Installed:
        if name != project_name():
            raise metadata.PackageNotFoundError(name)
        return Installed(origin)

    monkeypatch.setattr(metadata, "distribution", find)


@pytest.mark.parametrize(
    ("url", "commit", "action"),
    [
        ("https://github.com/acme/reconciler", COMMIT, ACTION),
        ("https://github.com/acme/reconciler.git", COMMIT, ACTION),
        ("ssh://git@github.com/acme/reconciler.git", COMMIT, ACTION),
        ("https://x-access-token:ghs_canary@github.com/acme/reconciler.git", COMMIT, ACTION),
        ("ssh://git@ssh.github.com:443/acme/reconciler.git", COMMIT, ACTION),
        ("https://github.com/acme/reconciler", "main", None),
        ("https://gitlab.com/acme/reconciler", COMMIT, None),
        ("https://github.com.evil.test/acme/reconciler", COMMIT, None),
    ],
)
def test_the_action_is_at_the_commit_that_was_installed(
    monkeypatch: pytest.MonkeyPatch, url: str, commit: str, action: str | None
) -> None:
    """The action is on GitHub, at a fixed commit."""
    installed_from(monkeypatch, json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": commit}}))
    assert find_action(os.environ) == action


@pytest.mark.parametrize("origin", [None, "{}", "no JSON"])
def test_from_a_wheel_the_action_is_unknown(monkeypatch: pytest.MonkeyPatch, origin: str | None) -> None:
    """The file of its origin is missing, empty or broken."""
    installed_from(monkeypatch, origin)
    assert find_action(os.environ) is None


def test_without_an_installation_the_action_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may run from a folder of sources."""

    def unknown(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", unknown)
    assert find_action(os.environ) is None


def test_from_a_checkout_the_action_is_that_of_its_remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a remote, a commit or git, it is unknown."""
    checkout = tmp_path / "a checkout"
    installed_from(monkeypatch, json.dumps({"url": checkout.as_uri(), "dir_info": {"editable": True}}))
    assert find_action(os.environ) is None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    checkout.mkdir()
    git("init", "-q")
    git("remote", "add", "origin", "git@github.com:acme/reconciler.git")
    assert find_action(os.environ) is None
    git("-c", "user.name=ana", "-c", "user.email=ana@acme.com.br", "commit", "-q", "--allow-empty", "-m", "first")
    assert find_action(os.environ) == ACTION.replace(COMMIT, git("rev-parse", "HEAD"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_action(os.environ) is None
