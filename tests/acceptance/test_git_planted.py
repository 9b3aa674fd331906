"""Files of a pull request that look like a git repository: no program that they name ever runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conftest import Cli
from tests.contract.remotes import git, make_clone, make_remote

STATE = "git:origin/reconciler-state"


def plant(folder: Path, config: str) -> None:
    """Write a repository of plain files, as a pull request can hold it: git never tracks a real `.git`."""
    for name in ("objects/keep", "refs/heads/keep"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n{config}")


def make_program(path: Path, marker: Path) -> Path:
    path.write_text(f"#!/bin/sh\ntouch '{marker}'\nexit 1\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nested(cli: Cli) -> Cli:
    """Return a checkout whose subfolder has its own manifests; the program is started there."""
    remote = make_remote(cli.root)
    checkout = make_clone(remote, cli.root / "checkout")
    cli.folder = checkout / "sub"
    cli.folder.mkdir()
    cli.fleet("loja")
    cli.environ["RECONCILER_STATE"] = STATE
    return cli


ATTACKS = {
    "uploadpack": '[remote "origin"]\n\turl = {remote}\n\tuploadpack = {program}\n',
    "receivepack": '[remote "origin"]\n\turl = {remote}\n\treceivepack = {program}\n',
    "sshCommand": '[remote "origin"]\n\turl = ssh://nobody@127.0.0.1/x\n[core]\n\tsshCommand = {program}\n',
    "ext": '[remote "origin"]\n\turl = "ext::{program} x"\n[protocol "ext"]\n\tallow = always\n',
    "insteadOf": '[remote "origin"]\n\turl = a:b\n[url "ext::{program} x"]\n\tinsteadOf = a:b\n'
    '[protocol "ext"]\n\tallow = always\n',
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_planted_repository_of_plain_files_runs_nothing(nested: Cli, attack: str) -> None:
    """The surrounding checkout is used, as with any other files."""
    marker = nested.root / "marker"
    program = make_program(nested.folder / "planted", marker)
    plant(nested.folder, ATTACKS[attack].format(program=program, remote=nested.root / "remote.git"))
    assert git(nested.folder, "rev-parse", "--absolute-git-dir").strip() == str(nested.folder), "git takes it"
    for arguments in (["plan"], ["apply", "--yes"], ["report"], ["drift"], ["state", "list"]):
        nested.run(*arguments)
        assert not marker.exists(), arguments
    log = git(nested.root / "remote.git", "log", "--format=%B", "reconciler-state")
    assert f"commit: {git(nested.folder.parent, 'rev-parse', 'HEAD').strip()}" in log


def test_a_repository_of_plain_files_is_not_a_checkout(nested: Cli) -> None:
    """Also if there is no checkout around it."""
    alone = nested.root / "alone"
    (nested.folder).rename(alone)
    nested.folder = alone
    marker = nested.root / "marker"
    program = make_program(alone / "planted", marker)
    plant(alone, ATTACKS["uploadpack"].format(program=program, remote=nested.root / "remote.git"))
    ran = nested.run("plan", code=4)
    assert " is not in a git repository. Run in a checkout; if only the state needs one, " in ran.err
    assert not marker.exists()


@pytest.mark.parametrize("key", ["uploadpack", "receivepack", "vcs"])
def test_the_checkouts_configuration_runs_no_program_of_the_remote(nested: Cli, key: str) -> None:
    """Not even one that the user set: for a remote on this machine, git would run it here."""
    marker = nested.root / "marker"
    program = make_program(nested.root / "program", marker)
    git(nested.folder.parent, "config", f"remote.origin.{key}", str(program))
    nested.run("apply", "--yes", code=0)
    assert not marker.exists()


def test_a_url_that_is_a_command_runs_only_where_the_user_allows_it(nested: Cli) -> None:
    """This is git's own protection, `protocol.ext.allow`."""
    marker = nested.root / "marker"
    program = make_program(nested.root / "program", marker)
    git(nested.folder.parent, "remote", "set-url", "origin", f"ext::{program} x")
    assert "transport 'ext' not allowed" in nested.run("plan", code=4).err
    assert not marker.exists()
    git(nested.folder.parent, "config", "protocol.ext.allow", "always")
    nested.run("plan", code=4)
    assert marker.exists()
