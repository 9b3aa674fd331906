from __future__ import annotations

from typing import Any

import click

from reconciler.cli.exitcode import of_drift
from reconciler.cli.observing import reading_live
from reconciler.cli.options import (
    Form,
    environments_option,
    format_option,
    observe_option,
    settings_options,
    shard_option,
)
from reconciler.cli.output import say
from reconciler.cli.render import show_drift
from reconciler.cli.session import session_of
from reconciler.core.drift import find_drift
from reconciler.core.planner import LIVE
from reconciler.model import Shard


@click.command()
@observe_option
@format_option
@environments_option
@shard_option
@settings_options
@click.pass_context
def drift(
    context: click.Context,
    /,
    observe: bool,
    form: Form,
    globs: tuple[str, ...],
    shard: Shard | None,
    **parameters: Any,
) -> int:
    """Report whatever differs between manifests and state.

    With --observe, from what Plug holds, too. Exits 2 when there is drift, 1 when a read of --observe failed. What
    needs a token or a secret is compared where they are at hand.

    \b
    Example:
      reconciler drift
      reconciler drift --observe
      reconciler drift --format json -e 'production*'
    """
    from reconciler.text.counts import environments

    session = session_of(context, parameters)
    planned = session.plan(globs, shard=shard, requested=False, observe=reading_live(session, observe))
    findings = find_drift(planned.plan.environments, planned.desired, planned.heads, planned.observations)
    show_drift(findings, form, session)
    unchecked = sum(1 for one in planned.plan.environments if set(one.unchecked) - {LIVE})
    if unchecked:
        say(f"{environments(unchecked)}: account or secrets not compared, as their token or secret is not at hand")
    return of_drift(findings, failed=any(one.faults for one in planned.observations.values()))
