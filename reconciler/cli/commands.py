"""The classes of commands and groups: settings are apart in the help, and no writing command is proposed for a typo."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click

from reconciler.cli.setting_parameters import is_settings_flag
from reconciler.settings.flags import SETTING_FLAGS, SettingFlag

# The words of other programs, and the command that they mean here.
USUAL_ELSEWHERE = {"lint": "validate", "verify": "validate", "diff": "plan", "preview": "plan"}

_FORMS = (
    "STORE: a folder, git:REMOTE/BRANCH, or s3://, gs://, az://. DURATION: seconds, or such as 90s, 15m, 12h, 7d. "
    "HOSTS: comma separated. Each can also be set in reconciler.toml, or by a variable: --api-body is "
    "RECONCILER_API__BODY."
)


class SettingsCommand(click.Command):
    """A command whose help shows its own options first, and below them the settings, with their defaults."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        parameters = self.get_params(ctx)
        own = [one for one in parameters if not is_settings_flag(one.name or "")]
        records = [one.get_help_record(ctx) for one in own if isinstance(one, click.Option)]
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])
        if len(own) < len(parameters):
            with formatter.section("Settings"):
                formatter.write_dl([_describe(flag) for flag in SETTING_FLAGS])
                formatter.write_paragraph()
                formatter.write_text(_FORMS)


def _describe(flag: SettingFlag) -> tuple[str, str]:
    name = flag.name.replace("--", "--[no-]", 1) if flag.is_bool else f"{flag.name} {flag.metavar}"
    return name, f"{flag.help} [{flag.default}]" if flag.default else flag.help


class CommandGroup(click.Group):
    """A group of commands. For a typo it proposes only the commands in `proposed`, which write nothing."""

    command_class = SettingsCommand

    def __init__(self, *arguments: Any, proposed: Collection[str], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.proposed = proposed

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if not ctx.resilient_parsing and not word.startswith("-") and self.get_command(ctx, word) is None:
            import difflib  # late: only a mistyped command needs it

            usual = [name for name in (USUAL_ELSEWHERE.get(word),) if name in self.proposed]
            near = usual or difflib.get_close_matches(word, self.proposed, n=1)
            if near:
                ctx.fail(f"unknown command {word!r}; did you mean {near[0]}?")
            # without the context, which would add the same advice once more
            raise click.UsageError(f"unknown command {word!r}; `{ctx.command_path} --help` lists the commands")
        return super().resolve_command(ctx, args)
