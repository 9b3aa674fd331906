"""Signals, and a kill at any moment: nothing is lost, and the state claims nothing that isn't true."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import time

import pytest
from msgspec.structs import replace

from reconciler.io.signals import SIGNALS
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import TIMEOUT_S, Cli, wait_until
from tests.contract.remotes import git, make_clone, make_remote

FLEET = tuple("abcdef")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_lets_puts_in_flight_finish(cli: Cli, sandbox: Sandbox, number: signal.Signals) -> None:
    """Exit 130 with a summary: PUTs in flight are recorded; the rest is skipped, with no intent in the state."""
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.0)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--concurrency", "2", "--format", "json")
    wait_until(lambda: sandbox.plug.requests >= before + 2, "two PUTs under way")
    running.process.send_signal(number)
    ran = running.finish()
    assert ran.code == 130
    assert ran.json["summary"] == {
        "applied": 2,
        "rejected": 0,
        "failed": 0,
        "uncertain": 0,
        "unchanged": 0,
        "skipped": 4,
        "locked": 0,
    }
    assert sandbox.plug.requests == before + 2
    applied = [name for name, outcome in ran.outcomes.items() if outcome == "applied"]
    for name in applied:
        assert cli.document(name)["intent"] is None
        assert cli.held(name) == cli.desired(name)
    assert cli.state_bytes().keys() == {f"{name}.json" for name in applied}


def test_a_terminal_that_closes_lets_puts_in_flight_finish(cli: Cli, sandbox: Sandbox) -> None:
    """The kernel sends SIGHUP. stdout and stderr are gone, but the outcome is recorded, and nothing is locked."""
    cli.fleet("loja")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.0)
    before = sandbox.plug.requests
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "apply", "--yes"],
        cwd=cli.folder,
        env=cli.environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    wait_until(lambda: sandbox.plug.requests > before, "the PUT under way")
    os.close(master)
    assert process.wait(timeout=TIMEOUT_S) == 130
    assert cli.document("loja")["intent"] is None
    assert cli.held("loja") == cli.desired("loja")
    assert sandbox.plug.requests == before + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_ends_git_too_loses_no_outcome(cli: Cli, number: signal.Signals) -> None:
    """A terminal sends it to the program and to git, during the push of what Plug accepted."""
    remote = make_remote(cli.root)
    cli.folder = make_clone(remote, cli.root / "checkout")
    cli.fleet("loja")
    pushes = cli.root / "pushes"
    hook = remote / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho x >>'{pushes}'\nsleep 1\n")
    hook.chmod(0o755)
    running = cli.start("apply", "--yes", env={"RECONCILER_STATE": "git:origin/state"}, in_own_group=True)
    wait_until(lambda: pushes.exists() and pushes.read_text().count("x") == 2, "the push of the outcome")
    os.killpg(running.process.pid, number)
    ran = running.finish()
    assert (ran.code, "Interrupted: 1 applied." in ran.out) == (130, True), ran
    assert '"intent": null' in git(remote, "show", "state:loja.json")


def test_a_second_signal_ends_at_once_and_loses_nothing(cli: Cli, sandbox: Sandbox) -> None:
    """The intents stay: another run finds them locked, and after unlock in doubt."""
    cli.fleet("loja")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=600.0)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--format", "json")
    wait_until(lambda: sandbox.plug.requests > before, "the PUT")
    running.process.send_signal(signal.SIGINT)
    running.wait_for_error(b"a second signal ends at once")
    running.process.send_signal(signal.SIGINT)
    ran = running.finish()
    assert (ran.code, ran.out) == (130, "")
    assert "ended at once" in ran.err and "state unlock" in ran.err
    assert cli.document("loja")["intent"]["lease_until"] is not None
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    assert cli.run("apply", "--yes", "--format", "json", code=4).outcomes == {"loja": "locked"}
    cli.run("state", "unlock", "loja", "--yes", code=0)
    ran = cli.run("plan", "--format", "json", code=0)
    assert ran.json["environments"][0]["reasons"] == ["never-applied", "uncertain"]


def test_a_signal_at_the_question_is_130_and_does_nothing(cli: Cli, sandbox: Sandbox) -> None:
    """After Ctrl-C instead of an answer nothing is sent or written."""
    cli.fleet("loja")
    before = sandbox.plug.requests
    master, slave = pty.openpty()
    try:
        running = cli.start("apply", stdin=slave)
        running.wait_for_error(b"[y/N]")
        time.sleep(0.5)  # A signal between the prompt and the read would wait for the next key.
        running.process.send_signal(signal.SIGINT)
        ran = running.finish()
    finally:
        os.close(master)
        os.close(slave)
    assert (ran.code, ran.out) == (130, "")
    assert sandbox.plug.requests == before
    assert cli.state_bytes() == {}


def let_plug_act(sandbox: Sandbox, unanswered: int) -> None:
    """Wait until Plug has acted on every request. One whose body a kill cut off, which is rare, ends the wait later."""
    end = time.monotonic() + 5
    while sandbox.plug.requests - len(sandbox.plug.received) > unanswered and time.monotonic() < end:
        time.sleep(0.005)


@pytest.mark.parametrize("half", [0, 1])
def test_a_kill_at_any_moment_is_repaired_by_one_apply(cli: Cli, sandbox: Sandbox, half: int) -> None:
    """After a kill no noop is wrong, and once the leases are released, one apply converges."""
    cli.fleet(*FLEET)
    cli.run("apply", "--yes", code=0)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.05)
    unanswered = sandbox.plug.requests - len(sandbox.plug.received)
    for number in range(5):
        version = str(number + 2)
        for name in FLEET:
            cli.manifest(name, version=version)
        running = cli.start("apply", "--yes", "--concurrency", "2")
        time.sleep(random.uniform(0.25, 0.75) + half * 0.1)
        running.process.kill()
        running.finish()
        let_plug_act(sandbox, unanswered)
        if number % 2 == half:
            for name, action in cli.run("plan", "--format", "json", code=0).actions.items():
                if action == "noop":
                    assert cli.document(name)["intent"] is None
                    assert cli.held(name) == cli.desired(name, version)
        for name in FLEET:
            intent = cli.document(name)["intent"]
            if intent is not None and intent["lease_until"] is not None:
                cli.run("state", "unlock", name, "--yes", code=0)
        puts = {name: cli.puts(name) for name in FLEET}
        cli.run("apply", "--yes", code=0)
        assert all(cli.puts(name) <= puts[name] + 1 for name in FLEET)
        for name in FLEET:
            assert cli.held(name) == cli.desired(name, version)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
