from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli.exitcode import of_check
from reconciler.cli.options import Form, Selection, format_option, selection_options, settings_options
from reconciler.cli.output import say
from reconciler.errors import InputError
from reconciler.model import CheckResult, CheckStage, Desired, ReceiverCheck
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.cli.session import Session

LOG_INTERVAL_S = 10.0


@click.command()
@click.option("--no-post", is_flag=True, help="Stop after DNS, connecting and TLS: send nothing.")
@format_option
@selection_options
@settings_options
def check(session: Session, no_post: bool, form: Form, selection: Selection) -> int:
    """Call each receiver with the documented example bodies.

    Checks its name, TLS and certificate, then POSTs the bodies that Plug would: a 2xx passes. The receivers are really
    called, with made-up events. Needs no token; secrets in a URL are filled in (not with --no-post). Exits 2 when one
    fails.

    \b
    Example:
      reconciler check
      reconciler check --no-post -e 'staging*'
    """
    from reconciler.cli.render import show_check
    from reconciler.run.check import select_checked

    wanted = select_checked(session.desired, selection.globs, selection.shard, lambda: session.store.names())
    if not no_post:
        credentials = session.credentials
        problems = session.secret_files.secrets_problems or credentials.find_missing_secrets(wanted)
        if problems:
            raise InputError(problems=problems)
        for problem in credentials.find_changed_secrets(wanted):
            say(for_terminal(str(problem)), label="warning")
    result = call_receivers(session, wanted, post=not no_post)
    show_check(result, form, session)
    return of_check(result)


def call_receivers(session: Session, desired: Sequence[Desired], *, post: bool) -> CheckResult:
    """Check the environments' receivers, with progress on stderr. Without `post` the check stops after TLS."""
    from reconciler.core.receivers import find_receivers
    from reconciler.plug.examples import example_bodies
    from reconciler.receivers.network import HttpReceivers
    from reconciler.run.check import CheckOptions, CheckWorld, check_receivers

    settings = session.settings
    credentials = session.credentials
    receivers = find_receivers(
        desired, allow_local_receivers=settings.allow_local_receivers, find_scope=credentials.secret_scope
    )
    options = CheckOptions(concurrency=settings.concurrency, rate_limit=settings.rate_limit, post=post)
    progress = _Progress(len(receivers))

    async def run() -> CheckResult:
        async with HttpReceivers(credentials.fill_url, timeout_s=settings.timeout) as network:
            world = CheckWorld(network, session.clock, example_bodies, progress.report)
            return await check_receivers(receivers, world, options)

    result = asyncio.run(run())
    if any(one.stage is CheckStage.CONNECT and not one.ok for one in result.receivers) and _has_proxy(session):
        say("receivers are called directly, as Plug calls them: HTTPS_PROXY and ALL_PROXY are not used", label="note")
    return result


def _has_proxy(session: Session) -> bool:
    return any(name.lower() in ("https_proxy", "all_proxy") and value for name, value in session.environ.items())


class _Progress:
    """A line on stderr every ten seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._failed = 0
        self._said_at = time.monotonic()

    def report(self, receiver: ReceiverCheck) -> None:
        self._done += 1
        self._failed += not receiver.ok
        if time.monotonic() - self._said_at >= LOG_INTERVAL_S:
            self._said_at = time.monotonic()
            say(f"{self._done} of {self._total} receivers checked, {self._failed} failed")
