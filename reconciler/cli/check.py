from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

import click
from msgspec import Struct

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import of_check
from reconciler.cli.options import Form, Selection, format_option, gathered, selection_options, settings_options
from reconciler.cli.output import say, warn
from reconciler.cli.progress import CountProgress
from reconciler.errors import InputError
from reconciler.io.signals import stop_on_signals
from reconciler.model import CheckResult, CheckStage, Desired, ReceiverCheck, Webhooks
from reconciler.run.planning import PlanScope
from reconciler.text.counts import number

if TYPE_CHECKING:
    from reconciler.cli.session import Session


class CheckFlags(NamedTuple):
    no_post: bool
    changed: bool


@click.command(cls=SettingsCommand)
@click.option("--no-post", is_flag=True, help="Stop after DNS, connecting and TLS: send nothing.")
@click.option("--changed", is_flag=True, help="Only URLs that differ from the applied ones.")
@format_option
@selection_options
@settings_options
@gathered(CheckFlags, "flags")
def check(session: Session, flags: CheckFlags, form: Form, selection: Selection) -> int:
    """Call each receiver with the documented example bodies.

    Checks its name, TLS and certificate, then POSTs the bodies that Plug would: a 2xx passes. The receivers are really
    called, with made-up events. Needs no token; secrets in a URL are filled in (not with --no-post). Exits 2 when one
    fails. With --changed the state is read, and what was never applied is called too.

    \b
    Example:
      reconciler check
      reconciler check --no-post -e 'staging*'
      reconciler check --changed
    """
    from reconciler.cli.render import show_check
    from reconciler.run.check import find_applied, select_checked

    applied: Mapping[str, Webhooks] | None = None
    if flags.changed:
        planned = session.plan_to_apply(PlanScope(selection.globs, selection.shard))
        applied = find_applied(planned)
        wanted = [one for one in planned.desired.values() if one.webhooks != applied.get(one.environment)]
    else:
        wanted = select_checked(session.desired, selection.globs, selection.shard, lambda: session.store.names())
    if not flags.no_post:
        credentials = session.credentials
        problems = session.secret_files.secrets_problems or credentials.find_missing_secrets(wanted)
        if problems:
            raise InputError(problems=problems)
        for problem in credentials.find_changed_secrets(wanted):
            warn(str(problem))
    result = call_receivers(session, wanted, post=not flags.no_post, applied=applied)
    show_check(result, form, session)
    return of_check(result)


def call_receivers(
    session: Session,
    desired: Sequence[Desired],
    *,
    post: bool,
    applied: Mapping[str, Webhooks] | None = None,
    allow_local: bool = True,
) -> CheckResult:
    """Check the environments' receivers, with progress on stderr. Without `post` the check stops after TLS.

    With `applied`, the applied webhooks by environment, only the URLs that differ are called. `allow_local` can only
    restrict the setting allow_local_receivers.
    """
    from reconciler.core.receivers import find_receivers
    from reconciler.plug.examples import example_bodies
    from reconciler.receivers.network import HttpReceivers
    from reconciler.run.check import CheckOptions, CheckWorld, check_receivers
    from reconciler.run.context import Stop

    settings = session.settings
    credentials = session.credentials
    receivers = find_receivers(
        desired,
        allow_local_receivers=settings.allow_local_receivers and allow_local,
        find_scope=credentials.secret_scope,
        applied=applied,
    )
    options = CheckOptions(concurrency=settings.concurrency, rate_limit=settings.rate_limit, post=post)

    async def run() -> CheckResult:
        stop = Stop()
        async with AsyncExitStack() as stack:
            stack.enter_context(stop_on_signals(stop.asked.set, "ended at once"))
            network = HttpReceivers(credentials.fill_url, timeout_s=settings.timeout)
            counts = _Counts(len(receivers), stack.enter_context(CountProgress("checking receivers")))
            world = CheckWorld(await stack.enter_async_context(network), session.clock, example_bodies, counts.report)
            return await check_receivers(receivers, world, options, stop)

    result = asyncio.run(run())
    if any(one.stage is CheckStage.CONNECT and not one.ok for one in result.receivers) and _has_proxy(session):
        say("receivers are called directly, as Plug calls them: HTTPS_PROXY and ALL_PROXY are not used", label="note")
    return result


def _has_proxy(session: Session) -> bool:
    return any(name.lower() in ("https_proxy", "all_proxy") and value for name, value in session.environ.items())


class _Counts(Struct):
    """The number of receivers checked so far, and of those that fail."""

    total: int
    progress: CountProgress
    done: int = 0
    failed: int = 0

    def report(self, receiver: ReceiverCheck) -> None:
        self.done += 1
        self.failed += not receiver.ok
        self.progress.report(self.done, self.total, f"{number(self.failed)} failed")
