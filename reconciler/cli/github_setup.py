from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reconciler import __version__
from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import environments_option, settings_options
from reconciler.cli.output import say, warn, write
from reconciler.cli.session import Session
from reconciler.cli.tree_files import find_branch, is_branch, is_user_or_team
from reconciler.core.selection import select
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.errors import InputError


@click.command("setup", cls=SettingsCommand)
@click.option("--repository", metavar="OWNER/NAME", help="Default: that of the remote origin.")
@click.option("--default-branch", metavar="NAME", help="Default: the repository's, else main.")
@click.option(
    "--reviewer",
    "reviewers",
    metavar="USER|ORG/TEAM",
    multiple=True,
    help="Who must approve an apply; up to six, one approval is enough.",
)
@click.option(
    "--tokens-from",
    type=click.Choice([one.value for one in TokensFrom]),
    default=TokensFrom.ENVIRONMENTS.value,
    show_default=True,
    help="A GitHub Environment for each token, or one secret for all.",
)
@environments_option
@settings_options
def setup_command(
    session: Session,
    repository: str | None,
    default_branch: str | None,
    reviewers: tuple[str, ...],
    tokens_from: str,
    globs: tuple[str, ...],
) -> int:
    """Print a script that sets up the repository.

    It has the calls of `gh` for every GitHub Environment of the manifests and for plug-fleet and plug-drift, for the
    labels, the rules of the default branch and of the state's branch, and the variables. Secrets are only named.
    Offline: nothing is executed or sent. Read the script, then run it.

    \b
    Example:
      reconciler github setup --repository acme/plug-webhooks > setup.sh
    """
    from reconciler.cli.checkout_files import find_github_top, has_code_owners
    from reconciler.core.workflow.setup import GitHubSetup, find_state_branch, list_environments
    from reconciler.formats.setup_script import render_setup_script

    _check_state(session)
    top = find_github_top(session)
    selected = select(globs, [one.environment for one in session.desired])
    chosen = TokensFrom(tokens_from)
    setup = GitHubSetup(
        repository=_find_repository(session, repository),
        default_branch=_find_branch(session, default_branch),
        tokens_from=chosen,
        environments=list_environments(
            [one for one in session.desired if one.environment in selected], JobLayout(chosen)
        ),
        state=session.settings.state,
        state_branch=find_state_branch(session.settings.state),
        reviewers=_check_reviewers(reviewers),
        code_owners=has_code_owners(top),
    )
    _warn_of_branches(top, setup.default_branch)
    write(render_setup_script(setup, __version__))
    say("read it before you run it; it makes what is missing, and `reconciler doctor --github` reads it back")
    return ExitCode.DONE


def _check_state(session: Session) -> None:
    """Raise InputError for a setting that names no store, or one that a runner can't keep. Nothing is opened."""
    from reconciler.core.workflow.runner_state import ELSEWHERE, is_relative

    session.find_store()
    state = session.settings.state
    if is_relative(state):
        message = f"{state} is a folder of the checkout, and a runner loses it at the end of each job"
        hint = f"{ELSEWHERE}; if the variable PLUG_STATE of the repository names the state, add --state with its value"
        raise InputError.of("state", message, hint)


def _warn_of_branches(top: Path, branch: str) -> None:
    """Warn if the workflows start for another branch than the one that the script protects."""
    from reconciler.cli.checkout_files import read_workflows
    from reconciler.core.workflow.readback import judge_branches

    for item in judge_branches(read_workflows(top), branch):
        warn(f"{item.message} ({item.hint})")


def _find_repository(session: Session, given: str | None) -> str:
    from reconciler.io.git.remotes import REPOSITORY, find_name

    if given is None:
        found = find_name(session.environ, session.folder)
        if found is None:
            hint = "add --repository OWNER/NAME, or run in a checkout whose remote origin is on GitHub"
            raise InputError.of("--repository", "the repository is not known", hint)
        return found
    if not REPOSITORY.fullmatch(given):
        raise InputError.of("--repository", f"{given!r} is not a repository of GitHub", "write OWNER/NAME")
    return given


def _find_branch(session: Session, given: str | None) -> str:
    if given is not None and not is_branch(given):
        raise InputError.of("--default-branch", f"{given!r} is not a name that the workflows can have", "")
    return given or find_branch(session.folder) or "main"


def _check_reviewers(reviewers: Sequence[str]) -> Sequence[str]:
    from reconciler.core.workflow.setup import MAX_REVIEWERS

    for reviewer in reviewers:
        if not is_user_or_team(reviewer):
            raise InputError.of("--reviewer", f"{reviewer!r} is not a user or a team", "write USER or ORG/TEAM")
    if len(reviewers) > MAX_REVIEWERS:
        message = f"GitHub takes {MAX_REVIEWERS} reviewers of an environment, and {len(reviewers)} are given"
        raise InputError.of("--reviewer", message, "name a team")
    return [reviewer.removeprefix("@") for reviewer in reviewers]
