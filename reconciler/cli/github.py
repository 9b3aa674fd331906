"""Steps of the GitHub workflows. They are run by the workflows, not by people."""

from __future__ import annotations

import click

from reconciler.cli.commands import CommandGroup
from reconciler.cli.github_run import run


@click.group(cls=CommandGroup, proposed=())
def github() -> None:
    """Steps of the GitHub workflows, run by them and not by people.

    Needs the runner's variables, and GITHUB_TOKEN where something is posted.

    \b
    Example:
      reconciler github run review
    """


github.add_command(run)
