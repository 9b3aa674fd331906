from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exitcode import of_check
from reconciler.cli.options import Form, environments_option, format_option, settings_options, shard_option
from reconciler.cli.output import say
from reconciler.core.planner import Planned
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.model import CheckResult, CheckStage, Desired, ReceiverCheck, Shard

if TYPE_CHECKING:
    from reconciler.cli.session import Session

LOG_INTERVAL_S = 10.0


@click.command()
@click.option("--no-post", is_flag=True, help="Stop after DNS, connecting and TLS: send nothing.")
@format_option
@environments_option
@shard_option
@settings_options
@click.pass_context
def check(
    context: click.Context,
    /,
    no_post: bool,
    form: Form,
    globs: tuple[str, ...],
    shard: Shard | None,
    **parameters: Any,
) -> int:
    """Call each receiver with the documented example bodies.

    Looks at its name, TLS and certificate, then POSTs what Plug would: a 2xx passes. Receivers are really called,
    with made-up events. Needs no token; secrets in a URL are filled in (not for --no-post). Exits 2 when one fails.

    \b
    Example:
      reconciler check
      reconciler check --no-post -e 'staging*'
    """
    from reconciler.cli.session import session_of

    session = session_of(context, parameters)
    wanted = _selected(session, globs, shard)
    problems = [] if no_post else session.credentials.find_missing_secrets(wanted)
    if problems:
        raise InputError(problems=problems)
    from reconciler.cli.render import show_check

    result = _call(session, wanted, post=not no_post)
    show_check(result, form, session)
    return of_check(result)


def find_refused(session: Session, planned: Planned) -> Mapping[str, str]:
    """The environments that would be PUT and have a failing receiver, with the reason (`apply --check-first`)."""
    from reconciler.core.receivers import find_refusals

    putting = [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]
    return find_refusals(_call(session, putting, post=True))


def _selected(session: Session, globs: Sequence[str], shard: Shard | None) -> list[Desired]:
    """An orphan has no receivers, but its name is no mistake; only for that is the state looked at."""
    desired = session.desired
    names = {one.environment for one in desired}
    try:
        selected = select(globs, names, shard)
    except InputError:
        selected = select(globs, names | session.store.names(), shard)
    return [one for one in desired if one.environment in selected]


def _call(session: Session, desired: Sequence[Desired], *, post: bool) -> CheckResult:
    from reconciler.core.receivers import Receiver, find_receivers
    from reconciler.plug.examples import example_bodies
    from reconciler.receivers.network import HttpReceivers
    from reconciler.run.check import CheckOptions, CheckWorld, check_receivers

    settings = session.settings
    receivers = find_receivers(desired, allow_local_receivers=settings.allow_local_receivers)
    options = CheckOptions(concurrency=settings.concurrency, rate_limit=settings.rate_limit, post=post)
    progress = _Progress(len(receivers))

    async def run(receivers: Sequence[Receiver]) -> CheckResult:
        async with HttpReceivers(session.credentials.fill_url, timeout_s=settings.timeout) as network:
            world = CheckWorld(network, session.clock, example_bodies, progress.report)
            return await check_receivers(receivers, world, options)

    result = asyncio.run(run(receivers))
    if any(one.stage is CheckStage.CONNECT and not one.ok for one in result.receivers) and _has_proxy(session):
        say("receivers are called directly, as Plug calls them: HTTPS_PROXY and ALL_PROXY are not used", label="note")
    return result


def _has_proxy(session: Session) -> bool:
    return any(name.lower() in ("https_proxy", "all_proxy") and value for name, value in session.environ.items())


class _Progress:
    """A line now and then, to stderr."""

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
