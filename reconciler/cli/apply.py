from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
from msgspec import Struct

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.completion import complete_environments, complete_files
from reconciler.cli.confirm import confirm
from reconciler.cli.exitcode import ExitCode, of_result
from reconciler.cli.options import (
    Form,
    Selection,
    format_option,
    gathered,
    observe_option,
    selection_options,
    settings_options,
    yes_option,
)
from reconciler.cli.output import report_unwritten, say, wants_colour, warn
from reconciler.cli.progress import Progress
from reconciler.cli.render import ask_to_apply, check_files, plan_text, show_plan, show_result
from reconciler.cli.session import Interrupts, Session
from reconciler.core.accounts import ApplyWay
from reconciler.core.digest import is_digest
from reconciler.core.guards import FirstApply
from reconciler.core.observe import describe_unobserved
from reconciler.core.planner import Planned
from reconciler.core.saved_plan import SavedPlan
from reconciler.errors import InputError, OutputFailed
from reconciler.io.http.proxy import check_proxies
from reconciler.io.signals import stop_on_signals
from reconciler.model import RunResult, has_work
from reconciler.ports import Observer
from reconciler.run.apply import apply_plan, make_idle_result
from reconciler.run.apply_request import ApplyRequest, plan_apply
from reconciler.run.context import ApplyOptions, Stop, World
from reconciler.run.guards import check_before_sending, find_putting, with_guard_warnings
from reconciler.run.planning import PlanScope, refuse_malformed_tokens

_LAST_WORDS = (
    "ended at once: environments with a PUT in flight stay locked, see `reconciler state list`. Release each with "
    "`reconciler state unlock ENVIRONMENT`, then run apply again"
)
STATE_THREADS = 4  # one writes; others may read again after a lost race


class ApplyFlags(NamedTuple):
    planfile: str | None
    dry_run: bool
    yes: bool
    reassert: bool
    observe: bool
    check_first: bool
    expect: str | None
    accepted: tuple[str, ...]
    new_state: bool

    @property
    def first(self) -> FirstApply:
        """Return who vouches for a new state.

        The answer to a question does not vouch for a plan file, which may have been made with a wrong setting that the
        question does not show.
        """
        return FirstApply(asked=not self.yes and self.planfile is None, declared=self.new_state)


@click.command(cls=SettingsCommand)
@click.argument("planfile", required=False, shell_complete=complete_files)
@click.option("--dry-run", is_flag=True, help="Exactly `plan`: no token needed, nothing sent or written.")
@yes_option
@click.option("--reassert", is_flag=True, help="PUT everything again, changed or not.")
@observe_option
@click.option("--check-first", is_flag=True, help="Call the receivers first; don't PUT an environment where one fails.")
@click.option(
    "--expect", metavar="DIGEST", help="Refuse unless the plan's digest or fleet_digest is this one: what was reviewed."
)
@click.option(
    "--accept-account-change",
    "accepted",
    multiple=True,
    metavar="ENV",
    shell_complete=complete_environments,
    help="This environment's token may belong to another organization than last time; repeatable.",
)
@click.option("--new-state", is_flag=True, help="This is the first apply: the state holds no applied record yet.")
@format_option
@selection_options
@settings_options
@gathered(ApplyFlags, "flags")
def apply(session: Session, flags: ApplyFlags, form: Form, selection: Selection) -> int:
    """Put the desired webhooks, or do exactly a saved plan.

    Asks first, unless --yes is given. Everything is checked before anything is sent. For each environment the intent
    is written, then the PUT is sent, then the outcome is written. Run it again after any failure: it converges.

    With --yes or a plan file, the very first apply of a state needs --new-state, unless it goes to a sandbox: a state
    that holds nothing is most often a slip in the setting.

    With --shard, several jobs share a fleet. Guards are decided over all shards. Each job has its own waves: a run
    waits for the lower waves of its own shard, never for those of another job. If a wave must be over in all shards
    before the next begins, run the jobs of the first wave, selected with -e, before those of the second.

    \b
    Example:
      reconciler apply
      reconciler apply --yes -e 'staging*'
      reconciler plan --out plan.json && reconciler apply --yes plan.json
      reconciler apply --yes --shard 2/4
    """
    _check_usage(flags, selection)
    check_files(form, session)
    session.begin_reading_state()
    if session.secret_files.problems and not flags.dry_run:
        raise InputError(problems=(*session.secret_files.problems, *session.tree.errors))
    request = _make_request(session, flags, selection)
    planned = plan_apply(request, session.plan_to_apply, lambda other: _show_unexpected(session, other, form))
    if flags.dry_run:
        refuse_malformed_tokens(planned, session.credentials)
        show_plan(with_guard_warnings(planned, session.guards(flags.accepted, flags.first)), form, session)
        return ExitCode.DONE
    check_before_sending(planned, session.guards(flags.accepted, flags.first), session.clock.now(), warn)
    for problem in session.credentials.find_changed_secrets(find_putting(planned)):
        warn(str(problem))
    return finish(_do(session, planned, request, flags), form, session)


def _check_usage(flags: ApplyFlags, selection: Selection) -> None:
    alone = not (selection or flags.reassert or flags.observe or flags.expect is not None)
    if flags.planfile is not None and not alone:
        raise click.UsageError(
            "a plan file knows how it was made: -e, --shard, --reassert, --observe and --expect don't go with it"
        )
    if flags.expect is not None and not is_digest(flags.expect):  # not shown, as it may be a token in the wrong place
        hint = "copy it from the reviewed plan: sha256: and 64 hex digits, in small letters"
        raise InputError.of("--expect", "is not a digest" if flags.expect else "is empty", hint)


def _make_request(session: Session, flags: ApplyFlags, selection: Selection) -> ApplyRequest:
    scope = PlanScope(selection.globs, selection.shard, session.live_reads(wanted=flags.observe))
    saved = None if flags.planfile is None else _read_plan(session, flags.planfile)
    return ApplyRequest(scope, flags.reassert, saved, flags.expect)


def _read_plan(session: Session, file: str) -> SavedPlan:
    from reconciler.cli.files import read_document
    from reconciler.formats.plan_file import decode_plan

    hint = "make one with `reconciler plan --out FILE`; one environment is `-e NAME`"
    return read_document(session.folder / Path(file), decode_plan, shown=file, key="PLANFILE", hint=hint)


def _show_unexpected(session: Session, planned: Planned, form: Form) -> None:
    """Show the plan that differs from the one of --expect, because it is the one to review."""
    try:
        show_plan(with_guard_warnings(planned, session.guards()), form, session)
    except OutputFailed as error:
        report_unwritten(error)


def _do(session: Session, planned: Planned, request: ApplyRequest, flags: ApplyFlags) -> RunResult:
    """Ask, and apply a plan that has passed all checks."""
    if has_work(planned.plan) and not flags.yes:
        say(plan_text(planned, colour=wants_colour(sys.stderr, session.environ)))
        confirm(ask_to_apply(planned), yes=flags.yes)
    else:  # the text of a plan has these warnings too
        for warning in describe_unobserved(planned.observations):
            warn(warning)
    return send(session, planned, SendOptions(request.exact, flags.check_first, flags.accepted))


class SendOptions(Struct, frozen=True):
    """The way in which a plan that has passed all checks is applied. `max_failures` None: as in the settings."""

    exact: bool
    check_first: bool
    accepted: Collection[str]
    max_failures: int | None = None
    way: ApplyWay = ApplyWay.COMMAND


def send(session: Session, planned: Planned, how: SendOptions) -> RunResult:
    """Apply the plan. Raises: click.Abort if a signal ended the check of the receivers."""
    if not has_work(planned.plan):
        return make_idle_result(planned.plan)
    check_proxies((one.endpoint for one in find_putting(planned)), session.environ)
    refused = _find_refused(session, planned) if how.check_first else {}
    return asyncio.run(_run(session, planned, _options(session, how), refused))


def _find_refused(session: Session, planned: Planned) -> Mapping[str, str]:
    """Return the environments with a failing receiver, and the reason (--check-first)."""
    from reconciler.cli.check import call_receivers
    from reconciler.core.receivers import find_refusals

    result = call_receivers(session, find_putting(planned), post=True)
    if result.interrupted:
        raise click.Abort
    return find_refusals(result)


def finish(result: RunResult, form: Form, session: Session) -> ExitCode:
    """Show the result and return its exit code. State trouble and an interrupt come before a failed output.

    A failed output is reported also if the reader has ended: else an apply that did everything ends with 1 silently.
    """
    code = of_result(result)
    try:
        show_result(result, form, session)
    except OutputFailed as error:
        report_unwritten(error, also_if_gone=True)
        return ExitCode.NOT_APPLIED if code is ExitCode.DONE else code
    return code


def _options(session: Session, how: SendOptions) -> ApplyOptions:
    settings = session.settings
    return ApplyOptions(
        concurrency=settings.concurrency,
        rate_limit=settings.rate_limit,
        timeout_s=settings.timeout,
        attempts=settings.attempts,
        deadline_s=settings.deadline,
        lease_s=settings.lease,
        max_age_s=settings.max_age,
        max_failures=settings.max_failures if how.max_failures is None else how.max_failures,
        exact=how.exact,
        accepted=how.accepted,
        way=how.way,
    )


async def _run(session: Session, planned: Planned, options: ApplyOptions, refused: Mapping[str, str]) -> RunResult:
    from reconciler.plug.client import HttpPlug
    from reconciler.state.document import find_write_fault

    stop, interrupts = Stop(), session.interrupts
    async with AsyncExitStack() as stack:
        last_words = _LAST_WORDS if interrupts.second_ends else None
        stack.enter_context(stop_on_signals(partial(_stop, stop, interrupts), last_words))
        # separate threads, as the loop's threads also resolve names, and a hanging DNS must not delay the outcomes
        state_threads = stack.enter_context(ThreadPoolExecutor(STATE_THREADS, "state"))
        progress = stack.enter_context(Progress(len(find_putting(planned)), lambda: session.pace.slowdown))
        await stack.enter_async_context(progress.ticking())
        plug = HttpPlug(session.credentials, timeout_s=session.settings.timeout, environ=session.environ)
        world = World(
            store=session.store,
            plug=await stack.enter_async_context(plug),
            credentials=session.credentials,
            clock=session.clock,
            by=session.find_by(),
            offload=partial(asyncio.get_running_loop().run_in_executor, state_threads),
            find_write_fault=find_write_fault,
            pace=session.pace,
            observer=await _enter_observer(session, planned, stack, exact=options.exact),
            report=progress.report,
            report_wave=progress.report_wave,
            warn=warn,
            interim=interrupts.interim,
        )
        return await apply_plan(planned, world, options, stop, refused)


async def _enter_observer(session: Session, planned: Planned, stack: AsyncExitStack, *, exact: bool) -> Observer | None:
    """Open the observer for environments that are planned again.

    Returns None if the plan was saved or read no account.
    """
    if exact or not any(one.observable for one in planned.observations.values()):
        return None
    return await stack.enter_async_context(session.make_observer())


def _stop(stop: Stop, interrupts: Interrupts) -> None:
    """Begin no new PUT after the first signal; those in flight finish (docs/contract.md#signals)."""
    stop.asked.set()
    more = " (a second signal ends at once)" if interrupts.second_ends else ""
    say(f"interrupted: no new PUT starts; those in flight finish{more}")
