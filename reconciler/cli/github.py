"""The setup of a repository on GitHub, and the steps of its workflows."""

from __future__ import annotations

import click

from reconciler.cli.commands import CommandGroup
from reconciler.cli.github_run import run
from reconciler.cli.github_setup import setup_command
from reconciler.cli.github_tokens import split_command


@click.group(cls=CommandGroup, proposed=())
def github() -> None:
    """Set up a repository on GitHub; the steps of its workflows.

    You use `setup` and `tokens`. The workflows run all others, which need the runner's variables, and GITHUB_TOKEN
    where something is posted.

    \b
    Example:
      reconciler github setup > setup.sh
      reconciler github run review
    """


github.add_command(run)
github.add_command(setup_command)
github.add_command(split_command)
