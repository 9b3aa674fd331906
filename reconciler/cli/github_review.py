"""The job `Webhooks plan`: the plan of a pull request's test merge, or of a merge group, and whether it is red."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import SUMMARY_CHARS
from reconciler.cli.output import say, say_problems, write
from reconciler.cli.session import Session
from reconciler.errors import InputError
from reconciler.io.temporary import TemporaryFolder
from reconciler.model import Problem
from reconciler.text.commits import shorten_commit
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.cli.step import Step
    from reconciler.core.planner import Planned
    from reconciler.core.workflow.change import Review
    from reconciler.io.git.history import GitHistory
    from reconciler.model import CheckResult
    from reconciler.ports import Hub
    from reconciler.run.review import Side, Trial

COMMENT = "plan"  # the name in the comment's marker
SETTINGS_FILES = ("reconciler.toml", "pyproject.toml")
NOWHERE = "not-in-the-repository"  # a folder that does not exist


def review(step: Step) -> int:
    """Plan the merge that is checked out, and update the pull request's comment. Exit 3 means that it is refused.

    Raises InputError, PostFailed.
    """
    from reconciler.run.review import review as make_review

    session = step.session
    with _open_history(session) as history, step.open_hub() as hub:
        merge = _find_commits(step, history, hub)
        _check_head(hub, merge)
        trial = _try_merge(step, merge, _Commits(session, history))
        found = make_review(trial, hub, lambda: _plan(session), may_lack_state=_may_lack_state(step, session))
        if found.planned is not None and step.is_on("PLUG_CHECK"):
            found = replace(found, checked=_check(session, found.planned, trial.before))
        _show(step, found)
        _post(step, hub, found)
    if found.failed:
        return ExitCode.STATE_TROUBLE
    return ExitCode.INVALID_INPUT if found.is_red else ExitCode.DONE


@contextmanager
def _open_history(session: Session) -> Iterator[GitHistory]:
    """Yield the commits of the checkout. Raises InputError if git can't read them."""
    from reconciler.io.git.command import GitError
    from reconciler.io.git.history import GitHistory

    history = GitHistory(session.folder, session.environ)
    try:
        yield history
    except GitError as error:
        hint = "check out the merge with fetch-depth: 2"
        raise InputError.of("git", f"the commits can't be read: {error}", hint) from error
    finally:
        history.close()


# --- which commits -----------------------------------------------------------------------------------


class _Merge(Struct, frozen=True):
    """The commits of a merge. `head` and `number` are those of the pull request; None if they are not known."""

    merged: str
    base: str
    head: str | None
    number: int | None


def _find_commits(step: Step, history: GitHistory, hub: Hub) -> _Merge:
    """Return the commits of the merge that is checked out. Raises InputError if HEAD has no parent, PostFailed."""
    from reconciler.github.run import find_merge_group
    from reconciler.io.git.checkout import Checkout

    merged = Checkout(step.session.folder, step.session.environ).find_head()
    parents = () if merged is None else history.find_parents(merged)
    if merged is None or not parents:
        raise InputError.of("HEAD", "has no earlier commit to be compared with", "check out the test merge")
    group = find_merge_group(step.run.event)
    second = parents[1] if len(parents) > 1 else None
    if group is None:
        pull = hub.pull_request
        return _Merge(merged, parents[0], second, None if pull is None else pull.number)
    base = group.base_sha or parents[0]
    if second is not None and parents[0] == base:
        return _Merge(merged, base, second, group.number)
    # a queue that squashes or rebases makes a commit that does not name the head
    head = None if group.number is None else hub.read_pull(group.number).head_sha
    return _Merge(merged, base, head, group.number)


def _check_head(hub: Hub, merge: _Merge) -> None:
    """Raise InputError if the test merge is of another head than this check.

    GitHub makes the test merge a moment after the push, and makes none if there is a conflict.
    """
    pull = hub.pull_request
    if pull is None or not pull.is_open or pull.head_sha in (None, merge.head):
        return
    found = "no pull request" if merge.head is None else f"head {shorten_commit(merge.head)}"
    wanted = shorten_commit(str(pull.head_sha))
    message = f"the test merge is of {found}, and this check is of head {wanted}: it was not planned"
    raise InputError.of("HEAD", message, "run this job again; if a newer head was pushed, its own run answers")


# --- their content -----------------------------------------------------------------------------------


def _try_merge(step: Step, merge: _Merge, commits: _Commits) -> Trial:
    from reconciler.cli.checkout_files import read_workflows
    from reconciler.core.workflow.readback import find_layout
    from reconciler.run.review import Trial

    after, errors, warnings = _read_side(step.session, step.session)
    with commits.write(merge.base) as base:
        before, *_ = _read_side(*base)
    # with a file for the secrets, the workflows need no line for each
    from_file = bool(after.fault) or step.session.settings.secrets_file is not None
    return Trial(
        base=merge.base,
        head=merge.head,
        number=merge.number,
        before=before,
        after=after,
        errors=errors,
        warnings=warnings,
        paths=commits.list_changed(merge.merged, merge.base),
        find_combinations=partial(_find_combinations, step.session, merge) if step.is_on("PLUG_STRICT") else None,
        workflows={} if from_file else read_workflows(commits.top),
        layout=find_layout(step.environ),
    )


def _find_combinations(session: Session, merge: _Merge, names: Collection[str]) -> Sequence[str]:
    """Return the environments for which the head wants something else than the merge. Raises InputError."""
    from reconciler.ports import MergedPull
    from reconciler.run.strict import find_combinations

    if merge.head is None:
        return ()
    with session.open_reviewed_history(merge.merged, names) as history:
        if merge.number is not None:
            history.fetch_heads([MergedPull(merge.number, merge.head, merge.merged)])
        return find_combinations(names, merge.head, history)


def _read_side(session: Session, manifests: Session) -> tuple[Side, tuple[Problem, ...], tuple[Problem, ...]]:
    """Return the settings and manifests of a commit, and their errors and warnings.

    A link may lead to another commit's files, so nothing behind one is used.
    """
    from reconciler.run.review import Side
    from reconciler.settings.shown import describe_settings

    side = Side()
    try:
        settings = session.settings
        session.refuse_linked_settings()
        side = Side(
            settings=describe_settings(settings),
            limit=settings.max_changed,
            allow_local_receivers=settings.allow_local_receivers,
        )
        session.find_store()  # which is not opened; a setting that names no store is an error
        manifests.refuse_linked_manifests()
        tree = manifests.tree
    except InputError as error:
        problems = error.problems or (Problem.of("", str(error)),)
        return replace(side, fault=_describe(problems, manifests.folder)), problems, ()
    if tree.errors:
        return replace(side, fault=_describe(tree.errors, manifests.folder)), tree.errors, tree.warnings
    return replace(side, desired=tree.desired, policies=tree.policies), (), tree.warnings


def _describe(problems: Sequence[Problem], folder: Path) -> str:
    """Return the first problem, with paths relative to `folder`, which may be temporary, and the number of others."""
    more = "" if len(problems) == 1 else f" ({len(problems) - 1} more)"
    first = str(problems[0])
    for prefix in (f"{folder}{os.sep}", f"{folder.as_posix()}/"):
        first = first.replace(prefix, "")
    return f"{first}{more}"


class _Commits:
    """The files of commits, written where a session can read them. `session` is that of the checked-out merge."""

    def __init__(self, session: Session, history: GitHistory) -> None:
        from reconciler.io.git.checkout import find_top

        self._environ = session.environ
        self._history = history
        folder = Path(os.path.realpath(session.folder))
        self.top = find_top(session.folder, session.environ) or folder
        self._within = os.path.relpath(folder, self.top)

    def list_changed(self, merged: str, base: str) -> list[str]:
        return [change.path for change in self._history.compare([(merged, base)])[0]]

    @contextmanager
    def write(self, commit: str) -> Iterator[tuple[Session, Session]]:
        """Write the settings and manifests of a commit into a temporary folder.

        Yields a session for the settings, and one for the manifests.
        """
        with TemporaryFolder("reconciler-review-") as made:
            top = Path(os.path.realpath(made))
            (top / ".git").mkdir()  # the search for settings ends at the top of a checkout
            written = self._history.list_files(commit, self._name_settings())
            self._history.write_files(written, top)
            folder = top / self._within
            folder.mkdir(parents=True, exist_ok=True)
            session = Session(environ=self._environ, folder=folder, quiet=True)
            path = self._find_manifests(session)
            if path is not None:
                files = self._history.list_files(commit, [path])
                self._history.write_files({name: file for name, file in files.items() if name not in written}, top)
            # the manifests must not be read from the checkout, which has the files of the merge
            elsewhere = Path(os.path.relpath(top / (path or NOWHERE), folder)).as_posix()
            yield session, replace(session, flags={"manifests": elsewhere})

    def _name_settings(self) -> list[str]:
        """Return the paths that may have settings: in the working directory, and above it up to the checkout's top."""
        parts = Path(self._within).parts
        folders = ["/".join(parts[:count]) for count in range(len(parts) + 1)]
        return [f"{folder}/{name}".lstrip("/") for folder in folders for name in SETTINGS_FILES]

    def _find_manifests(self, session: Session) -> str | None:
        """Return the folder of the manifests in the repository; None if the settings name none in it."""
        try:
            named = session.settings.manifests
        except InputError:
            return None  # the caller reports the same error
        path = Path(os.path.relpath(os.path.normpath(self.top / self._within / named), self.top))
        return None if path.is_absolute() or os.pardir in path.parts else path.as_posix()


# --- the plan, and what is shown ---------------------------------------------------------------------


def _plan(session: Session) -> Planned:
    """Plan all environments, with warnings about what the guards could not check. Raises InputError, StateError."""
    from reconciler.core.guards import FirstApply, MaxChanged
    from reconciler.run.guards import with_guard_warnings
    from reconciler.run.planning import PlanScope

    planned = session.plan_to_apply(PlanScope())
    # the review itself decides these two guards, over what the merge changes
    given = replace(session.guards(first=FirstApply(asked=True)), max_changed=MaxChanged(100, percent=True))
    return with_guard_warnings(planned, given)


def _may_lack_state(step: Step, session: Session) -> bool:
    """Return whether the run has no credentials for its state: a fork's run gets none for a bucket."""
    from reconciler.core.where import BUCKETS, find_scheme

    return step.run.may_only_read and find_scheme(session.settings.state) in BUCKETS


def _check(session: Session, planned: Planned, base: Side) -> CheckResult:
    """Call the receivers that differ from the applied ones, up to TLS.

    The base decides whether a local address may be called, because a fork's change must not reach the runner's own
    network.
    """
    from reconciler.cli.check import call_receivers
    from reconciler.run.check import find_applied

    desired = list(planned.desired.values())
    applied = find_applied(planned)
    return call_receivers(session, desired, post=False, applied=applied, allow_local=base.allow_local_receivers)


def _show(step: Step, found: Review) -> None:
    """Show the review in the job's log, as annotations and in its summary."""
    from reconciler.cli.annotations import annotate, find_path
    from reconciler.views import annotations
    from reconciler.views.github_review import render_review
    from reconciler.views.unreviewed import explain_combinations
    from reconciler.views.words import leave_out_unchecked

    step.summarize(render_review(found, step.run.url, max_chars=SUMMARY_CHARS))
    path_of = find_path(step.session)
    if found.planned is not None:
        from reconciler.cli.render import plan_text

        plan, note = leave_out_unchecked(found.planned.plan)
        write(plan_text(replace(found.planned, plan=plan), colour=False))
        if note:
            write(note)
        shown = found.planned.plan
        annotate(step.environ, lambda: annotations.render_plan(shown, path_of=path_of))
    combination = explain_combinations(found.combined)
    problems = (*found.errors, *found.refused, *([] if combination is None else [combination]))
    if problems:
        say_problems(InputError(problems=problems))
        warnings = found.warnings if found.errors else ()
        annotate(step.environ, lambda: annotations.render_validation(problems, warnings, path_of=path_of))
    for advice in found.advice:
        step.warn(str(advice))
    if found.failed:
        say(for_terminal(found.failed), label="error")


def _post(step: Step, hub: Hub, found: Review) -> None:
    """Create or update the comment, or say in the summary why there is none. Raises PostFailed."""
    from reconciler.core.workflow.change import Unposted
    from reconciler.core.workflow.markers import Marker
    from reconciler.run.review import post_review
    from reconciler.views.github_review import render_review, render_unposted

    marker = Marker(COMMENT, int(step.run.run_id), step.attempt)
    posted = post_review(hub, marker, found.head, render_review(found, step.run.url))
    if isinstance(posted, Unposted):
        step.summarize(render_unposted(posted))
        show = step.warn if posted is Unposted.SUPERSEDED else say
        show(render_unposted(posted))
    else:
        say(f"comment {posted.done}: {for_terminal(posted.url)}")
