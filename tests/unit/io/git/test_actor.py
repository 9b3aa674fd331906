"""The actor of a run, and the commit of its manifests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.io.git.actor import find_by
from reconciler.model import By
from tests.contract.remotes import git


def test_an_actor_without_a_name_and_git_is_recorded_as_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is normal in a container that runs under a number, and no reason not to apply."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    if hasattr(os, "getuid"):  # elsewhere only the variables are read
        monkeypatch.setattr("pwd.getpwuid", unknown)
    assert find_by({"PATH": str(tmp_path)}, tmp_path) == By(None, None, None)


SHA = "0123456789" * 4


class Repository:
    """A real repository, whose manifests and settings are committed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifests, self.settings = folder, folder / "manifests", folder / "reconciler.toml"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GITHUB_SHA": SHA}
        self.manifests.mkdir(parents=True)
        (self.manifests / "production.yaml").write_text("environment: production\n")
        self.settings.write_text('state = "state"\n')
        (folder / ".gitignore").write_text("local.yaml\n*.swp\n")
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "Begin")

    @property
    def head(self) -> str:
        return git(self.folder, "rev-parse", "HEAD").strip()

    def commit(self) -> str | None:
        return find_by(self.environ, self.manifests, [self.settings]).commit


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "checkout")


def test_the_commit_is_that_of_the_checkout_and_not_of_the_event(repository: Repository) -> None:
    """A re-run of an old workflow run checks out what its workflow says."""
    assert repository.commit() == repository.head
    assert len(repository.head) == 40


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("manifests/production.yaml", "environment: other\n"),
        ("manifests/br/new.yaml", "environment: new\n"),
        ("manifests/local.yaml", "environment: ignored\n"),
        ("manifests/production.yaml", None),
        ("reconciler.toml", 'state = "other"\n'),
        ("reconciler.toml", None),
    ],
    ids=["changed", "new", "ignored by git", "deleted", "settings", "settings deleted"],
)
def test_the_commit_has_a_plus_if_a_manifest_or_the_settings_differ(
    repository: Repository, path: str, text: str | None
) -> None:
    """It makes no difference whether the change is staged."""
    file = repository.folder / path
    if text is None:
        file.unlink()
    else:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert repository.commit() == f"{repository.head}+"
    git(repository.folder, "add", "-A")
    if "local" not in path:
        assert repository.commit() == f"{repository.head}+"


def test_other_files_of_the_checkout_do_not_count(repository: Repository) -> None:
    """Neither does a touched file, nor an editor's backup; and the index is not written."""
    (repository.folder / "notes.txt").write_text("notes\n")
    (repository.manifests / ".production.yaml.swp").write_text("")
    os.utime(repository.manifests / "production.yaml", (1, 1))
    index = (repository.folder / ".git" / "index").read_bytes()
    assert repository.commit() == repository.head
    assert (repository.folder / ".git" / "index").read_bytes() == index


def test_the_repository_is_the_one_that_holds_the_manifests(repository: Repository, tmp_path: Path) -> None:
    """This holds through a link too, and with settings elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "manifests"
    link.symlink_to(repository.manifests)
    settings = tmp_path / "elsewhere" / "reconciler.toml"
    settings.write_text("")
    assert find_by(repository.environ, link, [settings]).commit == repository.head


def test_the_events_commit_counts_without_a_repository(tmp_path: Path) -> None:
    """Without both it is null; also in a repository without a commit, or one that git can't read."""
    environ = {"PATH": os.environ["PATH"], "GITHUB_SHA": SHA}
    assert find_by(environ, tmp_path / "manifests").commit == SHA
    assert find_by({**environ, "GITHUB_SHA": ""}, tmp_path / "manifests").commit is None
    git(tmp_path, "init", "-q")
    assert find_by(environ, tmp_path / "manifests").commit is None
    assert find_by({**environ, "PATH": str(tmp_path)}, tmp_path / "manifests").commit is None


def test_no_program_that_the_files_of_a_pull_request_name_is_run(repository: Repository) -> None:
    """The files look like a repository, or are attributes, and the user configured a monitor."""
    ran = repository.folder.parent / "ran"
    git(repository.folder, "config", "core.fsmonitor", f"touch {ran}; false")
    bare = repository.manifests / "bare"
    (bare / "objects").mkdir(parents=True)
    (bare / "refs").mkdir()
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    (bare / "config").write_text(f"[core]\n\tbare = false\n\tfsmonitor = touch {ran}\n\tworktree = .\n")
    (repository.manifests / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    (repository.folder / ".gitmodules").write_text('[submodule "bare"]\n\tpath = manifests/bare\n\turl = ./bare\n')
    assert repository.commit() == f"{repository.head}+"
    assert find_by(repository.environ, bare).commit == f"{repository.head}+"
    assert not ran.exists()


def test_the_user_who_ran_a_run_again_is_recorded(tmp_path: Path) -> None:
    """GITHUB_ACTOR is the user who began it."""
    environ = {"PATH": "", "GITHUB_ACTOR": "ana", "GITHUB_RUN_ID": "17", "GITHUB_RUN_ATTEMPT": "2"}
    assert find_by(environ, tmp_path) == By("ana", None, "17/2")
    assert find_by({**environ, "GITHUB_TRIGGERING_ACTOR": "rui"}, tmp_path) == By("rui", None, "17/2")
