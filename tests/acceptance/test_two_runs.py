"""Two runs at the same time on one state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import TIMEOUT_S, Cli, Request, Wire, reply, wait_until

FLEET = tuple("abcdef")


def test_two_runs_with_different_manifests_leave_a_true_state(cli: Cli, sandbox: Sandbox) -> None:
    """Whichever run was last, a noop means that Plug holds it; one more apply converges."""
    cli.fleet(*FLEET)
    other = cli.beside("other")
    other.fleet()
    for name in FLEET:
        other.manifest(name, version="2")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.1)
    running = [one.start("apply", "--yes", "--concurrency", "2", "--format", "json") for one in (cli, other)]
    for one in running:
        assert one.finish().code in (0, 4)
    for checkout, version in ((cli, "1"), (other, "2")):
        for name, action in checkout.run("plan", "--format", "json", code=0).actions.items():
            if action == "noop":
                assert cli.held(name) == cli.desired(name, version)
    other.run("apply", "--yes", code=0)
    assert set(other.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
    for name in FLEET:
        assert cli.held(name) == cli.desired(name, "2")


@dataclass
class HeldPlug:
    """A Plug that keeps its first requests waiting until `release` is set, and then answers 200 to every request."""

    wire: Wire
    release: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request) -> bytes:
        self.release.wait(TIMEOUT_S)
        return reply()

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.wire.requests) >= count, f"{count} PUTs under way")


@pytest.fixture
def held(wire: Wire) -> Iterator[HeldPlug]:
    made = HeldPlug(wire)
    wire.answers = [made.answer]
    yield made
    made.release.set()


def test_locked_names_the_run_and_its_lease(cli: Cli, held: HeldPlug) -> None:
    """A run leaves the live intent of another alone, exits 4 and names the other; adopt and forget do so too."""
    ana = {"GITHUB_ACTOR": "ana-silva", "GITHUB_RUN_ID": "7788", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_SHA": "c0ffee"}
    first = cli.start("apply", "--yes", "--format", "json", env=ana)
    held.wait_for(1)
    intent = cli.document("loja")["intent"]
    assert intent["by"] == {"actor": "ana-silva", "commit": "c0ffee", "run": "7788/2"}

    second = cli.run("apply", "--yes", "--format", "json", code=4)
    one = second.json["environments"][0]
    assert (one["outcome"], one["attempts"]) == ("locked", 0)
    for word in ("ana-silva", "7788/2", intent["at"], intent["lease_until"]):
        assert word in one["message"]
    for command in ("adopt", "forget"):
        assert "ana-silva" in cli.run("state", command, "loja", "--yes", code=4).err
    plan = cli.run("plan", "--format", "json", code=0).json
    assert plan["environments"][0]["action"] == "create"
    assert any("ana-silva" in warning for warning in plan["warnings"])

    held.release.set()
    assert first.finish().outcomes == {"loja": "applied"}
    assert len(held.wire.requests) == 1


def test_a_run_whose_intent_was_removed_ends_in_doubt(cli: Cli, held: HeldPlug) -> None:
    """unlock and forget during a PUT make it uncertain with exit 4, and the next apply puts it again."""
    cli.fleet("loja", "matriz")
    running = cli.start("apply", "--yes", "--format", "json")
    held.wait_for(2)
    cli.run("state", "unlock", "loja", "--yes", code=0)
    cli.run("state", "unlock", "matriz", "--yes", code=0)
    cli.run("state", "forget", "matriz", "--yes", code=0)
    held.release.set()
    ran = running.finish()
    assert (ran.code, set(ran.outcomes.values())) == (4, {"uncertain"})
    for name in ("loja", "matriz"):
        document = cli.document(name)
        assert (document["applied"], document["intent"]["doubt"]) == (None, True)
    cli.run("apply", "--yes", code=0)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}


def test_a_locked_environment_counts_more_than_a_rejection(cli: Cli, held: HeldPlug) -> None:
    """One is locked and one rejected: exit 4."""
    cli.fleet("loja", "matriz")
    first = cli.start("apply", "--yes", "-e", "loja")
    held.wait_for(1)
    held.wire.answers = [reply(401)]
    ran = cli.run("apply", "--yes", "--format", "json", code=4)
    assert ran.outcomes == {"loja": "locked", "matriz": "rejected"}
    held.release.set()
    assert first.finish().code == 0
