"""The help of a command, and the proposal for a mistyped one (docs/contract.md#commands)."""

from __future__ import annotations

import click
import pytest

from reconciler.cli.commands import CommandGroup, SettingsCommand
from reconciler.cli.main import COMMANDS, PROPOSED, cli, run
from reconciler.cli.setting_parameters import is_settings_flag
from reconciler.settings.flags import SETTING_FLAGS

READS = {  # every command that may be proposed, by group
    "": {"validate", "show", "plan", "drift", "check", "state", "report", "doctor", "schema", "sandbox", "demo"},
    "state": {"list", "show", "history"},
    "github": set(),
    "github run": set(),
}


def find(*path: str) -> click.Command:
    command: click.Command = cli
    for word in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return command


def help_of(*path: str, columns: int = 80) -> str:
    """Return the help in a terminal of `columns` columns."""
    command = find(*path)
    context = click.Context(command, info_name=path[-1], terminal_width=columns - 2)
    return command.get_help(context)


def test_the_options_of_the_command_come_before_the_settings() -> None:
    """A reader finds the command's own options on the first screen."""
    own, _, settings = help_of("plan").partition("\nSettings:\n")
    assert [name for name in ("--out", "--format", "--verbose", "--help") if name not in own] == []
    assert [flag.name for flag in SETTING_FLAGS if f"{flag.name} " in own] == []
    assert "Example:" in own
    assert "--state STORE                 Where the state is kept. [.reconciler/state]\n" in settings


def test_each_setting_is_one_line_of_eighty_columns() -> None:
    """The line has the default, and is not longer than the terminal."""
    _, _, settings = help_of("state", "forget").partition("\nSettings:\n")
    rows, _, _ = settings.partition("\n\n")
    assert len(rows.splitlines()) == len(SETTING_FLAGS)
    assert max(map(len, help_of("plan").splitlines())) <= 80


def test_a_command_without_settings_has_no_heading_for_them() -> None:
    """The section would be empty."""
    assert "Settings:" not in help_of("schema")


@pytest.mark.parametrize("path", [(name,) for name in COMMANDS] + [("state", "adopt"), ("state", "copy")])
def test_every_command_with_settings_shows_them_apart(path: tuple[str, ...]) -> None:
    """A command of another class would show three screens of settings."""
    command = find(*path)
    if any(is_settings_flag(one.name or "") for one in command.params):
        assert isinstance(command, SettingsCommand)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lint",), "unknown command 'lint'; did you mean validate?"),
        (("valdate",), "unknown command 'valdate'; did you mean validate?"),
        (("aply",), "unknown command 'aply'; `reconciler --help` lists the commands"),
        (("innit",), "unknown command 'innit'; `reconciler --help` lists the commands"),
        (("state", "lst"), "unknown command 'lst'; did you mean list?"),
        (("state", "forgit"), "unknown command 'forgit'; `reconciler state --help` lists the commands"),
        (("state", "coppy"), "unknown command 'coppy'; `reconciler state --help` lists the commands"),
        (("github", "coment"), "unknown command 'coment'; `reconciler github --help` lists the commands"),
        (("zzz",), "unknown command 'zzz'; `reconciler --help` lists the commands"),
    ],
)
def test_no_writing_command_is_proposed_for_a_typo(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user types the proposed word."""
    assert run(words) == 3
    assert capsys.readouterr().err.splitlines()[0] == f"error: {said}"


@pytest.mark.parametrize("path", READS)
def test_only_commands_that_read_are_proposed(path: str) -> None:
    """The list is repeated here, so that each new proposal is a decision."""
    group = find(*path.split())
    assert isinstance(group, CommandGroup)
    assert set(group.proposed) == READS[path]
    assert set(PROPOSED) == READS[""]
