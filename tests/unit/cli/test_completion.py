"""Completion at the Tab key: files, folders and environments, without any request over the network."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete

from reconciler.cli.held import HeldSession
from reconciler.cli.main import cli as program
from reconciler.cli.session import Session
from tests.acceptance.conftest import Cli

NOWHERE = click.Context(program)


def test_a_remote_state_is_not_read(cli: Cli) -> None:
    """A remote is too slow for the Tab key; the manifests' names are offered."""
    cli.fleet("loja", "matriz")
    cli.environ["RECONCILER_STATE"] = "git:nowhere/state"
    session = Session(environ=cli.environ, folder=cli.folder)
    shell = ShellComplete(program, {"obj": HeldSession(session)}, "reconciler", "_RECONCILER_COMPLETE")
    assert [one.value for one in shell.get_completions(["state", "forget"], "")] == ["loja", "matriz"]
    assert [one.value for one in shell.get_completions(["plan", "-e"], "l")] == ["loja"]


def complete(cli: Cli, *words: str) -> list[tuple[str, str]]:
    """Return the value and the type of each proposal for the last word."""
    held = HeldSession(Session(environ=cli.environ, folder=cli.folder))
    shell = ShellComplete(program, {"obj": held}, "reconciler", "_COMPLETE")
    return [(one.value, one.type) for one in shell.get_completions(list(words[:-1]), words[-1])]


def every_parameter(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Parameter]]:
    """Yield all parameters of a command and of its subcommands, each with the words of its command."""
    for one in command.params:
        yield " ".join((*path, one.human_readable_name)), one
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every_parameter(inner, (*path, name))


PARAMETERS = dict(every_parameter(program))
KINDS = {
    **dict.fromkeys(("FILE", "PLANFILE", "RESULT", "PLAN"), "file"),
    **dict.fromkeys(("DIR", "[DIR]", "FOLDER", "STORE", "FROM", "TO"), "dir"),
}


@pytest.mark.parametrize("name", [name for name, one in PARAMETERS.items() if one.make_metavar(NOWHERE) in KINDS])
def test_the_shell_completes_files_and_folders(name: str) -> None:
    """Each option and argument that names one is completed, in every command."""
    one = PARAMETERS[name]
    context = click.Context(program, resilient_parsing=True)
    offered = [(item.value, item.type) for item in one.shell_complete(context, "no")]
    assert offered == [("no", KINDS[one.make_metavar(NOWHERE)])]


def test_an_accepted_account_change_is_completed_with_environments(cli: Cli) -> None:
    """The names are those of the manifests, as for -e."""
    cli.fleet("loja", "matriz")
    assert complete(cli, "apply", "--accept-account-change", "m") == [("matriz", "plain")]


def test_the_file_of_a_format_is_offered(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """First come the formats, then the entries of the folder; a missing folder has none."""
    monkeypatch.chdir(cli.folder)
    cli.write("out/plan.json", "{}")
    cli.write("out/sub/plan.md", "")
    assert complete(cli, "state", "list", "--also", "j") == [("json=", "plain")]
    assert complete(cli, "plan", "--also", "json=ou") == [("json=out/", "plain")]
    assert complete(cli, "plan", "--also", "json=out/") == [("json=out/plan.json", "plain"), ("json=out/sub/", "plain")]
    assert complete(cli, "plan", "--also", "json=nowhere/") == []
