"""Output that can't be written: a full disk behind the log, a pager that has quit, a closed stream."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.bad_day.world import assert_converges, assert_whole, shell
from tests.acceptance.conftest import Cli, wait_until

FLEET = tuple(f"loja-{number:02}" for number in range(12))


@pytest.mark.parametrize(
    "stderr", ["2>/dev/full", "2>&-", "2> >(head -c 1 >/dev/null)"], ids=["full", "closed", "gone"]
)
def test_a_broken_stderr_ends_no_put(cli: Cli, sandbox: Sandbox, stderr: str) -> None:
    """Every failure is reported there; the run continues and records its outcomes; stdout and the code are right."""
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, failure_rate=1.0)
    options = "--attempts 1 --concurrency 2 --max-failures 100 --format json"
    ran = shell(cli, f"$RECONCILER apply --yes {options} {stderr}")
    assert ran.code == 1
    assert ran.outcomes == dict.fromkeys(FLEET, "uncertain")
    assert_whole(cli)
    for name in FLEET:
        assert cli.document(name)["intent"]["lease_until"] is None
    sandbox.plug.options = replace(sandbox.plug.options, failure_rate=0.0)
    assert_converges(cli, *FLEET)


@pytest.mark.parametrize(
    ("command", "code"),
    [("plan -e nope", 3), ("plan --bogus", 3), ("apply", 3), ("state list --state git:nowhere/state", 4)],
)
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_an_error_that_cannot_be_printed_keeps_its_exit_code(cli: Cli, command: str, code: int, stderr: str) -> None:
    """A pipeline only reads the code."""
    cli.fleet("loja")
    assert shell(cli, f"$RECONCILER {command} {stderr}").code == code


@pytest.mark.parametrize(
    ("stdout", "message"),
    [(">/dev/full", "No space left on device"), (">&-", "it is closed"), ("| true", "")],
    ids=["full", "closed", "gone"],
)
def test_a_broken_stdout_loses_no_outcome(cli: Cli, stdout: str, message: str) -> None:
    """Exit 1 with the reason, if stderr works; what was done is recorded."""
    cli.fleet("loja", "matriz")
    ran = shell(cli, f"set -o pipefail; $RECONCILER apply --yes {stdout}")
    assert (ran.code, ran.out) == (1, "")
    if message:
        assert ran.err == f"error: the result can't be written to stdout: {message}. What was done is done\n"
    else:
        assert ran.err == "error: nothing reads stdout any more. What was done is done\n"
    for name in ("loja", "matriz"):
        assert cli.document(name)["intent"] is None
    assert_converges(cli, "loja", "matriz")
    assert cli.puts("loja") == 1


@pytest.mark.parametrize("command", ["validate", "plan", "drift", "state list", "schema", "--version"])
def test_without_any_stream_nothing_crashes(cli: Cli, command: str) -> None:
    """Exit 1, as for any result that can't be shown, and not the interpreter's code."""
    cli.fleet("loja")
    assert shell(cli, f"$RECONCILER {command} >/dev/full 2>/dev/full").code == 1
    assert shell(cli, f"$RECONCILER {command} <&- >&- 2>&-").code in ({0, 1} if command == "--version" else {1})


def test_a_lock_counts_more_than_a_result_that_cannot_be_shown(cli: Cli, sandbox: Sandbox) -> None:
    """4 before 1 (docs/contract.md#commands): an alert by the code must not take it for a lost log.

    The run that holds the lock is dead, so the lock stays even if this machine is slow.
    """
    cli.fleet("loja")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=30.0)
    before = sandbox.plug.requests
    first = cli.start("apply", "--yes")
    wait_until(lambda: sandbox.plug.requests > before, "the first run's PUT")
    first.process.kill()
    first.finish()
    for stdout in (">/dev/full", ">&-", "| true"):
        assert shell(cli, f"set -o pipefail; $RECONCILER apply --yes {stdout}").code == 4


def test_an_unexpected_plan_is_4_wherever_it_is_shown(cli: Cli) -> None:
    """A log that can't be written must not turn `stale` into `not applied`."""
    cli.fleet("loja")
    digest = "sha256:" + "0" * 64
    for stdout in (">/dev/full", ">&-"):
        ran = shell(cli, f"$RECONCILER apply --yes --expect {digest} {stdout}")
        assert (ran.code, "the plan is not the one expected" in ran.err) == (4, True)
    assert cli.puts("loja") == 0


def test_a_closed_stdin_is_not_a_yes(cli: Cli) -> None:
    """Exit 3 and how to continue, as without a terminal; nothing is written."""
    cli.fleet("loja")
    ran = shell(cli, "$RECONCILER apply <&-")
    assert (ran.code, "--yes" in ran.err) == (3, True)
    assert not (cli.folder / ".reconciler").exists()


def test_files_that_cannot_be_written_remove_nothing_from_stdout(cli: Cli) -> None:
    """The summary is all that the user on call has; each file is named, and the code is 1."""
    cli.fleet("loja")
    for name in ("full.json", "full.md"):
        Path(cli.folder / name).symlink_to("/dev/full")
    also = ("--also", "json=full.json", "--also", "markdown=full.md", "--also", "json=good.json")
    ran = cli.run("apply", "--yes", *also, code=1)
    assert "Result: 1 applied." in ran.out
    assert ran.err == (
        "error: full.json can't be written: No space left on device; "
        "full.md can't be written: No space left on device. What was done is done\n"
    )
    assert '"applied"' in (cli.folder / "good.json").read_text()
    assert_converges(cli, "loja")
    assert cli.puts("loja") == 1
