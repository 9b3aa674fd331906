"""A state branch that is deleted, reset, refused or filled with something else, before a run and during one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.bad_day.world import message_of, only_outcome, release
from tests.acceptance.conftest import Cli, Ran, wait_until
from tests.contract.remotes import git, make_remote

FLEET = ("loja", "matriz")
BRANCH = "reconciler-state"
TAKEN_AWAY = (
    "while the PUT was in flight, another run, unlock or forget removed the intent, or the state was restored or "
    "deleted: in doubt"
)


@pytest.fixture
def remote(cli: Cli) -> Path:
    """Return the remote of a checkout whose fleet is applied at version 1."""
    made = make_remote(cli.root)
    git(cli.folder, "init", "-q", ".")
    git(cli.folder, "remote", "add", "origin", str(made))
    cli.environ["RECONCILER_STATE"] = f"git:origin/{BRANCH}"
    cli.fleet(*FLEET)
    cli.run("apply", "--yes", code=0)
    return made


def document(remote: Path, name: str) -> Any:
    return json.loads(git(remote, "show", f"{BRANCH}:{name}.json"))


def apply_during(cli: Cli, sandbox: Sandbox, happens: Callable[[], object]) -> Ran:
    """Apply version 2 of the fleet, and call `happens` while both PUTs are in flight."""
    for name in FLEET:
        cli.manifest(name, version="2")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.5)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--format", "json")
    wait_until(lambda: sandbox.plug.requests >= before + 2, "both PUTs")
    happens()
    ran = running.finish()
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    return ran


def assert_settles(cli: Cli) -> None:
    """Assert that one apply with one PUT each leaves nothing to do."""
    puts = {name: cli.puts(name) for name in FLEET}
    cli.run("apply", "--yes", code=0)
    for name in FLEET:
        assert cli.puts(name) == puts[name] + 1
        assert cli.held(name) == cli.desired(name, "2")
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}


def test_a_branch_that_is_deleted_during_a_run_ends_in_doubt(cli: Cli, sandbox: Sandbox, remote: Path) -> None:
    """It is uncertain with exit 4; a new branch holds the doubt, with nothing applied."""
    ran = apply_during(cli, sandbox, lambda: git(remote, "branch", "-D", BRANCH))
    assert (ran.code, only_outcome(ran, FLEET)) == (4, "uncertain")
    assert message_of(ran, "loja") == TAKEN_AWAY
    for name in FLEET:
        found = document(remote, name)
        assert (found["applied"], found["intent"]["doubt"], found["intent"]["lease_until"]) == (None, True, None)
    assert_settles(cli)


def test_a_branch_that_is_reset_during_a_run_ends_in_doubt(cli: Cli, sandbox: Sandbox, remote: Path) -> None:
    """A force-push to before the intent: uncertain, exit 4, and the old record is in doubt."""
    ran = apply_during(cli, sandbox, lambda: git(remote, "update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~1"))
    assert (ran.code, only_outcome(ran, FLEET)) == (4, "uncertain")
    assert message_of(ran, "loja") == TAKEN_AWAY
    for name in FLEET:
        found = document(remote, name)
        assert "/1/" in found["applied"]["webhooks"]["messageStatus"]
        assert (found["intent"]["doubt"], found["intent"]["lease_until"]) == (True, None)
    assert_settles(cli)


def test_a_lost_remote_is_reported_with_the_lease(cli: Cli, sandbox: Sandbox, remote: Path) -> None:
    """Plug accepted the PUT and the outcome can't be recorded: the intent stays until its lease ends."""
    ran = apply_during(cli, sandbox, lambda: remote.rename(cli.root / "gone.git"))
    (cli.root / "gone.git").rename(remote)
    assert (ran.code, only_outcome(ran, FLEET)) == (4, "uncertain")
    until = document(remote, "loja")["intent"]["lease_until"]
    message = message_of(ran, "loja")
    assert "can't be reached" in message
    assert f"Its lease lasts until {until}: apply again then, or sooner after `reconciler state unlock" in message
    assert only_outcome(cli.run("apply", "--yes", "--format", "json", code=4), FLEET) == "locked"
    release(cli, *FLEET)
    assert_settles(cli)


def _refuse_pushes(remote: Path) -> Path:
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'policy: frozen until Monday, ask ana' >&2\nexit 1\n")
    hook.chmod(0o755)
    return hook


def test_a_remote_that_refuses_the_outcome_says_why(cli: Cli, sandbox: Sandbox, remote: Path) -> None:
    """The message shows what the hook said."""
    ran = apply_during(cli, sandbox, lambda: _refuse_pushes(remote))
    (remote / "hooks" / "pre-receive").unlink()
    assert (ran.code, only_outcome(ran, FLEET)) == (4, "uncertain")
    assert "pre-receive hook declined (policy: frozen until Monday, ask ana)" in message_of(ran, "loja")
    release(cli, *FLEET)
    assert_settles(cli)


def test_if_the_remote_refuses_the_intent_nothing_is_sent(cli: Cli, remote: Path) -> None:
    """Rule 6: failed, exit 4, with the remote's reason and what to do."""
    for name in FLEET:
        cli.manifest(name, version="2")
    before = git(remote, "rev-parse", BRANCH)
    hook = _refuse_pushes(remote)
    ran = cli.run("apply", "--yes", "--format", "json", code=4)
    assert only_outcome(ran, FLEET) == "failed"
    message = message_of(ran, "loja")
    assert "the remote rejected the push: pre-receive hook declined (policy: frozen until Monday, ask ana)" in message
    assert "Is the branch protected, or may this token not write?" in message
    assert git(remote, "rev-parse", BRANCH) == before
    assert [cli.puts(name) for name in FLEET] == [1, 1]
    hook.unlink()
    assert_settles(cli)


def test_a_branch_that_is_deleted_before_a_run_is_a_fleet_of_creates(cli: Cli, remote: Path) -> None:
    """The state is empty: the plan shows it, and one PUT each creates it again."""
    for name in FLEET:
        cli.manifest(name, version="2")
    git(remote, "branch", "-D", BRANCH)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"create"}
    assert_settles(cli)


@pytest.mark.parametrize(
    ("commands", "message", "beside"),
    [
        ("mkdir sub; echo x > sub/loja.json", "holds 'sub', which is not a state document", 4),
        ("echo x > notes.txt", "holds 'notes.txt', which is not a state document", 4),
        ("mkdir d.json; echo x > d.json/x", "holds 'd.json', which is not a state document", 4),
        ("rm loja.json; ln -s /etc/passwd loja.json", "loja.json is corrupt", 0),
        ("ln -s matriz.json filial.json", "filial.json is corrupt", 0),
        ("head -c 20000000 /dev/zero > loja.json", "loja.json is larger than 16 MiB", 0),
        ('printf x > "::error::x.json"', "not a valid environment name", 0),
        ("mkdir .github; echo x > .github/x; echo y > README.md", "", 0),
    ],
    ids=["folder", "file", "folder.json", "link out", "link beside", "huge", "hostile name", "README"],
)
def test_a_foreign_file_on_the_branch_is_named_and_kept(
    cli: Cli, remote: Path, commands: str, message: str, beside: int
) -> None:
    """Exit 4, nothing sent, no link followed; a bad document doesn't disturb other selections."""
    work = cli.root / "work-tree"
    git(cli.root, "clone", "-q", "-b", BRANCH, str(remote), str(work))
    subprocess.run(["bash", "-ec", commands], cwd=work, check=True)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "By hand")
    git(work, "push", "-q", "origin", "HEAD")
    shutil.rmtree(work)
    before = git(remote, "rev-parse", BRANCH)
    ran = cli.run("plan", code=4 if message else 0)
    assert message in ran.err
    assert "root:" not in ran.err
    if beside == 4:
        assert "If this branch is your state's, remove that file or folder from it with git; else set" in ran.err
    cli.run("apply", "--yes", code=4 if message else 0)
    cli.run("plan", "-e", "matriz", code=beside)
    assert git(remote, "rev-parse", BRANCH) == before
    assert [cli.puts(name) for name in FLEET] == [1, 1]
    git(remote, "update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~1")
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
