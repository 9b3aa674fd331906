from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_document, write_document
from reconciler.cli.observing import reading_live
from reconciler.cli.options import environments_option, observe_option, settings_options
from reconciler.cli.output import say, write
from reconciler.cli.session import session_of
from reconciler.core.drift import find_drift
from reconciler.text.escape import for_terminal


@click.command()
@click.option("--out", metavar="FILE", help="Write the page there instead of to stdout.")
@click.option("--check", "check_file", metavar="FILE", help="Show receivers too: what `check --format json` printed.")
@observe_option
@environments_option
@settings_options
@click.pass_context
def report(
    context: click.Context,
    /,
    out: str | None,
    check_file: str | None,
    observe: bool,
    globs: tuple[str, ...],
    **parameters: Any,
) -> int:
    """Show the fleet on one HTML page.

    Environments by event with drift, doubt and age in view; search, filters, and the history of each environment.
    One file that fetches nothing: open it, mail it, keep it as a workflow's artifact. It shows what `plan`, `drift`
    and `state` show, so it is for the same eyes.

    \b
    Example:
      reconciler report --out fleet.html
      reconciler check --format json > check.json; reconciler report --check check.json --out fleet.html
    """
    from reconciler.io.git.remotes import find_repository
    from reconciler.views.report import Report, render_report

    session = session_of(context, parameters)
    checked = None
    if check_file is not None:
        from reconciler.formats.check_file import decode_check

        path, hint = session.folder / Path(check_file), "make one with `reconciler check --format json`"
        checked = read_document(path, decode_check, shown=check_file, key="--check", hint=hint)
    planned = session.plan(globs, requested=False, observe=reading_live(session, observe), whole=True)
    if checked is not None and globs:
        # a fault of a receiver that no shown environment uses would be counted, and found nowhere on the page
        shown = {one.environment for one in planned.plan.environments}
        checked = [one for one in checked if not shown.isdisjoint(one.environments)]
    page = render_report(
        Report(
            plan=planned.plan,
            desired=planned.desired,
            documents=planned.documents,
            findings=find_drift(planned.plan.environments, planned.desired, planned.heads, planned.observations),
            store=session.settings.state,
            repository=find_repository(session.environ, session.folder),
            checked=checked,
        )
    )
    if out is None:
        write(page)
        return ExitCode.DONE
    write_document(session.folder / Path(out), page, shown=out)
    say(f"written: open {for_terminal(out)} in a browser")
    return ExitCode.DONE
