"""`reconciler github run drift`: the work of the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli.exitcode import of_drift
from reconciler.cli.options import Form
from reconciler.cli.output import say
from reconciler.cli.render import show_drift
from reconciler.cli.session import GivenFiles, Session
from reconciler.cli.step import Step
from reconciler.core.workflow.schedule import Runs, Wanted
from reconciler.errors import PostFailed
from reconciler.run.fleet_drift import find_all_drift
from reconciler.run.planning import PlanScope
from reconciler.run.schedule import (
    Activity,
    LeftOut,
    begin_run,
    find_drifted,
    find_reported,
    find_settled,
    is_unapplied,
    keep_drift_issue,
    keep_run_issues,
    read_runs,
)
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.core.planner import Planned
    from reconciler.github.hub import RunHub
    from reconciler.model import Drift


def drift(step: Step) -> int:
    """Report the drift, keep the three issues, and begin an apply where one is needed."""
    with step.open_hub() as hub:
        return _Schedule(step, hub, _make_session(step)).work()


def _make_session(step: Step) -> Session:
    """Return a session with the secrets that the step got in one variable, masked in all output. Raises InputError."""
    given = step.take_secrets(GivenFiles())
    given.refuse_unreadable()
    session = step.make_session(given_files=given)
    step.mask_secrets(session)
    session.find_store()  # which is not opened: an unusable state is refused before any issue is written
    return session


class _Schedule:
    """One run of the schedule."""

    def __init__(self, step: Step, hub: RunHub, session: Session) -> None:
        self._step = step
        self._hub = hub
        self._session = session
        self._now = session.clock.now()
        self._head = session.find_commit()
        self._done = Activity()

    def work(self) -> int:
        """Do the work of one schedule, and return the exit code. Raises InputError, StateError, PostFailed.

        The runs are read before the state, so a run that ends in between is still waited for, and hides no drift that
        it left.
        """
        runs = self._read_runs()
        planned, every = self._find_drift()
        found, sending = find_settled(every, planned, self._now)
        if runs is not None:
            wanted = Wanted(self._head, is_unapplied(planned.plan), self._step.is_on("PLUG_SELF_HEAL"))
            runs = begin_run(self._hub, self._hub.branch, runs, wanted, found, self._done)
        reported, left = find_reported(found, runs, self._done.begun, sending)
        self._report(reported, left, planned)
        if self._done.failures:
            raise PostFailed("; ".join(self._done.failures))
        return of_drift(reported)

    def _read_runs(self) -> Runs | None:
        from reconciler.views.markdown_schedule import make_failed_issue, make_waiting_issue

        try:
            runs = read_runs(self._hub, self._head, self._now)
        except PostFailed as error:
            self._step.warn(
                f"it is not known which apply runs are in progress ({error}): what is not applied is reported, and no "
                "run is begun. Does the job lack the permission actions: write?"
            )
            return None
        url = self._hub.run_url
        keep_run_issues(self._hub, runs, lambda late: make_waiting_issue(late, url), make_failed_issue, self._done)
        return runs

    def _find_drift(self) -> tuple[Planned, Drift]:
        from reconciler.core.planner import describe_future_records

        session = self._session
        reads = session.live_reads(wanted=self._step.is_on("PLUG_OBSERVE"))
        planned = session.plan(PlanScope(observe=reads))
        for warning in describe_future_records(planned.desired, planned.heads, self._now):
            self._step.warn(warning)
        return planned, find_all_drift(planned, session.credentials, token_warning_s=session.settings.token_warning)

    def _report(self, reported: Drift, left: LeftOut, planned: Planned) -> None:
        from reconciler.views.markdown import render_drift
        from reconciler.views.markdown_schedule import describe_begun, describe_left, describe_sending, make_drift_issue

        notes = [text] if (text := describe_begun(self._done.begun)) else []
        if left.environments:
            notes.append(describe_left(left.environments, left.run.run_id if left.run is not None else None))
        if left.sending:
            notes.append(describe_sending(left.sending))
        text = render_drift(reported, planned.vars_by_environment, on_github=True)
        issue = make_drift_issue(find_drifted(reported), text, notes, self._hub.run_url)
        keep_drift_issue(self._hub, reported, left, issue, self._done)
        show_drift(reported, planned, Form(), self._session, on_github=True)
        for note in notes:
            say(note)
        for kept, posted in self._done.posted:
            say(f"issue {kept.label} {posted.done}: {for_terminal(posted.url)}")
        self._step.summarize("\n\n".join([text.rstrip("\n"), *notes, *self._done.failures]))
