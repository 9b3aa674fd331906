"""`github setup`: its input from the manifests, the settings and the checkout, without any request."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz.hostile import Drove, drive

MANIFEST = "webhooks:\n" + "".join(
    f"  {event}: https://hooks.acme.com.br/{event}?key={{secret:PLUG_SECRET_RECEIVE}}\n"
    for event in (
        *("finishAttendance", "startAttendance", "receiveMessage", "sendingMessage", "messageDeliveryError"),
        *("messageStatus", "whenDisconnecting"),
    )
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").mkdir()
    for name in ("loja", "matriz"):
        (tmp_path / f"manifests/{name}.yaml").write_text(MANIFEST)
    (tmp_path / "reconciler.toml").write_text('state = "git:origin/webhooks-state"\n')
    return tmp_path


def setup(folder: Path, *arguments: str) -> Drove:
    return drive(folder, {}, "github", "setup", *arguments)


def test_the_repository_and_the_branch_are_those_of_the_checkout(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "git@github.com:acme/plug-webhooks.git"], check=True)
    drove = setup(folder)
    assert drove.code == 0
    assert "\nrepository=acme/plug-webhooks\nbranch=trunk # the default branch\n" in drove.out
    assert "\nfor name in loja matriz plug-fleet plug-drift; do\n" in drove.out
    assert '"refs/heads/webhooks-state"' in drove.out
    assert "# gh secret set PLUG_TOKEN --repo acme/plug-webhooks --env matriz\n" in drove.out
    assert "# gh secret set PLUG_SECRET_RECEIVE --repo acme/plug-webhooks --env matriz\n" in drove.out


def test_the_owners_of_the_checkout_must_approve(folder: Path) -> None:
    """GitHub reads the first file of the three places; a comment, or a path without an owner, names nobody."""
    required = '"require_code_owner_review": true'
    (folder / "CODEOWNERS").write_text("# /manifests/ @acme/team\n/x/\n/y/ # @ana\n")
    (folder / "docs").mkdir()
    (folder / "docs/CODEOWNERS").write_text("* @ana\n")
    assert required not in setup(folder, "--repository", "a/b").out
    (folder / ".github").mkdir()
    (folder / ".github/CODEOWNERS").write_text("# who\n/manifests/  @acme/team # them\n")
    assert required in setup(folder, "--repository", "a/b").out


def test_workflows_for_another_branch_are_named(folder: Path) -> None:
    """The script protects the default branch, and no merge into it would be applied."""
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/apply.yml").write_text("on:\n  push:\n    branches: [main]\n")
    drove = setup(folder, "--repository", "a/b", "--default-branch", "master")
    assert (
        "warning: apply.yml starts for main, but the default branch is master (reconciler init --upgrade" in drove.err
    )
    assert "warning" not in setup(folder, "--repository", "a/b", "--default-branch", "main").err


def test_a_selection_narrows_it_to_the_new_environments(folder: Path) -> None:
    """The other environments exist already."""
    drove = setup(folder, "--repository", "acme/plug-webhooks", "-e", "loja", "--default-branch", "main")
    assert "\nfor name in loja plug-fleet plug-drift; do\n" in drove.out
    assert setup(folder, "--repository", "acme/plug-webhooks", "-e", "lojas").code == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--repository: the repository is not known (add --repository OWNER/NAME, or run in a checkout"),
        (["--repository", "acme"], "--repository: 'acme' is not a repository of GitHub (write OWNER/NAME)"),
        (["--repository", "a/b", "--reviewer", "$(id)"], "--reviewer: '$(id)' is not a user or a team"),
        (["--repository", "a/b", *["--reviewer", "ana"] * 7], "GitHub takes 6 reviewers of an environment, and 7 are"),
        (["--repository", "a/b", "--default-branch", "a b"], "--default-branch: 'a b' is not a name that"),
        (["--repository", "a/b", "--state", "git:nowhere"], "state: does not name a remote and a branch"),
        (
            ["--repository", "a/b", "--state", ".reconciler/state"],
            "state: .reconciler/state is a folder of the checkout",
        ),
    ],
)
def test_values_that_can_not_be_in_the_script_are_refused(folder: Path, arguments: list[str], said: str) -> None:
    drove = setup(folder, *arguments)
    assert (drove.code, drove.out) == (3, "")
    assert said in drove.err


def test_invalid_manifests_make_no_script(folder: Path) -> None:
    """The environments are not known."""
    (folder / "manifests/loja.yaml").write_text("webhooks: {}\n")
    drove = setup(folder, "--repository", "acme/plug-webhooks")
    assert (drove.code, drove.out) == (3, "")
