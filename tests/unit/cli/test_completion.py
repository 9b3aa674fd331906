"""The Tab key where asking would cost a network."""

from __future__ import annotations

from click.shell_completion import ShellComplete

from reconciler.cli.main import cli as program
from reconciler.cli.session import Session
from tests.acceptance.conftest import Cli


def test_a_state_that_is_elsewhere_is_not_asked(cli: Cli) -> None:
    """Nobody waits for a remote at a key; the manifests' names are offered."""
    cli.fleet("loja", "matriz")
    cli.environ["RECONCILER_STATE"] = "git:nowhere/state"
    session = Session(environ=cli.environ, folder=cli.folder)
    shell = ShellComplete(program, {"obj": session}, "reconciler", "_RECONCILER_COMPLETE")
    assert [one.value for one in shell.get_completions(["state", "forget"], "")] == ["loja", "matriz"]
    assert [one.value for one in shell.get_completions(["plan", "-e"], "l")] == ["loja"]
