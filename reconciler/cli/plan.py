from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import of_plan
from reconciler.cli.options import (
    Form,
    Selection,
    file_option,
    format_option,
    gathered,
    observe_option,
    selection_options,
    settings_options,
)
from reconciler.cli.output import say
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.cli.session import Session


class PlanFlags(NamedTuple):
    out: str | None
    detailed_exitcode: bool
    reassert: bool
    observe: bool


@click.command(cls=SettingsCommand)
@file_option("--out", help="Save the plan, for `reconciler apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to apply.")
@click.option("--reassert", is_flag=True, help="Plan to PUT everything again, changed or not.")
@observe_option
@format_option
@selection_options
@settings_options
@gathered(PlanFlags, "flags")
def plan(session: Session, flags: PlanFlags, form: Form, selection: Selection) -> int:
    """Show what `apply` would do, and why.

    Reads the manifests and the state; needs no token. With the tokens and secrets set it also notices a
    changed account or a rotated secret, and with --observe a change made in Plug itself. A saved plan remembers its
    selection and shard.

    \b
    Example:
      reconciler plan
      reconciler plan -e 'staging*' --out staging.plan.json
    """
    from reconciler.cli.render import show_plan  # late, as all below: `plan --help` must not wait for it
    from reconciler.run.guards import with_guard_warnings
    from reconciler.run.planning import PlanScope

    session.begin_reading_state()
    scope = PlanScope(selection.globs, selection.shard, session.live_reads(wanted=flags.observe))
    planned = with_guard_warnings(session.plan(scope, requested=flags.reassert), session.guards())
    if flags.out is not None:
        from reconciler.cli.files import write_document
        from reconciler.formats.plan_file import encode_plan

        write_document(session.folder / Path(flags.out), encode_plan(planned.plan), shown=flags.out)
    show_plan(planned, form, session)
    if flags.out is not None:
        say(f"saved: run `reconciler apply {for_terminal(flags.out)}` to do exactly this")
    return of_plan(planned.plan, detailed=flags.detailed_exitcode)
