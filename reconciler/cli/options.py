"""Options that commands share, and the settings' flags."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from reconciler.cli.completion import (
    complete_environments,
    complete_file_of_format,
    complete_files,
    complete_folders,
)
from reconciler.cli.held import hold, session_of
from reconciler.cli.setting_parameters import flag_parameter, is_settings_flag
from reconciler.settings.flags import SETTING_FLAGS

if TYPE_CHECKING:
    from reconciler.model import Shard

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("text", "json", "markdown")
RESULT_FORMATS = (*FORMATS, "github")  # for results that have annotations
SUMMARY = "summary"  # a format of --also: Markdown as long as the summary of a job may be
SUMMARY_CHARS = 900_000  # of a plan in it; GitHub takes a MiB from a step, which also has the reason of a failure
VERBOSE = "verbosity"
_COMPLETIONS = {"FILE": complete_files, "DIR": complete_folders, "STORE": complete_folders}


# Not structs: the import of msgspec would take a fifth of the time of `--help`.


class Form(NamedTuple):
    """The format of a result on stdout, and the files and formats of `--also`."""

    name: str = "text"
    also: tuple[tuple[str, str], ...] = ()  # format, file


class Selection(NamedTuple):
    """The environments that a command is about: `-e` and `--shard`."""

    globs: tuple[str, ...] = ()
    shard: Shard | None = None

    def __bool__(self) -> bool:
        return bool(self.globs or self.shard)


def gathered(kind: type[Any], into: str) -> Callable[[Command], Command]:
    """Pass the options that are fields of `kind` to the command as one parameter, `into`."""
    names = kind._fields

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(*arguments: Any, **parameters: Any) -> Any:
            given = {name: parameters.pop(name) for name in names}
            return command(*arguments, **{into: kind(**given)}, **parameters)

        return call  # type: ignore[return-value]

    return decorate


def file_option(*names: str, **more: Any) -> Callable[[Command], Command]:
    """Return an option that names a file, which the shell completes."""
    return click.option(*names, metavar="FILE", shell_complete=complete_files, **more)


def environments_option(command: Command) -> Command:
    return click.option(
        "-e",
        "--environment",
        "globs",
        multiple=True,
        metavar="GLOB",
        help="Only environments whose name matches; repeatable.",
        shell_complete=complete_environments,
    )(command)


def selection_options(command: Command) -> Command:
    """Add `-e` and `--shard`, as a `Selection` named `selection`."""
    return environments_option(_shard_option(gathered(Selection, "selection")(command)))


def _shard_option(command: Command) -> Command:
    def take(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Shard | None:
        if value is None:
            return None
        from reconciler.core.shard import parse_shard  # late: few runs are one of several shards

        try:
            return parse_shard(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from None

    return click.option(
        "--shard",
        metavar="I/N",
        callback=take,
        help="Only the I-th of N parts of the environments, split by a hash of the name: one for each of N jobs.",
    )(command)


def format_option(command: Command) -> Command:
    """Add `--format` for a result that has annotations, as a `Form` named `form`."""
    return _format_option(command, RESULT_FORMATS)


def state_format_option(command: Command) -> Command:
    """Add `--format` for a result without annotations, as a `Form` named `form`."""
    return _format_option(command, FORMATS)


def plain_format_option(command: Command) -> Command:
    """Add `--format` for a result that is only text or JSON, as a `Form` named `form`."""
    return _format_option(command, FORMATS[:2])


def _format_option(command: Command, formats: tuple[str, ...]) -> Command:
    """Add `--format` and `--also` as one value: `--also` is parsed first, and `--format` adds it."""
    file_formats = (*formats, SUMMARY) if "markdown" in formats else formats

    def take_also(context: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
        context.meta[__name__] = tuple(_parse_also(value, file_formats) for value in values)

    def take_format(context: click.Context, _: click.Parameter, name: str) -> Form:
        return Form(name, context.meta[__name__])

    command = click.option(
        "--also",
        multiple=True,
        metavar="FORMAT=FILE",
        shell_complete=lambda _context, _parameter, incomplete: complete_file_of_format(formats, incomplete),
        is_eager=True,
        expose_value=False,
        callback=take_also,
        help=f"Write the result to a file too, as {', '.join(file_formats)}; repeatable.",
    )(command)
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default="text",
        show_default=True,
        callback=take_format,
        help="How the result is shown.",
    )(command)


def _parse_also(value: str, formats: tuple[str, ...]) -> tuple[str, str]:
    form, separator, file = value.partition("=")
    if form not in formats or not separator or not file:
        raise click.BadParameter(f"{value!r}: write FORMAT=FILE, where FORMAT is {', '.join(formats)}")
    return form, file


def observe_option(command: Command) -> Command:
    return click.option(
        "--observe",
        is_flag=True,
        help="Also read what Plug holds, where account_id is set; needs the partner token.",
    )(command)


def yes_option(command: Command) -> Command:
    return click.option("--yes", "-y", is_flag=True, help="Don't ask. Needed where there is no terminal.")(command)


def settings_options(command: Command) -> Command:
    """Add every setting as a flag. The command gets a `session` with the given flags."""

    @functools.wraps(command)
    def call(**parameters: Any) -> Any:
        session = session_of(click.get_current_context(), parameters)
        kept = {name: value for name, value in parameters.items() if not is_settings_flag(name)}
        return command(session=session, **kept)

    wrapped: Any = call
    for flag in reversed(SETTING_FLAGS):
        name = f"{flag.name}/{flag.name.replace('--', '--no-', 1)}" if flag.is_bool else flag.name
        options: dict[str, Any] = {"help": flag.help, "default": None}
        if not flag.is_bool:
            options["metavar"] = flag.metavar
            options["shell_complete"] = _COMPLETIONS.get(flag.metavar)
        wrapped = click.option(name, flag_parameter(flag), **options)(wrapped)
    return wrapped  # type: ignore[no-any-return]


def verbose_option(command: click.Command) -> None:
    """Add `-v` to a command, or to a group and all its commands."""

    def take(context: click.Context, _parameter: click.Parameter, count: int) -> None:
        if count:
            _start_log(context, count)

    if any(parameter.name == VERBOSE for parameter in command.params):
        return
    command.params.append(
        click.Option(
            ["-v", "--verbose", VERBOSE],
            count=True,
            is_eager=True,
            expose_value=False,
            callback=take,
            help="Show each step on stderr; -vv shows more.",
        )
    )
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        verbose_option(inner)


def _start_log(context: click.Context, count: int) -> None:
    hold(context).get().start_log(count)
