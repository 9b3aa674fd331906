"""The state is read while the manifests are read: which fault is reported, and when the store is closed."""

from __future__ import annotations

import threading

import pytest

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.errors import InputError
from reconciler.model import Snapshot
from reconciler.ports import Changes, Shrink, keep_head
from reconciler.run.planning import PlanScope
from tests.acceptance.conftest import Cli
from tests.memory_store import MemoryStore

COMMANDS = ["plan", "drift", "apply"]


class HeldStore(MemoryStore):
    """Counts the reads, and lets none end before the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.closed, self.reads = threading.Event(), threading.Event(), 0

    @property
    def is_remote(self) -> bool:
        return True

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        self.reads += 1
        assert self.gate.wait(60)
        assert not self.closed.is_set()
        return super().read_changes(since, shrink)

    def close(self) -> None:
        self.closed.set()


def make_session(cli: Cli, store: HeldStore) -> Session:
    session = Session(environ=cli.environ, folder=cli.folder)
    session.store = store
    return session


@pytest.mark.parametrize("command", COMMANDS)
def test_the_faults_of_manifests_come_before_those_of_the_state(
    command: str, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """This also holds if the setting `state` is invalid."""
    cli.fleet("loja")
    cli.state_folder.mkdir(parents=True)
    (cli.state_folder / "loja.json").write_text("{")
    assert run([command], obj=Session(environ=cli.environ, folder=cli.folder)) == 4
    cli.write("manifests/other.yaml", "wave: first\n")
    for state in (str(cli.state_folder), "S3://bucket/x"):
        capsys.readouterr()
        assert run([command, "--state", state], obj=Session(environ=cli.environ, folder=cli.folder)) == 3
        reported = capsys.readouterr().err
        assert "other.yaml" in reported
        assert "loja.json" not in reported
        assert "S3://" not in reported


def test_the_manifests_are_read_while_the_state_is_read(cli: Cli) -> None:
    """A later plan of the same command reads the state again."""
    cli.fleet("loja")
    store = HeldStore()
    session = make_session(cli, store)
    session.begin_reading_state()
    assert [one.environment for one in session.desired] == ["loja"]  # it would wait for ever for the state
    store.gate.set()
    assert len(session.plan(PlanScope()).plan.environments) == 1
    assert store.reads == 1
    session.plan(PlanScope())
    assert store.reads == 2


def test_the_store_is_closed_after_a_read_that_nothing_waits_for(cli: Cli) -> None:
    """A folder of git must not be removed under a fetch. The command does not wait for a store that is slow."""
    cli.fleet("loja")
    cli.write("manifests/other.yaml", "wave: first\n")
    store = HeldStore()
    session = make_session(cli, store)
    session.begin_reading_state()
    with pytest.raises(InputError):
        session.plan(PlanScope())
    session.close()
    assert not store.closed.is_set()
    store.gate.set()
    assert store.closed.wait(60)


def test_the_store_is_closed_at_once_if_its_read_was_used(cli: Cli) -> None:
    cli.fleet("loja")
    store = HeldStore()
    store.gate.set()
    session = make_session(cli, store)
    session.begin_reading_state()
    session.plan(PlanScope())
    session.close()
    assert store.closed.is_set()


def test_a_store_that_is_not_remote_is_read_after_the_manifests(cli: Cli) -> None:
    """Its read is work and no waiting, and webhooks that are applied are kept once only if the manifests are known."""
    cli.fleet("loja")
    session = Session(environ=cli.environ, folder=cli.folder)
    session.begin_reading_state()
    assert session.early_read is None


@pytest.mark.parametrize("remote", [False, True])
def test_applied_webhooks_that_are_wanted_are_kept_once(cli: Cli, remote: bool) -> None:
    cli.fleet("loja")
    cli.run("apply", "--yes", "--new-state")
    store = HeldStore()
    store.gate.set()
    store.documents["loja"] = (cli.state_folder / "loja.json").read_bytes()
    session = make_session(cli, store)
    if remote:
        session.begin_reading_state()
    (desired,) = session.desired
    head = session.plan(PlanScope()).heads["loja"]
    assert head.applied is not None
    assert head.applied.webhooks is desired.webhooks
