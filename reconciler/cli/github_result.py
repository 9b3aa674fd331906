"""`reconciler github run result`: the last job of an apply run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, write
from reconciler.cli.step import MAX_FAILURE_CHARS, Step
from reconciler.core.workflow.endings import EndedRun, RunJob, report_run
from reconciler.errors import InputError, PostFailed
from reconciler.model import Desired
from reconciler.run.result import (
    Comment,
    PullToReport,
    find_names,
    find_pulls_to_report,
    make_comments,
    post_comments,
    read_state,
)

if TYPE_CHECKING:
    from reconciler.github.hub import RunHub
    from reconciler.views.markdown_run_result import RunText


def result(step: Step) -> int:
    """Report the result of each environment, in the summary and on the merged pull requests.

    Raises StateError, as nothing can be reported without the state.
    """
    with step.open_hub() as hub:
        return _Result(step, hub).work()


class _Result:
    """The result of one run."""

    def __init__(self, step: Step, hub: RunHub) -> None:
        self._step = step
        self._hub = hub
        self._now = step.session.clock.now()
        self._commit = step.session.find_commit()
        self._notes: list[str] = []

    def work(self) -> int:
        run = EndedRun(
            self._step.run.run_id,
            self._read_jobs(),
            parse_planned(self._step.environ.get("PLANNED", "")),
            self._step.environ.get("REFUSED", "")[:MAX_FAILURE_CHARS].strip(),
        )
        desired = self._find_desired()
        to_report = self._find_pulls_to_report()
        names = find_names(to_report) | frozenset(desired if run.planned is None else run.planned)
        state = read_state(self._step.session.store, names, self._now)
        comments = list(make_comments(to_report, run, desired, state))
        self._post(comments, run)
        from reconciler.views.markdown_run_result import render_run

        text = render_run(report_run(run, desired, state), self._text(run, notes=tuple(self._notes)))
        self._step.summarize(text)
        write(text)
        return ExitCode.DONE

    def _read_jobs(self) -> tuple[RunJob, ...] | None:
        try:
            return tuple(self._hub.list_jobs(self._step.attempt))
        except PostFailed as error:
            self._warn(f"why a job ended is not known: {error}. Does the job lack the permission actions: read?")
            return None

    def _find_desired(self) -> Mapping[str, Desired]:
        """Return the desired environments; without valid manifests only a warning, as the first job refuses them."""
        try:
            tree = self._step.session.tree
        except InputError as error:
            self._warn(f"the manifests of this commit can't be read: {error}")
            return {}
        if tree.errors:
            self._warn("manifests of this commit are not valid: the first job names them")
        return {one.environment: one for one in tree.desired if one.environment not in tree.repeated}

    def _find_pulls_to_report(self) -> list[PullToReport]:
        try:
            with self._step.session.open_history(self._commit) as history:
                return find_pulls_to_report(self._hub, history, self._now)
        except (PostFailed, InputError) as error:
            self._warn(f"no pull request got a comment ({error}); the next run tries again")
            return []

    def _post(self, comments: list[Comment], run: EndedRun) -> None:
        from reconciler.views.markdown_run_result import render_pull_request

        text = self._text(run)
        posted = post_comments(
            self._hub,
            comments,
            lambda one: render_pull_request(one.reports, text),
            int(run.run_id),
            self._step.attempt,
        )
        for number in posted.numbers:
            say(f"commented on pull request {number}")
        for warning in posted.warnings:
            self._warn(warning)

    def _text(self, run: EndedRun, notes: tuple[str, ...] = ()) -> RunText:
        from reconciler.views.markdown_run_result import RunText

        lifted = self._step.environ.get("LIFTED", "").strip()
        return RunText(self._hub.run_url, self._commit, run.refused, lifted, notes)

    def _warn(self, text: str) -> None:
        self._step.warn(text)
        self._notes.append(text)


def parse_planned(text: str) -> tuple[str, ...] | None:
    """Return the names that the first job planned; None if it gave none. Raises InputError."""
    if not text:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError.of("PLANNED", "is not a list of names", "give the output `planned` of the first job")
    return tuple(names)
