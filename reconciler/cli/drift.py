from __future__ import annotations

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import of_drift
from reconciler.cli.options import Form, Selection, format_option, observe_option, selection_options, settings_options
from reconciler.cli.output import warn
from reconciler.cli.render import show_drift
from reconciler.cli.session import Session
from reconciler.core.planner import describe_future_records
from reconciler.run.fleet_drift import find_all_drift
from reconciler.run.planning import PlanScope


@click.command(cls=SettingsCommand)
@observe_option
@format_option
@selection_options
@settings_options
def drift(session: Session, observe: bool, form: Form, selection: Selection) -> int:
    """Report every difference between manifests and state.

    With --observe, also those from what Plug holds. Exits 2 when there is drift, 1 when a read of --observe failed.
    Accounts and secrets are compared where the token or secret is available.

    \b
    Example:
      reconciler drift
      reconciler drift --observe
      reconciler drift --format json -e 'production*'
    """
    session.begin_reading_state()
    planned = session.plan(PlanScope(selection.globs, selection.shard, session.live_reads(wanted=observe)))
    found = find_all_drift(planned, session.credentials, token_warning_s=session.settings.token_warning)
    for warning in describe_future_records(planned.desired, planned.heads, planned.plan.created_at):
        warn(warning)
    show_drift(found, planned, form, session)
    return of_drift(found)
