"""What --observe needs before anything is read, and the reading itself (CONTRACT §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from reconciler.cli.output import say
from reconciler.errors import InputError
from reconciler.model import Desired, Document, Problem
from reconciler.text.counts import name_some

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.core.observe import Observation
    from reconciler.plug.partner import HttpObserver
    from reconciler.plug.secret import Secret
    from reconciler.run.planning import Observe


def reading_live(session: Session, wanted: bool) -> Observe | None:
    """What reads the live configuration for a plan with --observe; None without."""
    return partial(observe, session) if wanted else None


def observe(
    session: Session, desired: Sequence[Desired], documents: Mapping[str, Document]
) -> Mapping[str, Observation]:
    """Reads the account of each environment that has an account_id; where none has, nothing is asked for.

    Raises InputError where the partner token or its address can't be used, or a token is malformed, before
    anything is sent.
    """
    from reconciler.core.observe import UNOBSERVABLE
    from reconciler.text.counts import environments

    observable = [one for one in desired if one.account_id is not None]
    if not observable:
        return {one.environment: UNOBSERVABLE for one in desired}
    problems = [*_find_problems(session, observable), *session.credentials.find_malformed_tokens(desired)]
    if problems:
        raise InputError(problems=problems)
    if not session.quiet:
        say(f"observing {environments(len(observable))}")
    return asyncio.run(_observe(session, desired, documents))


async def _observe(
    session: Session, desired: Sequence[Desired], documents: Mapping[str, Document]
) -> Mapping[str, Observation]:
    from reconciler.run.observe import ObserveOptions, observe_all

    settings = session.settings
    options = ObserveOptions(settings.concurrency, settings.attempts, settings.deadline)
    async with make_observer(session) as observer:
        return await observe_all(desired, documents, observer, session.clock, options, session.pace)


def make_observer(session: Session) -> HttpObserver:
    """Not yet entered. The partner token is there: `observe` has seen to it."""
    from reconciler.plug.partner import HttpObserver
    from reconciler.plug.secret import Secret

    token_env = session.settings.partner.token_env
    return HttpObserver(
        session.credentials,
        session.credentials.secret(token_env) or Secret(""),
        token_env,
        hidden=session.secrets_at_hand,
        timeout_s=session.settings.timeout,
        environ=session.environ,
    )


def _find_problems(session: Session, observable: Sequence[Desired]) -> list[Problem]:
    """Of the partner token, and of the address that it would be sent to."""
    from reconciler.core.urls import find_base_url_fault
    from reconciler.plug.token import find_token_fault

    problems = []
    token_env = session.settings.partner.token_env
    token: Secret | None = session.credentials.secret(token_env)
    if token is None:
        names = name_some([one.environment for one in observable])
        message = f"there is no partner token in {token_env}, and --observe reads the account of {names} with it"
        hint = f"set the variable {token_env}, or leave --observe out"
        problems.append(Problem.of("partner.token_env", message, hint))
    elif (fault := find_token_fault(token)) is not None:
        hint = "store the token again, without a line end or quotes around it"
        message = f"the partner token in {token_env} {fault}"
        problems.append(Problem.of("partner.token_env", message, hint))
    # the settings check the address where it is set; its default is judged here, where it is used
    for url in sorted({one.partner_base_url or "" for one in observable}):
        address_fault = find_base_url_fault(url, session.settings.api.allowed_hosts)
        if address_fault is not None:
            problems.append(Problem("", 0, 0, "partner.base_url", *address_fault))
    return problems
