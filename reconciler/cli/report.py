from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_document, write_document
from reconciler.cli.options import environments_option, file_option, observe_option, settings_options
from reconciler.cli.output import say, write
from reconciler.cli.session import Session
from reconciler.core.planner import Planned
from reconciler.model import ReceiverCheck
from reconciler.run.fleet_drift import find_all_drift
from reconciler.run.planning import PlanScope
from reconciler.text.escape import for_terminal


@click.command(cls=SettingsCommand)
@file_option("--out", help="Write the page there instead of to stdout.")
@file_option("--check", "check_file", help="Show receivers too: the output of `check --format json`.")
@observe_option
@environments_option
@settings_options
def report(session: Session, out: str | None, check_file: str | None, observe: bool, globs: tuple[str, ...]) -> int:
    """Show the fleet on one HTML page.

    A table of environments and events with drift, doubt and age; search, filters, and the history of each environment.
    It is one file that fetches nothing: open it, mail it, keep it as a workflow's artifact. It shows the same data as
    `plan`, `drift` and `state`, so give it only to people who may see those.

    \b
    Example:
      reconciler report --out fleet.html
      reconciler check --format json > check.json; reconciler report --check check.json --out fleet.html
    """
    checked = None if check_file is None else _read_check(session, check_file)
    session.begin_reading_state()
    planned = session.plan(PlanScope(globs, observe=session.live_reads(wanted=observe), whole=True))
    if checked is not None and globs:
        # a failing receiver that no shown environment uses would be counted, but not be on the page
        shown = {one.environment for one in planned.plan.environments}
        checked = [one for one in checked if not shown.isdisjoint(one.environments)]
    page = _render(session, planned, checked)
    if out is None:
        write(page)
        return ExitCode.DONE
    write_document(session.folder / Path(out), page, shown=out)
    say(f"written: open {for_terminal(out)} in a browser")
    return ExitCode.DONE


def _read_check(session: Session, file: str) -> Sequence[ReceiverCheck]:
    from reconciler.formats.check_file import decode_check

    hint = "make one with `reconciler check --format json`"
    return read_document(session.folder / Path(file), decode_check, shown=file, key="--check", hint=hint)


def _render(session: Session, planned: Planned, checked: Sequence[ReceiverCheck] | None) -> str:
    from reconciler.io.git.remotes import find_repository
    from reconciler.views.report import Report, render_report

    warning_s = session.settings.token_warning
    return render_report(
        Report(
            plan=planned.plan,
            desired=planned.desired,
            documents=planned.documents,
            findings=find_all_drift(planned, session.credentials, token_warning_s=warning_s).findings,
            store=session.settings.state,
            repository=find_repository(session.environ, session.folder),
            checked=checked,
        )
    )
