"""One job of a wave. It applies its part of the run, without any call of GitHub's API."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress

from msgspec.structs import replace

from reconciler.cli.apply import SendOptions, finish, send
from reconciler.cli.options import Form
from reconciler.cli.output import warn
from reconciler.cli.session import GivenFiles, Session
from reconciler.cli.step import Step
from reconciler.core.accounts import ApplyWay
from reconciler.core.planner import Planned
from reconciler.core.workflow.inputs import RunInputs, parse_inputs
from reconciler.core.workflow.names import SECRETS_SECRET, TOKEN_SECRET
from reconciler.core.workflow.rerun import find_superseded
from reconciler.core.workflow.steps import Job, decode_job
from reconciler.errors import InputError, StalePlan, StateError, Unreachable
from reconciler.io.git.command import GitError
from reconciler.model import RunResult
from reconciler.plug.secret import Secret
from reconciler.run.guards import check_part_before_sending, find_putting
from reconciler.run.part import Part, PartPlanner
from reconciler.run.planning import PlanScope
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import name_some


def apply(step: Step) -> int:
    """Apply the part in the variable RECONCILER_JOB. Raises InputError, StateError."""
    job = read_job(step)
    step.name = job.name  # of the artifact
    inputs = parse_inputs(step.run.event.get("inputs"))
    session = step.make_session(given_files=take_secrets(step, job))
    step.mask_secrets(session)
    _refuse_unreadable(session, lambda: _make_planner(step, session, job, inputs).find_names())
    planner = _make_planner(step, session, job, inputs)
    if step.run_attempt.is_later:
        _check_head(step, session, planner.find_names())
    part = planner.plan()
    how = SendOptions(True, inputs.check_first, inputs.accepted, part.failures_left, ApplyWay.WORKFLOW)
    result = _apply_part(session, part, how)
    try:
        step.leave_result(result)
    finally:  # also if the runner's disk is full: what was done must be in the log
        code = finish(result, Form(), session)
    return code


def _make_planner(step: Step, session: Session, job: Job, inputs: RunInputs) -> PartPlanner:
    return PartPlanner(
        job,
        inputs,
        step.run_attempt,
        session.desired,
        session.store,
        session.plan_to_apply,
        session.settings.max_failures,
        lambda planned: _show_plan(step, session, planned),
    )


def _apply_part(session: Session, part: Part, how: SendOptions) -> RunResult:
    if part.stop_reason:
        return part.make_skipped()
    guards = replace(session.guards(tuple(how.accepted)), way=how.way)
    check_part_before_sending(part.planned, guards, session.clock.now(), warn)
    for problem in session.credentials.find_changed_secrets(find_putting(part.planned)):
        warn(str(problem))
    return send(session, part.planned, how)


# --- the job and its secrets -------------------------------------------------------------------------


def read_job(step: Step) -> Job:
    """Take the job from RECONCILER_JOB, which is not a setting. Raises InputError."""
    text = step.take("RECONCILER_JOB")
    try:
        return decode_job(json.loads(text))
    except (ValueError, RecursionError) as error:
        hint = "apply-wave.yml hands over `toJSON(matrix)`"
        raise InputError.of("RECONCILER_JOB", "is not a job of the first job's output", hint) from error


def take_secrets(step: Step, job: Job) -> GivenFiles:
    """Take the job's tokens and secrets out of the variables."""
    from reconciler.plug.job_secrets import JobSecrets

    token = step.take(TOKEN_SECRET)
    step.mask(token)
    given = GivenFiles(job=JobSecrets(job.environment, job.tokens, job.secrets))
    given = step.take_secrets(given, job.secrets or SECRETS_SECRET)
    with_all = step.take_tokens(given, job.tokens)
    if not job.selects_all:
        return replace(given, tokens={job.name: Secret(token)} if token else {}, tokens_name="the secret PLUG_TOKEN")
    if with_all.tokens is None and step.environ.get("RECONCILER_TOKENS_FILE"):
        return given  # an earlier step fetched them, for example from a vault
    return replace(with_all, tokens=with_all.tokens or {}, tokens_name=f"the secret {job.tokens}")


def _refuse_unreadable(session: Session, find_names: Callable[[], Collection[str]]) -> None:
    """Raise InputError if tokens or secrets can't be read, with everything else that is wrong in this part of a run.

    `find_names` returns its environments, of manifests without errors.
    """
    files = session.secret_files
    if not files.problems:
        return
    problems = [*files.problems, *session.tree.errors]
    if not session.tree.errors and not files.secrets_problems:
        with suppress(StateError):  # without the state it is not known which secrets are needed
            planned = session.plan_to_apply(PlanScope(names=frozenset(find_names())))
            problems += session.credentials.find_missing_secrets(find_putting(planned))
    raise InputError(problems=problems)


# --- a later attempt ---------------------------------------------------------------------------------


def _check_head(step: Step, session: Session, names: Collection[str]) -> None:
    """Raise StalePlan if the branch now wants something else, so that nothing is sent. Raises: Unreachable."""
    from reconciler.io.git.tip import find_tip

    branch = step.run.default_branch or step.environ.get("GITHUB_REF_NAME", "")
    commit = session.find_commit()
    try:
        head = find_tip(session.folder, session.environ, branch)
        if head is None:
            raise Unreachable(f"{branch} is gone, so what it wants is unknown. Nothing was sent")
        if head == commit:
            return
        with session.open_history(commit) as history:
            wanted = history.compare(head, names)
    except (GitError, InputError) as error:
        raise Unreachable(f"the head of {branch} can't be read, so nothing is sent: {error}") from error
    moved = find_superseded(wanted)
    if moved:
        message = (
            f"a newer commit decides: {branch} is at {shorten_commit(head)}, and is not known to want the same of "
            f"{name_some(moved)} as {shorten_commit(commit)}, the commit of this run. Nothing was sent; begin a new run"
        )
        raise StalePlan(message, moved)


# --- output ------------------------------------------------------------------------------------------


def _show_plan(step: Step, session: Session, planned: Planned) -> None:
    """Show the plan that differs from the first job's."""
    from reconciler.cli.render import show_plan
    from reconciler.views import markdown

    show_plan(planned, Form(), session)
    step.summarize(markdown.render_plan(planned.plan, planned.vars_by_environment))
