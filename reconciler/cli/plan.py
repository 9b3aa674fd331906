from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.exitcode import of_plan
from reconciler.cli.options import (
    Form,
    environments_option,
    format_option,
    observe_option,
    settings_options,
    shard_option,
)
from reconciler.cli.output import say
from reconciler.cli.planning import plan_with_warnings
from reconciler.cli.render import show_plan
from reconciler.cli.session import session_of
from reconciler.model import Shard
from reconciler.text.escape import for_terminal


@click.command()
@click.option("--out", metavar="FILE", help="Save the plan, for `reconciler apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to apply.")
@click.option("--reassert", is_flag=True, help="Plan to PUT everything again, changed or not.")
@observe_option
@format_option
@environments_option
@shard_option
@settings_options
@click.pass_context
def plan(
    context: click.Context,
    /,
    out: str | None,
    detailed_exitcode: bool,
    reassert: bool,
    observe: bool,
    form: Form,
    globs: tuple[str, ...],
    shard: Shard | None,
    **parameters: Any,
) -> int:
    """Show what `apply` would do, and why.

    Reads the manifests and the state; needs no token. With the tokens and secrets at hand it also notices a
    changed account or a rotated secret, and with --observe what somebody changed in Plug itself. A saved plan
    remembers its selection and shard.

    \b
    Example:
      reconciler plan
      reconciler plan -e 'staging*' --out staging.plan.json
    """
    session = session_of(context, parameters)
    planned = plan_with_warnings(session, globs, shard, requested=reassert, observed=observe)
    if out is not None:
        from reconciler.cli.files import write_document
        from reconciler.formats.plan_file import encode_plan

        write_document(session.folder / Path(out), encode_plan(planned.plan), shown=out)
    show_plan(planned, form, session)
    if out is not None:
        say(f"saved: run `reconciler apply {for_terminal(out)}` to do exactly this")
    return of_plan(planned.plan, detailed=detailed_exitcode)
