"""Any command as a step of the user's own workflow: the action's input `command`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_result
from reconciler.cli.options import SUMMARY
from reconciler.cli.session import GivenFiles
from reconciler.cli.step import Step
from reconciler.formats.runner import make_outputs
from reconciler.io.files import is_file, read_regular

MAX_SUMMARY_FILE_BYTES = 16 * 1024 * 1024


def make_work(words: Sequence[str]) -> Callable[[Step], int]:
    """Return the step's work for the command with these words."""
    return lambda step: _run(step, words)


def _run(step: Step, words: Sequence[str]) -> int:
    """Run the command within this process, so that signals reach it. Raises what the command raises."""
    from reconciler.cli.held import HeldSession
    from reconciler.cli.main import cli

    step.name = step.environ.get("GITHUB_JOB") or words[0]
    given = step.take_secrets(step.take_tokens(GivenFiles()))
    given.refuse_unreadable()
    session = step.make_session(given_files=given)
    step.mask_secrets(session)
    folder = step.result_folder
    arguments = _add_also(cli, words, folder)
    try:
        code = cli.main(args=arguments, prog_name="reconciler", standalone_mode=False, obj=HeldSession(session))
    finally:
        _collect(step, folder)
    return int(code) if isinstance(code, int) else ExitCode.DONE


def _add_also(program: click.Group, words: Sequence[str], folder: Path) -> list[str]:
    """Return the words with `--also` for the formats that the command has; none for a command without a result.

    It comes right after the command's name: after `--` it would not be an option.
    """
    command: click.Command | None = program
    names = 0
    while isinstance(command, click.Group) and names < len(words):
        command = command.get_command(click.Context(command), words[names])
        names += 1
    form = next((one.type for one in command.params if one.name == "form"), None) if command else None
    if not isinstance(form, click.Choice):
        return [*words]
    files = {"json": "result.json"}
    if "markdown" in form.choices:
        files |= {"markdown": "result.md", SUMMARY: "summary.md"}
    also = [word for name, file in files.items() for word in ("--also", f"{name}={folder / file}")]
    return [*words[:names], *also, *words[names:]]


def _collect(step: Step, folder: Path) -> None:
    """Make the outputs and the summary from the files that the command wrote."""
    step.restart_summary()
    if is_file(folder / "result.json"):
        for name, value in make_outputs(read_result(folder / "result.json")).items():
            step.output(name, value)
    if is_file(folder / "summary.md"):
        step.summarize(read_regular(folder / "summary.md", MAX_SUMMARY_FILE_BYTES).decode())
