"""The example in each command's help works as it is typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from reconciler.cli.main import cli as top
from tests.acceptance.conftest import Cli

ELSEWHERE = {
    "demo": "test_story.py runs it",
    "sandbox": "a server in the background: tests/unit/sandbox",
    "check": "calls receivers on the network: test_check.py has them on loopback",
    "state copy": "needs a git remote: test_git_state.py",
}
ASKS = ("apply", "state adopt", "state forget", "state unlock")


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command and group below, with the words that call it."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, (*path, name))


def examples_of(command: click.Command) -> list[str]:
    """The lines below "Example:", joined where one goes on, comments left out."""
    shown = command.get_help(click.Context(command)).partition("Example:\n")[2]
    block = shown.partition("\n\n")[0].replace("\\\n", " ")
    return [line.strip() for line in block.split("\n") if line.strip() and not line.strip().startswith("#")]


COMMANDS = dict(walk(top))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_of_its_own_command(name: str) -> None:
    """A group's is of one of its commands."""
    examples = examples_of(COMMANDS[name])
    assert examples
    assert any(f"reconciler {name}" in line for line in examples)


@pytest.mark.parametrize("name", [name for name in COMMANDS if not isinstance(COMMANDS[name], click.Group)])
def test_the_options_of_every_example_exist(name: str) -> None:
    """Also of those that can't be run here."""
    known = {option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
    for line in examples_of(COMMANDS[name]):
        _, found, rest = line.partition(f"reconciler {name} ")
        own = rest.split("&&")[0].split(";")[0].split("|")[0].split(">")[0]
        used = {word for word in own.split() if found and word.startswith("-") and word != "--"}
        assert used <= known | {"--help"}, line


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in ELSEWHERE and not name.startswith(("github", "state copy"))]
)
def test_every_example_works_as_typed(cli: Cli, name: str) -> None:
    """In a folder with such environments; what asks gets its --yes, as there is no terminal here."""
    cli.fleet("production", "staging", "staging-2", "cliente-antigo", "cliente-novo")
    cli.run("apply", "--yes", code=0)
    program = cli.write("bin/reconciler", f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n')
    program.chmod(0o755)
    environ = {**cli.environ, "PATH": f"{program.parent}:{cli.environ['PATH']}"}
    for line in examples_of(COMMANDS[name]):
        if "jq" in line and shutil.which("jq") is None:
            continue
        if "reconciler check" in line:
            continue  # as above
        asks = name in ASKS and "--yes" not in line
        ran = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", f"{line} --yes" if asks else line],
            cwd=cli.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, (line, ran.stderr)
