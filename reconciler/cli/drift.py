from __future__ import annotations

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import of_drift
from reconciler.cli.options import Form, Selection, format_option, observe_option, selection_options, settings_options
from reconciler.cli.output import say
from reconciler.cli.render import show_drift
from reconciler.cli.session import Session
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
    from reconciler.text.counts import environments

    planned = session.plan(PlanScope(selection.globs, selection.shard, session.live_reads(wanted=observe)))
    result = find_all_drift(planned)
    show_drift(result.findings, form, session)
    if result.unchecked:
        count = environments(result.unchecked)
        say(f"{count}: account or secrets not compared, as their token or secret is not available")
    return of_drift(result.findings, failed=result.failed)
