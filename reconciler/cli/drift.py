from __future__ import annotations

from typing import Any

import click

from reconciler.cli.options import Form, environments_option, format_option, settings_options
from reconciler.cli.output import say
from reconciler.cli.render import show_drift
from reconciler.cli.session import session_of
from reconciler.core.drift import find_drift
from reconciler.core.exitcode import of_drift


@click.command()
@format_option
@environments_option
@settings_options
@click.pass_context
def drift(context: click.Context, /, form: Form, globs: tuple[str, ...], **parameters: Any) -> int:
    """Report whatever differs between manifests and state.

    Exits 2 when there is drift. What needs a token or a secret is compared where they are at hand.

    \b
    Example:
      reconciler drift
      reconciler drift --format json -e 'production*'
    """
    session = session_of(context, parameters)
    planned = session.plan(globs, requested=False)
    documents = {name: stored.document for name, stored in planned.stored.items()}
    findings = find_drift(planned.plan.environments, planned.desired, documents)
    show_drift(findings, form, session)
    unchecked = sum(1 for one in planned.plan.environments if one.unchecked)
    if unchecked:
        say(f"{unchecked} environments: account or secrets not compared, as their token or secret is not at hand")
    return of_drift(findings)
