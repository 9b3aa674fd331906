from __future__ import annotations

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.completion import complete_environments
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import Form, environments_option, plain_format_option, settings_options
from reconciler.cli.render import show_environment
from reconciler.cli.session import Session
from reconciler.core.selection import find_near_environment, select
from reconciler.errors import InputError, InvalidManifests


@click.command(cls=SettingsCommand)
@click.argument("environment", metavar="ENV", shell_complete=complete_environments)
@plain_format_option
@environments_option
@settings_options
def show(session: Session, environment: str, form: Form, globs: tuple[str, ...]) -> int:
    """Show one environment, and where each value came from.

    That is the file and line of the manifest or of a _defaults.yaml, or the setting. Offline; needs no token and no
    state. A secret is shown as {secret:NAME}.

    \b
    Example:
      reconciler show production
      reconciler show production --format json | jq '.webhooks[] | {event, url, file, line}'
    """
    from reconciler.manifests.trace import trace_environment

    select(globs, [environment])
    tree = session.load_manifests(keep=environment)
    if tree.errors:
        raise InvalidManifests(problems=tree.errors)
    desired = next((one for one in tree.desired if one.environment == environment), None)
    if desired is None or tree.kept is None:
        raise InputError.of(
            "ENV", f"unknown environment {environment!r}", find_near_environment(environment, tree.names)
        )
    show_environment(trace_environment(tree.kept, desired, session.find_setting), form, session)
    return ExitCode.DONE
