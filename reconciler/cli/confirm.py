"""The question before something is written (docs/contract.md#commands)."""

from __future__ import annotations

import sys

import click

from reconciler.cli.output import fit_terminal, is_terminal, write_aside
from reconciler.errors import Declined, InputError


def confirm(question: str, *, yes: bool) -> None:
    """Ask, and return if the answer is yes. Raises Declined, or InputError if there is no terminal."""
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise InputError.of("--yes", "there is no terminal to ask on", "add --yes to go ahead without a question")
    try:
        answered = click.confirm(fit_terminal(question, sys.stderr, spare=len(" [y/N]: ")), err=True)
    except click.Abort:
        write_aside("\n")  # so that the next message begins a new line
        raise
    if not answered:
        raise Declined("nothing was done")
