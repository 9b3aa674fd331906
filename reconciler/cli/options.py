"""Options that commands share, and the settings' flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from reconciler.setting_flags import SETTING_FLAGS, SettingFlag

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("text", "json", "markdown")
_PREFIX = "setting_"


def environments_option(command: Command) -> Command:
    return click.option(
        "-e",
        "--environment",
        "globs",
        multiple=True,
        metavar="GLOB",
        help="Only environments whose name matches; repeatable.",
    )(command)


def format_option(command: Command) -> Command:
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="How the result is shown.",
    )(command)


def yes_option(command: Command) -> Command:
    return click.option("--yes", "-y", is_flag=True, help="Don't ask. Needed where there is no terminal.")(command)


def _parameter(flag: SettingFlag) -> str:
    return _PREFIX + flag.path.replace(".", "__")


def settings_options(command: Command) -> Command:
    """Every setting as a flag of its name. Unset flags stay None and leave the setting to its other sources."""
    for flag in reversed(SETTING_FLAGS):
        name = f"{flag.name}/{flag.name.replace('--', '--no-', 1)}" if flag.is_bool else flag.name
        options: dict[str, Any] = {"help": flag.help, "default": None}
        if not flag.is_bool:
            options["metavar"] = flag.metavar
        command = click.option(name, _parameter(flag), **options)(command)
    return command


def take_settings_flags(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, by the path of their setting."""
    paths = {_parameter(flag): flag.path for flag in SETTING_FLAGS}
    return {paths[name]: value for name, value in parameters.items() if name in paths and value is not None}
