from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import environments_option, settings_options
from reconciler.cli.output import is_terminal, say, wants_colour, write
from reconciler.cli.session import Session
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.io.files import is_file, is_folder
from reconciler.io.temporary import TemporaryFolder
from reconciler.model import Desired

if TYPE_CHECKING:
    from reconciler.sandbox.story import StoryPart

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TERM", "NO_COLOR", "USER", "LOGNAME", "COLUMNS")


@click.command(cls=SettingsCommand)
@click.option("--pause", is_flag=True, help="Wait for Enter before each further step.")
@environments_option
@settings_options
def demo(session: Session, globs: tuple[str, ...], pause: bool) -> int:
    """Show the whole story against a stand-in Plug on this machine.

    Copies your manifests to a temporary folder, and uses base URLs of the sandbox and made-up tokens and secrets.
    Your state, your tokens and Plug itself are not touched. The page of the fleet is kept, and its place is printed.

    \b
    Example:
      reconciler demo
      reconciler demo -e 'staging*'
    """
    if pause and not is_terminal(sys.stdin):
        raise click.UsageError("--pause waits for Enter, and the input is not a terminal: leave it out")
    source = session.folder / session.settings.manifests
    if not session.tree.names:
        raise InputError(problems=session.tree.errors)
    selected = select(globs, session.tree.names)
    desired = [one for one in session.desired if one.environment in selected]
    # the path within the folder of manifests, for the copy, because the user's own files are never changed
    edited = (session.folder / desired[0].source.file).relative_to(source)
    with TemporaryFolder("reconciler-demo-") as folder:
        copy_manifests(source, Path(folder) / "manifests")
        with contextlib.chdir(folder):  # so that messages show manifests/staging.yaml, as in the user's own folder
            return _run_story(desired, edited, globs, session, wait=_wait_for_enter if pause else lambda: None)


def copy_manifests(source: Path, target: Path) -> None:
    """Copy the folder of manifests, without pipes, devices and broken links. Raises: InputError."""

    def find_others(folder: str, names: list[str]) -> list[str]:
        paths = ((name, Path(folder, name)) for name in names)
        return [name for name, path in paths if not is_file(path) and not is_folder(path)]

    try:
        shutil.copytree(source, target, ignore=find_others)
    except OSError as error:
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise InputError.of("manifests", f"{source} can't be copied: {reason}", "make it readable") from error


def _run_story(
    desired: Sequence[Desired], manifest: Path, globs: Sequence[str], outer: Session, wait: Callable[[], None]
) -> int:
    """Run the story. `manifest` is the first environment's file, relative to the folder of manifests.

    `globs` select the environments, if not all take part. `wait` is called before each further step.
    """
    from reconciler.cli.main import run
    from reconciler.sandbox.server import serve_in_thread
    from reconciler.sandbox.story import PAGE, Story, StoryInterrupted, StoryWentWrong, make_up

    environ = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | make_up(desired)
    # otherwise a checkout around the temporary folder would add its settings and its state
    environ["GIT_CEILING_DIRECTORIES"] = str(Path.cwd().parent)
    with serve_in_thread() as sandbox:
        # quiet, because the example hosts are reserved ones, and every command would warn about them again
        inner = Session(environ, Path.cwd(), {"attempts": "2"}, sandbox.base_url, quiet=True, log=outer.log)
        story = Story(
            folder=inner.folder,
            environ=environ,
            sandbox=sandbox,
            edited=desired[0],
            manifest=manifest,
            globs=globs,
            run=lambda arguments: run(arguments, obj=inner),
            write=_write,
            wait=wait,
        )
        try:
            story.tell()
        except StoryInterrupted:
            return ExitCode.INTERRUPTED
        except StoryWentWrong as wrong:
            say(f"the demo went wrong: {wrong}", label="error")
            return ExitCode.NOT_APPLIED
    story.end(_keep_page(inner.folder / PAGE))
    return ExitCode.DONE


def _keep_page(page: Path) -> Path:
    """Copy the page from the story's folder, which is removed, into a new temporary folder; return its path."""
    folder = tempfile.mkdtemp(prefix="reconciler-demo-page-", dir=page.parent.parent)
    return Path(shutil.copy(page, folder))


def _wait_for_enter() -> None:
    click.prompt("Press Enter to continue", default="", show_default=False, prompt_suffix=" … ", err=True)


def _write(text: str, style: StoryPart) -> None:
    from reconciler.sandbox.story import StoryPart

    looks: dict[StoryPart, dict[str, Any]] = {
        StoryPart.TITLE: {"bold": True},
        StoryPart.COMMAND: {"fg": "cyan"},
        StoryPart.ENDED: {"dim": True},
        StoryPart.TEXT: {},
    }
    before = "\n" if style is StoryPart.TITLE else ""
    shown = click.style(text, **looks[style]) if wants_colour(sys.stdout, os.environ) else text
    write(f"{before}{shown}\n")
