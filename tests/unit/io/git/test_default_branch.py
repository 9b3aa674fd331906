"""The default branch, as a checkout knows it without asking a remote."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.io.git.checkout import Checkout
from tests.contract.remotes import git


def find(folder: Path) -> str | None:
    return Checkout(folder, os.environ).find_default_branch()


def test_a_clone_knows_the_branch_of_its_remote(tmp_path: Path) -> None:
    """Its own branch does not matter."""
    git(tmp_path, "init", "-q", "-b", "trunk", "origin")
    git(tmp_path / "origin", "commit", "-q", "--allow-empty", "-m", "first")
    git(tmp_path, "clone", "-q", "origin", "clone")
    git(tmp_path / "clone", "checkout", "-q", "-b", "work")
    assert find(tmp_path / "clone") == "trunk"


def test_a_new_repository_has_its_first_branch(tmp_path: Path) -> None:
    """With several branches and no remote the default branch is unknown."""
    git(tmp_path, "init", "-q", "-b", "trunk", "new")
    assert find(tmp_path / "new") == "trunk"
    git(tmp_path / "new", "commit", "-q", "--allow-empty", "-m", "first")
    assert find(tmp_path / "new") == "trunk"
    git(tmp_path / "new", "checkout", "-q", "-b", "work")
    assert find(tmp_path / "new") is None
