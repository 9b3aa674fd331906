"""A disk that is full or can't be written, and a folder that is deleted during a run."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.bad_day.world import (
    assert_converges,
    assert_whole,
    hurt,
    message_of,
    mounted,
    only_outcome,
    release,
    shell,
)
from tests.acceptance.conftest import TIMEOUT_S, Cli, wait_until
from tests.contract.remotes import git, make_remote

# While the file `full` is beside it, the disk below the state folder is full.
FULL_DISK = """
import errno, os
from pathlib import Path

full, write = Path(os.environ["HOME"]).parent / "full", os.write

def write_or_not(descriptor, data):
    if full.exists() and "/state/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return write(descriptor, data)

os.write = write_or_not
"""


def test_a_full_disk_at_the_intent_sends_nothing(cli: Cli) -> None:
    """Rule 6: failed, exit 4, no PUT, no document; the message says what to do."""
    cli.fleet("loja", "matriz")
    (cli.root / "full").touch()
    with hurt(cli, FULL_DISK):
        ran = cli.run("apply", "--yes", "--format", "json", code=4)
    assert ran.outcomes["loja"] == "failed"
    assert message_of(ran, "loja") == (
        f"not sent: the intent could not be written: state: {cli.state_folder}: loja.json can't be written: "
        "No space left on device. Make room on that disk (or it has too many files: `df -i`), then run again"
    )
    assert cli.state_bytes() == {}
    assert (cli.puts("loja"), cli.puts("matriz")) == (0, 0)
    assert_converges(cli, "loja", "matriz")
    assert cli.puts("loja") == 1


def test_a_full_disk_at_the_outcome_leaves_a_doubt_and_says_until_when(cli: Cli, sandbox: Sandbox) -> None:
    """Plug accepted the PUT, but it can't be recorded: uncertain, exit 4. Wait for the lease to end, or unlock."""
    cli.fleet("loja")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.5)
    before = sandbox.plug.requests
    with hurt(cli, FULL_DISK):
        running = cli.start("apply", "--yes", "--format", "json")
        wait_until(lambda: sandbox.plug.requests > before, "the PUT")
        (cli.root / "full").touch()
        ran = running.finish()
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    assert (ran.code, ran.outcomes) == (4, {"loja": "uncertain"})
    intent = cli.document("loja")["intent"]
    message = message_of(ran, "loja")
    assert message.startswith("Plug accepted it, but the outcome could not be recorded: ")
    assert "No space left on device. Make room on that disk" in message
    assert message.endswith(
        f"Its lease lasts until {intent['lease_until']}: apply again then, or sooner after "
        "`reconciler state unlock loja`"
    )
    assert_whole(cli)
    assert cli.document("loja")["applied"] is None

    assert cli.run("apply", "--yes", "--format", "json", code=4).outcomes == {"loja": "locked"}
    release(cli, "loja")
    assert_converges(cli, "loja")
    assert cli.puts("loja") == 2


def test_a_small_disk_that_fills_up_keeps_every_document_whole(cli: Cli) -> None:
    """A real disk: what fits is applied, no document is incomplete, and with more space one apply does the rest."""
    fleet = tuple(f"loja-{number:02}" for number in range(24))
    cli.fleet(*fleet)
    with mounted(cli.folder / ".reconciler", "size=64k") as again:
        ran = cli.run("apply", "--yes", "--concurrency", "4", "--format", "json", code=4)
        assert {"applied", "skipped"} < set(ran.outcomes.values())
        assert_whole(cli)
        for name, outcome in ran.outcomes.items():
            if outcome == "applied":
                assert cli.document(name)["intent"] is None
            elif outcome in ("failed", "skipped"):
                assert cli.puts(name) == 0
        again("size=8m")
        held = [name for name in fleet if f"{name}.json" in cli.state_bytes() and cli.document(name)["intent"]]
        release(cli, *held)
        assert_converges(cli, *fleet)
        assert max(cli.puts(name) for name in fleet) <= 2


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("plan", "--out", "full"), "a folder that can be written"),
        (("report", "--out", "full"), "name a file in a folder that can be written"),
    ],
    ids=["plan", "report"],
)
def test_a_full_disk_under_out_is_invalid_input(cli: Cli, command: tuple[str, ...], hint: str) -> None:
    """Exit 3 with the file's name and the reason; stdout is empty."""
    cli.fleet("loja")
    (cli.folder / "full").symlink_to("/dev/full")
    ran = cli.run(*command, code=3)
    assert ran.out == ""
    assert "full can't be written: No space left on device" in ran.err
    assert hint in ran.err
    assert (cli.folder / "full").is_symlink()


@pytest.mark.parametrize("command", ["plan", "report"])
def test_out_writes_to_a_pipe_and_never_replaces_it(cli: Cli, command: str) -> None:
    """A file written by root would replace /dev/stderr or /dev/null for the whole machine."""
    cli.fleet("loja")
    pipe = cli.folder / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    cli.run(command, "--out", "pipe", code=0)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(TIMEOUT_S)
    assert "loja" in read[0]


def test_out_replaces_the_file_behind_a_link(cli: Cli) -> None:
    """The link is kept, as with other programs that write a file."""
    cli.fleet("loja")
    (cli.folder / "plans").mkdir()
    (cli.folder / "latest.json").symlink_to("plans/monday.json")
    cli.run("plan", "--out", "latest.json", code=0)
    assert (cli.folder / "latest.json").is_symlink()
    assert json.loads((cli.folder / "plans" / "monday.json").read_text())["summary"]["create"] == 1


def test_a_read_only_disk_allows_plan_and_is_reported_by_apply(cli: Cli) -> None:
    """plan only reads; apply fails before anything is sent, and says what to do."""
    cli.fleet("loja")
    with mounted(cli.folder / ".reconciler", "size=1m") as again:
        cli.run("apply", "--yes", code=0)
        cli.manifest("loja", version="2")
        before = cli.state_bytes()
        again("ro")
        assert cli.run("plan", "--format", "json", code=0).actions == {"loja": "update"}
        ran = cli.run("apply", "--yes", "--format", "json", code=4)
        assert only_outcome(ran, ["loja"]) == "failed"
        assert message_of(ran, "loja") == (
            f"not sent: the intent could not be written: state: {cli.state_folder}: can't be written: Read-only file "
            "system. Mount it for writing, or set `state` to a place that can be written; then run again"
        )
        looked = cli.run("doctor", code=1).out
        assert "file system that is mounted read-only" in looked and "chmod" not in looked
        for command in (("forget",), ("adopt", "--unverified")):
            assert "Read-only file system" in cli.run("state", *command, "loja", "--yes", code=4).err
        assert cli.state_bytes() == before
        assert cli.puts("loja") == 1
        again("rw")
        assert_converges(cli, "loja", version="2")


def test_a_full_temporary_folder_is_reported_by_its_name(cli: Cli) -> None:
    """git's repository is there: `check the network` would send the user on call the wrong way."""
    make_remote(cli.root)
    git(cli.folder, "init", "-q", ".")
    git(cli.folder, "remote", "add", "origin", str(cli.root / "remote.git"))
    cli.fleet("loja")
    cli.environ["RECONCILER_STATE"] = "git:origin/reconciler-state"
    temporary = cli.root / "temporary"
    with mounted(temporary, "size=16k"):
        ran = cli.run("apply", "--yes", "--format", "json", code=4, env={"TMPDIR": str(temporary)})
    message = ran.err if not ran.out else message_of(ran, "loja")
    assert "No space left on device. Look at the disk of the temporary folder" in message
    assert str(temporary) in message
    assert cli.puts("loja") == 0
    assert_converges(cli, "loja")


def test_a_missing_temporary_folder_is_a_state_error(cli: Cli) -> None:
    """Exit 4 with the name of TMPDIR, not an internal error."""
    make_remote(cli.root)
    git(cli.folder, "init", "-q", ".")
    git(cli.folder, "remote", "add", "origin", str(cli.root / "remote.git"))
    cli.fleet("loja")
    code = (
        "import errno, os, tempfile\n"
        "def refuse(*_, **__): raise OSError(errno.EROFS, os.strerror(errno.EROFS))\n"
        "tempfile.mkdtemp = refuse\n"
    )
    with hurt(cli, code):
        ran = cli.run("apply", "--yes", "--state", "git:origin/reconciler-state", code=4)
    assert ran.err == (
        "error: state: no temporary folder can be made for git: Read-only file system. Set TMPDIR to a folder that can "
        "be written, then run again\n"
    )
    assert cli.puts("loja") == 0


@pytest.mark.parametrize("command", ["validate", "plan", "apply --yes", "state list", "report", "init x", "demo"])
def test_a_deleted_working_directory_is_reported(cli: Cli, command: str) -> None:
    """Exit 3 and what to do; no traceback."""
    cli.fleet("loja")
    ran = shell(cli, f'mkdir gone && cd gone && rmdir "$PWD" && $RECONCILER {command}')
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "error: the working directory is gone: go to your checkout again (cd), then run this again\n"
    assert not Path(cli.folder / ".reconciler").exists()


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc"])
def test_no_home_is_needed(cli: Cli, home: str | None) -> None:
    """A runner's user may have no home, or one that can't be written."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0, env={"HOME": home})
    assert_converges(cli, "loja")
    assert cli.puts("loja") == 1


def test_a_tokens_file_of_an_unknown_user_is_reported(cli: Cli) -> None:
    """The message has the path as written; it is not an internal error."""
    cli.fleet("loja")
    ran = cli.run("apply", "--yes", "--tokens-file", "~nobody-of-that-name/tokens.yaml", code=3)
    assert "~nobody-of-that-name/tokens.yaml" in ran.err
    assert "begins with the home folder of an unknown user (write the whole path)" in ran.err
    assert cli.state_bytes() == {}
