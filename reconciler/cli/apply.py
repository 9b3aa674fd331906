from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from reconciler.cli.check import find_refused
from reconciler.cli.confirm import confirm
from reconciler.cli.exitcode import ExitCode, of_result
from reconciler.cli.observing import reading_live
from reconciler.cli.options import (
    Form,
    environments_option,
    format_option,
    observe_option,
    settings_options,
    shard_option,
    yes_option,
)
from reconciler.cli.output import say, tell_unshown
from reconciler.cli.planning import guards_of, taken_accounts, with_guard_warnings
from reconciler.cli.progress import Progress
from reconciler.cli.render import check_files, plan_text, show_plan, show_result
from reconciler.cli.session import Session, session_of
from reconciler.core.guards import find_reserved_receivers
from reconciler.core.observe import describe_unobserved
from reconciler.core.planner import Planned
from reconciler.core.saved_plan import check_expected, check_saved_plan, recall_observations
from reconciler.errors import InputError, OutputFailed, StalePlan
from reconciler.io.git.actor import find_by
from reconciler.io.signals import stop_on_signals
from reconciler.model import Problem, RunResult, Shard
from reconciler.model.plan import has_work
from reconciler.ports import Observer
from reconciler.run.apply import apply_plan, make_idle_result
from reconciler.run.context import ApplyOptions, Stop, World
from reconciler.text.escape import for_terminal

_LAST_WORDS = (
    "ended at once: what was under way stays locked, as `reconciler state list` shows. Release it with "
    "`reconciler state unlock ENVIRONMENT`, then run apply again"
)
STATE_THREADS = 4  # one writes; others may read again after a lost race


@click.command()
@click.argument("planfile", required=False)
@click.option("--dry-run", is_flag=True, help="Exactly `plan`: no token needed, nothing sent or written.")
@yes_option
@click.option("--reassert", is_flag=True, help="PUT everything again, changed or not.")
@observe_option
@click.option("--check-first", is_flag=True, help="Call the receivers first; put no environment where one fails.")
@click.option("--expect", metavar="DIGEST", help="Refuse unless the plan's digest is this one: what was reviewed.")
@click.option(
    "--accept-account-change",
    "accepted",
    multiple=True,
    metavar="ENV",
    help="This environment's token may belong to another organization than last time; repeatable.",
)
@format_option
@environments_option
@shard_option
@settings_options
@click.pass_context
def apply(
    context: click.Context,
    /,
    planfile: str | None,
    dry_run: bool,
    yes: bool,
    reassert: bool,
    observe: bool,
    check_first: bool,
    expect: str | None,
    accepted: tuple[str, ...],
    form: Form,
    globs: tuple[str, ...],
    shard: Shard | None,
    **parameters: Any,
) -> int:
    """Put the desired webhooks, or do exactly a saved plan.

    Asks first, unless --yes. Everything is checked before anything is sent; per environment the intent is
    written, then the PUT sent, then the outcome written. Run it again after any failure: it converges.

    With --shard, several jobs share a fleet, each with guards and waves of its own: a run waits for the lower waves
    of its own shard, never for another job's. Where a wave has to be over everywhere before the next begins, run
    the jobs of one wave, selected with -e, after those of the other.

    \b
    Example:
      reconciler apply
      reconciler apply --yes -e 'staging*'
      reconciler plan --out plan.json && reconciler apply --yes plan.json
      reconciler apply --yes --shard 2/4
    """
    if planfile is not None and (globs or shard or reassert or observe or expect is not None):
        raise click.UsageError(
            "a plan file knows how it was made: -e, --shard, --reassert, --observe and --expect don't go with it",
            context,
        )
    session = session_of(context, parameters)
    check_files(form, session)
    if session.tokens_file_problems and not dry_run:
        raise InputError(problems=(*session.tokens_file_problems, *session.tree.errors))
    planned = _planned(session, planfile, globs, shard, reassert=reassert, observe=observe)
    if expect is not None:
        _check_expected(session, expect, planned, form)
    if dry_run:
        show_plan(with_guard_warnings(session, planned, accepted).plan, form, session)
        return ExitCode.DONE
    _check(session, planned, accepted)
    shown = has_work(planned.plan) and not yes
    for warning in () if shown else describe_unobserved(planned.observations):
        say(for_terminal(warning), label="warning")
    if has_work(planned.plan):
        if shown:
            say(plan_text(planned.plan, colour=False))
        putting = sum(1 for one in planned.plan.environments if one.action.puts)
        confirm(f"Put the webhooks of {putting} environment{'s' if putting != 1 else ''}?", yes=yes)
        refused = find_refused(session, planned) if check_first else {}
        exact = planfile is not None or expect is not None
        result = asyncio.run(_run(session, planned, putting, refused, exact=exact))
    else:
        result = make_idle_result(planned.plan)
    code = of_result(result)
    try:
        show_result(result, form, session)
    except OutputFailed as error:
        if code in (ExitCode.DONE, ExitCode.NOT_APPLIED):
            raise
        tell_unshown(error)  # the code of what happened comes before that of what can't be shown
    return code


def _planned(
    session: Session,
    planfile: str | None,
    globs: Sequence[str],
    shard: Shard | None,
    *,
    reassert: bool,
    observe: bool,
) -> Planned:
    if planfile is None:
        return session.plan(globs, shard=shard, requested=reassert, observe=reading_live(session, observe))
    from reconciler.cli.files import read_document
    from reconciler.formats.plan_file import decode_plan

    hint = "make one with `reconciler plan --out FILE`; one environment is `-e NAME`"
    saved = read_document(session.folder / Path(planfile), decode_plan, shown=planfile, key="PLANFILE", hint=hint)
    was, seen = saved.plan, recall_observations(saved.plan)
    recall = None if seen is None else lambda desired, documents: seen
    fresh = session.plan(was.selection, shard=was.shard, requested=was.requested, now=was.created_at, observe=recall)
    return replace(fresh, plan=check_saved_plan(saved, fresh.plan))


def _check_expected(session: Session, expect: str, planned: Planned, form: Form) -> None:
    try:
        check_expected(expect, planned.plan)
    except StalePlan:
        try:
            show_plan(with_guard_warnings(session, planned).plan, form, session)
        except OutputFailed as error:
            tell_unshown(error)
        raise


def _check(session: Session, planned: Planned, accepted: Sequence[str]) -> None:
    """Everything that can be known before the first byte is sent; all of it in one InputError (CONTRACT §6.1)."""
    known = {one.environment for one in session.desired}
    problems = [
        Problem.of("--accept-account-change", f"{name!r} is no environment of the manifests")
        for name in accepted
        if name not in known
    ]
    putting = [planned.desired[one.environment] for one in planned.plan.environments if one.action.puts]
    problems.extend(session.credentials.find_missing(putting))
    problems.extend(session.credentials.find_shared_accounts(session.desired))
    problems.extend(taken_accounts(session, planned, accepted))
    problems.extend(guards_of(session, planned, accepted))
    problems.extend(find_reserved_receivers(planned))
    for warning in session.credentials.find_expired(putting, session.clock.now()):
        say(for_terminal(warning), label="warning")
    if problems:
        raise InputError(problems=problems)


def _options(session: Session, *, exact: bool) -> ApplyOptions:
    settings = session.settings
    return ApplyOptions(
        concurrency=settings.concurrency,
        rate_limit=settings.rate_limit,
        timeout_s=settings.timeout,
        attempts=settings.attempts,
        deadline_s=settings.deadline,
        lease_s=settings.lease,
        max_age_s=settings.max_age,
        max_failures=settings.max_failures,
        exact=exact,
    )


async def _run(
    session: Session, planned: Planned, putting: int, refused: Mapping[str, str], *, exact: bool
) -> RunResult:
    from reconciler.plug.client import HttpPlug

    stop = Stop()
    async with AsyncExitStack() as stack:
        stack.enter_context(stop_on_signals(partial(_stop, stop), _LAST_WORDS))
        # of their own: names are looked up in the loop's threads, and a DNS that hangs must not keep outcomes waiting
        state_threads = stack.enter_context(ThreadPoolExecutor(STATE_THREADS, "state"))
        progress = stack.enter_context(Progress(putting, lambda: session.pace.slowdown))
        await stack.enter_async_context(progress.ticking())
        plug = HttpPlug(session.credentials, timeout_s=session.settings.timeout, environ=session.environ)
        world = World(
            store=session.store,
            plug=await stack.enter_async_context(plug),
            credentials=session.credentials,
            clock=session.clock,
            by=find_by(session.environ, session.folder),
            offload=partial(asyncio.get_running_loop().run_in_executor, state_threads),
            pace=session.pace,
            observer=await _enter_observer(session, planned, stack, exact=exact),
            report=progress.report,
            report_wave=progress.report_wave,
        )
        return await apply_plan(
            planned.plan,
            planned.desired,
            world,
            _options(session, exact=exact),
            stop,
            planned.observations,
            refused,
        )


async def _enter_observer(session: Session, planned: Planned, stack: AsyncExitStack, *, exact: bool) -> Observer | None:
    """For what has to be planned anew, where the plan was made with an account read; a saved plan never is."""
    if exact or not any(one.observable for one in planned.observations.values()):
        return None
    from reconciler.cli.observing import make_observer

    return await stack.enter_async_context(make_observer(session))


def _stop(stop: Stop) -> None:
    """Begin nothing new; what is under way finishes (§6.11)."""
    stop.asked.set()
    say("interrupted: no new PUT starts; those under way finish (a second signal ends at once)")
