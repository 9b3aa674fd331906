"""`doctor --github`: the repository on GitHub, and the workflows in the checkout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import assert_never

from reconciler.cli.checkout_files import find_github_top, has_code_owners, read_workflows
from reconciler.cli.session import Session
from reconciler.core.workflow.readback import make_item
from reconciler.errors import InputError
from reconciler.model import Area, Desired, Item, ItemState


def look_at_github(session: Session, desired: Sequence[Desired]) -> Iterator[Item]:
    """Yield the items of the workflows, and of the repository that GITHUB_REPOSITORY or the remote names."""
    top = find_github_top(session)
    yield from _look_at_workflows(top)
    token = session.environ.get("GITHUB_TOKEN", "")
    session.hide(token)
    if not token:
        message = "not set, so nothing was asked"
        yield make_item("GITHUB_TOKEN", ItemState.MISSING, message, 'export GITHUB_TOKEN="$(gh auth token)"')
        return
    from reconciler.io.git.remotes import find_name

    repository = session.environ.get("GITHUB_REPOSITORY") or find_name(session.environ, session.folder)
    if repository is None:
        message = "neither the remote origin nor GITHUB_REPOSITORY says which it is"
        yield make_item("repository", ItemState.UNKNOWN, message, "export GITHUB_REPOSITORY=OWNER/NAME")
        return
    yield from _ask(session, desired, repository, token, top)


def _ask(session: Session, desired: Sequence[Desired], repository: str, token: str, top: Path) -> Iterator[Item]:
    from reconciler.cli.progress import CountProgress
    from reconciler.github.repository import find_named, open_repository
    from reconciler.run.doctor_github import GitHubQuestion, find_pins, report_github
    from reconciler.starter import UNKNOWN_ACTION, signed_workflows
    from reconciler.starter.workflow_files import Places

    try:
        place = find_named(repository, session.environ)
        with open_repository(place, token, session.environ) as reads, CountProgress("reading GitHub") as progress:
            question = GitHubQuestion(
                desired=desired,
                state=session.settings.state,
                workflows=read_workflows(top),
                secrets_file=session.settings.secrets_file is not None,
                code_owners=has_code_owners(top),
                current=find_pins(signed_workflows(Places(UNKNOWN_ACTION))),
                now=session.clock.now(),
                report=progress.report,
            )
            yield from report_github(question, reads)
    except InputError as error:
        for problem in error.problems:
            yield make_item(problem.key, ItemState.WRONG, problem.message, problem.hint)


def _look_at_workflows(top: Path) -> Iterator[Item]:
    """Compare the workflows of the checkout with those of this version."""
    from reconciler.cli.init_upgrade import compare_workflows
    from reconciler.starter.workflow_files import FileState, make_digest

    try:
        found = compare_workflows(top, None, None, ())  # lines of secrets make no difference
    except InputError as error:
        for problem in error.problems:
            yield Item(Area.WORKFLOWS, problem.key, ItemState.WRONG, problem.message, problem.hint)
        return
    for one in found:
        state = one.state
        if one.there is not None and make_digest(one.there) == make_digest(one.wanted):
            state = FileState.CURRENT
        match state:
            case FileState.CURRENT:
                yield Item(Area.WORKFLOWS, one.path, ItemState.OK, "this version's")
            case FileState.OLDER:
                hint = "reconciler init --upgrade"
                yield Item(Area.WORKFLOWS, one.path, ItemState.WRONG, "an earlier version's", hint)
            case FileState.EDITED:
                message = "edited, so it can't be compared with this version's"
                yield Item(Area.WORKFLOWS, one.path, ItemState.UNKNOWN, message, "reconciler init --upgrade")
            case FileState.MISSING:
                yield Item(Area.WORKFLOWS, one.path, ItemState.MISSING, "not there", "reconciler init")
            case _:
                assert_never(state)
