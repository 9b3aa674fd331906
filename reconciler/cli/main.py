"""The frame of all commands: their list, and the exit code of each error (docs/contract.md#commands)."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from reconciler import __version__
from reconciler.cli.commands import CommandGroup
from reconciler.cli.exitcode import ExitCode, of_error
from reconciler.cli.held import HeldSession
from reconciler.cli.options import verbose_option
from reconciler.cli.output import report_unwritten, say, say_lines, say_problems
from reconciler.errors import Declined, InputError, OutputFailed, PostFailed, StateError
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from reconciler.cli.session import Session

# the address for reports of a fault of this program
REPORT_TO = "the maintainers of reconciler"
SHOWN_FRAMES = 8  # the last calls before an internal error; -vv shows all

# Command -> the first sentence of its help. Its module in this folder has the command's name, and is imported when the
# command is used: all modules together take longer than a plan, and `--help` and the Tab key only need this table.
COMMANDS = {
    "validate": "Check manifests, settings and policy.",
    "show": "Show one environment, and where each value came from.",
    "plan": "Show what `apply` would do, and why.",
    "apply": "Put the desired webhooks, or do exactly a saved plan.",
    "drift": "Report every difference between manifests and state.",
    "check": "Call each receiver with the documented example bodies.",
    "state": "Read the applied state, and correct it by hand.",
    "report": "Show the fleet on one HTML page.",
    "doctor": "Show what is set up, and what is missing.",
    "schema": "Print the JSON Schema (2020-12) of a manifest, for editors.",
    "init": "Write a starting tree: manifests, settings, workflows.",
    "import": "Write manifests for companies that exist.",
    "sandbox": "Serve a stand-in for Plug on loopback, to try things out.",
    "demo": "Show the whole story against a stand-in Plug on this machine.",
    "github": "Set up a repository on GitHub; the steps of its workflows.",
}


# the commands that are proposed for a mistyped one, without those that send or write
PROPOSED = ("validate", "show", "plan", "drift", "check", "state", "report", "doctor", "schema", "sandbox", "demo")


class LazyGroup(CommandGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        is_keyword = keyword.iskeyword(cmd_name)  # no module can be called `import`
        module = importlib.import_module(f"reconciler.cli.{cmd_name}s" if is_keyword else f"reconciler.cli.{cmd_name}")
        command = getattr(module, f"{cmd_name}_" if is_keyword else cmd_name)
        assert isinstance(command, click.Command)
        verbose_option(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # late: only the Tab key needs it

        options = click.Command.shell_complete(self, ctx, incomplete)
        named = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *options]


@click.group(
    cls=LazyGroup,
    proposed=PROPOSED,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  reconciler demo\n  reconciler validate && reconciler plan\n  reconciler apply",
)
@click.version_option(__version__, message="reconciler %(version)s")
def cli() -> None:
    """Keeps the webhook URLs of Plug Chat companies under version control."""


verbose_option(cli)


def run(arguments: Sequence[str], *, obj: Session | None = None) -> int:
    """Run one command and return its exit code. `obj` is the session of a caller in this process (the demo)."""
    held = HeldSession(obj)
    try:
        return _run(arguments, held)
    finally:
        held.close()


def _run(arguments: Sequence[str], held: HeldSession) -> int:
    try:
        code = cli.main(args=list(arguments), prog_name="reconciler", standalone_mode=False, obj=held)
        return int(code) if isinstance(code, int) else ExitCode.DONE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the only one: our own faults must not print values
        _report(error, held.made or held.given)
        return of_error(error)


def _report(error: BaseException, session: Session | None) -> None:
    """Report the error that ended a command. `session` is None if the command did not need the session of this run."""
    match error:
        case OutputFailed():
            report_unwritten(error)
        case click.Abort() | KeyboardInterrupt():
            say("interrupted: nothing further was done")
        case click.exceptions.NoArgsIsHelpError():
            say(error.format_message())
        case click.ClickException():
            _say_usage(error)
        case Declined():
            say(for_terminal(str(error)))
        case InputError():
            say_problems(error)
            _annotate(error, session)
        case StateError():
            say_lines(str(error), label="error")
            _annotate(error, session)
        case PostFailed():
            say(for_terminal(str(error)), label="error")
            _annotate(error, session)
        case _:
            log = None if session is None else session.log
            _say_internal(error, whole=log is not None and log.verbosity > 1)


def _annotate(error: Exception, session: Session | None) -> None:
    from reconciler.cli.annotations import annotate_error
    from reconciler.cli.session import Session

    with suppress(InputError):  # without a working directory there is no file to point at
        annotate_error(error, session or Session())  # a step of a workflow has sessions of its own


def _say_usage(error: click.ClickException) -> None:
    say(for_terminal(error.format_message()), label="error")
    context = getattr(error, "ctx", None)
    if context is not None:
        say(f"try `{for_terminal(context.command_path)} --help`")


def _say_internal(error: BaseException, *, whole: bool) -> None:
    """Report the place of an internal error without any value, because a message or a frame may hold a token.

    With `whole`, all calls are shown, and those of the errors that caused it.
    """
    say(f"internal error: {type(error).__name__}. Nothing is known to be wrong with your input.", label="error")
    for line in _frames(error, None if whole else SHOWN_FRAMES):
        say(line)
    for cause in _causes(error) if whole else ():
        say(f"caused by {type(cause).__name__}")
        for line in _frames(cause, None):
            say(line)
    more = "" if whole else " Run the command again with -vv for all of them."
    say(
        f"Report it to {REPORT_TO}, with these lines and the version {__version__}.{more} "
        "An apply that had begun left its intents, so the next apply repairs what it left open."
    )


def _frames(error: BaseException, limit: int | None) -> Iterator[str]:
    import traceback  # late: few runs need it

    for frame in traceback.extract_tb(error.__traceback__)[-limit if limit else None :]:
        yield f"  at {for_terminal(frame.filename)}:{frame.lineno} in {frame.name}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that caused this one, the nearest first, each once: a chain may be a circle."""
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
