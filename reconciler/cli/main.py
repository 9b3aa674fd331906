"""The command line's frame: which commands there are, and which exit code each end of one means (CONTRACT §4)."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Sequence

import click

from reconciler import __version__
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, say_problems, tell_unshown
from reconciler.cli.session import Session
from reconciler.errors import Declined, InputError, OutputFailed, PostFailed, StateError
from reconciler.text.escape import for_terminal

# command -> the module in this folder that holds it; loaded when asked for, as each pulls its own weight in
COMMANDS = {
    "validate": "validate",
    "plan": "plan",
    "apply": "apply",
    "drift": "drift",
    "check": "check",
    "state": "state",
    "report": "report",
    "schema": "schema",
    "init": "init",
    "sandbox": "sandbox",
    "demo": "demo",
    "github": "github",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            import difflib  # late: only who mistyped needs it

            if near := difflib.get_close_matches(cmd_name, COMMANDS, n=1):
                ctx.fail(f"there is no command {cmd_name!r}: did you mean {near[0]}?")
            return None
        module = importlib.import_module(f"reconciler.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  reconciler demo\n  reconciler validate && reconciler plan\n  reconciler apply",
)
@click.version_option(__version__, message="reconciler %(version)s")
def cli() -> None:
    """Keeps the webhook URLs of Plug Chat companies under version control."""


def run(arguments: Sequence[str], *, obj: object = None) -> int:
    """Runs one command and returns its exit code. `obj` is the Session of a caller in this process (the demo)."""
    try:
        session = obj if isinstance(obj, Session) else Session()
    except InputError as error:
        say_problems(error)
        return ExitCode.INVALID_INPUT
    try:
        code = cli.main(args=list(arguments), prog_name="reconciler", standalone_mode=False, obj=obj)
        return int(code) if isinstance(code, int) else ExitCode.DONE
    except OutputFailed as error:
        tell_unshown(error)
        return ExitCode.NOT_APPLIED
    except (click.Abort, KeyboardInterrupt):
        say("interrupted: nothing further was done")
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return ExitCode.INVALID_INPUT
    except click.ClickException as error:
        # click exits with 2 here; in this program 2 means changes or drift
        _say_usage(error)
        return ExitCode.INVALID_INPUT
    except InputError as error:
        say_problems(error)
        _annotate(error, session)
        return ExitCode.INVALID_INPUT
    except StateError as error:
        say("\n".join(for_terminal(line) for line in str(error).split("\n")), label="error")
        _annotate(error, session)
        return ExitCode.STATE_TROUBLE
    except Declined as error:
        say(for_terminal(str(error)))
        return ExitCode.NOT_APPLIED
    except PostFailed as error:
        say(for_terminal(str(error)), label="error")
        _annotate(error, session)
        return ExitCode.NOT_APPLIED
    except Exception as error:  # noqa: BLE001 - the only one: a fault of ours must not end as a dump of values
        _say_internal(error)
        return ExitCode.NOT_APPLIED


def _annotate(error: Exception, session: Session) -> None:
    from reconciler.cli.annotations import annotate_error, wants_annotations

    if wants_annotations(session.environ):
        annotate_error(error, session)


def _say_usage(error: click.ClickException) -> None:
    say(for_terminal(error.format_message()), label="error")
    context = getattr(error, "ctx", None)
    if context is not None:
        say(f"try `{for_terminal(context.command_path)} --help`")


def _say_internal(error: Exception) -> None:
    """Where it happened, but none of the values: a message or a frame may hold a token."""
    say(f"internal error: {type(error).__name__}. Nothing is known to be wrong with your input.", label="error")
    for frame in traceback.extract_tb(error.__traceback__)[-8:]:
        say(f"  at {for_terminal(frame.filename)}:{frame.lineno} in {frame.name}")
    say("Please report these lines. A started apply left its intents, so the next one repairs what it left open.")
