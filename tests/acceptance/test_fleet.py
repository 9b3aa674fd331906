"""In waves of a hundred environments or more, intents are written ahead of a free slot, without visible effects."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.run.apply import FLEET
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, wait_until
from tests.contract.remotes import git, make_clone, make_remote

NAMES = tuple(f"cliente-{number:03}" for number in range(FLEET + 20))
CONCURRENCY = 6


def in_a_folder(cli: Cli, tmp_path: Path) -> Callable[[], set[str]]:
    """Return a function that returns the names of the state's documents."""
    return lambda: {name.removesuffix(".json") for name in cli.state_bytes()}


def on_a_branch(cli: Cli, tmp_path: Path) -> Callable[[], set[str]]:
    remote = make_remote(tmp_path)
    clone = make_clone(remote, tmp_path / "clone")
    cli.folder = clone
    cli.environ["RECONCILER_STATE"] = "git:origin/state"

    def names() -> set[str]:
        listed = git(remote, "ls-tree", "--name-only", "state").split()
        return {name.removesuffix(".json") for name in listed if name.endswith(".json")}

    return names


@pytest.mark.parametrize("place", [in_a_folder, on_a_branch])
@pytest.mark.parametrize("stop", [signal.SIGTERM, None], ids=["signal", "max_failures"])
def test_an_intent_that_was_not_sent_leaves_nothing(
    cli: Cli,
    sandbox: Sandbox,
    tmp_path: Path,
    stop: signal.Signals | None,
    place: Callable[[Cli, Path], Callable[[], set[str]]],
) -> None:
    """The state holds only what was put; the rest is skipped, and the next apply puts each of those once."""
    names = place(cli, tmp_path)
    cli.fleet(*NAMES)
    failing = 0.0 if stop else 1.0
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.5, failure_rate=failing)
    before = sandbox.plug.requests
    limits = ("--concurrency", str(CONCURRENCY), "--attempts", "1", "--max-failures", "3")
    running = cli.start("apply", "--yes", *limits, "--format", "json")
    wait_until(lambda: sandbox.plug.requests >= before + CONCURRENCY, "PUTs under way")
    if stop:
        running.process.send_signal(stop)
    ran = running.finish()
    assert ran.code == (130 if stop else 1)
    sent = sandbox.plug.requests - before
    # max_failures: a slot that became free before the third failure was counted may have been used again.
    assert CONCURRENCY <= sent <= 2 * CONCURRENCY
    begun = {name for name, outcome in ran.outcomes.items() if outcome != "skipped"}
    assert len(begun) == sent
    assert names() == begun
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0, failure_rate=0.0)
    cli.run("apply", "--yes", code=0)
    assert sandbox.plug.requests - before == len(NAMES) + (0 if stop else sent)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}


def test_a_killed_fleet_keeps_to_concurrency_and_repeats_one_put_each(cli: Cli, sandbox: Sandbox) -> None:
    """During PUTs as many further intents are written, but no further PUTs; after kill -9 all converges."""
    cli.fleet(*NAMES)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.0)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--concurrency", str(CONCURRENCY))
    wait_until(lambda: len(cli.state_bytes()) >= 2 * CONCURRENCY, "intents ahead")
    assert sandbox.plug.requests - before <= CONCURRENCY
    wait_until(lambda: sandbox.plug.requests >= before + CONCURRENCY + 1, "the second round")
    running.process.kill()
    running.process.communicate()
    sent = sandbox.plug.requests - before
    assert sent <= 2 * CONCURRENCY
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    left = {name for name in NAMES if f"{name}.json" in cli.state_bytes() and cli.document(name)["intent"]}
    assert len(left) <= 3 * CONCURRENCY
    outcomes = cli.run("apply", "--yes", "--max-failures", "1000", "--format", "json", code=4).outcomes
    assert {name for name, outcome in outcomes.items() if outcome == "locked"} == left
    for name in left:
        cli.run("state", "unlock", name, "--yes", code=0)
    cli.run("apply", "--yes", code=0)
    assert all(cli.puts(name) <= 2 and cli.held(name) == cli.desired(name) for name in NAMES)
