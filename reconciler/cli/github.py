"""Steps of the GitHub workflows: outputs, tokens, and what is posted. They are run by the workflows, not by people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import click

from reconciler.cli.commands import CommandGroup
from reconciler.cli.completion import complete_folders
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_job_reports, read_result, read_text
from reconciler.cli.github_run import run
from reconciler.cli.options import file_option
from reconciler.cli.output import say, write
from reconciler.errors import InputError
from reconciler.formats.any_result import affected, plan_of
from reconciler.io.files import is_file
from reconciler.ports import CommitStatus, Issue, Posted
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.run.github import Unposted


@click.group(cls=CommandGroup, proposed=("failure",))
def github() -> None:
    """Steps of the GitHub workflows, run by them and not by people.

    Needs the runner's variables, and GITHUB_TOKEN where something is posted.

    \b
    Example:
      reconciler github comment plan --file plan.md
    """


github.add_command(run)


def _author_option(command: Any) -> Any:
    from reconciler.github.posts import AUTHOR

    return click.option("--author", default=AUTHOR, show_default=True, help="Who GITHUB_TOKEN writes as.")(command)


def _say_posted(what: str, posted: Posted | CommitStatus | Unposted) -> None:
    from reconciler.run.github import Unposted

    match posted:
        case Posted(done, url):
            say(f"{what} {done}: {for_terminal(url)}")
        case CommitStatus(context, state, description):
            say(f"{what} {context}: {state}, {description}")
        case Unposted.NO_PULL_REQUEST:
            say("no pull request brought this commit: there is nothing to comment on")
        case Unposted.READ_ONLY:
            say(
                "this run's token may only read, as it comes from a fork or from Dependabot: "
                f"no {what} was posted. The plan is in the job's summary"
            )
        case _:
            assert_never(posted)


# --- within the job ----------------------------------------------------------------------------------


@github.command()
@click.option("--title", required=True, help="The heading, for example the command and its exit code.")
@file_option("--log", required=True, help="The file with its stderr.")
def failure(title: str, log: str) -> int:
    """Print what a failed command wrote, for the job's summary.

    As Markdown, where the command left no result to show.

    \b
    Example:
      reconciler github failure --title 'plan: exit 4' --log stderr.txt > plan.md
    """
    from reconciler.views.github_comment import render_failure

    write(render_failure(title, read_text(log, "--log")))
    return ExitCode.DONE


# --- posts -------------------------------------------------------------------------------------------


@github.command()
@click.argument("name", metavar="NAME")
@file_option("--file", help="The Markdown to post.")
@click.option(
    "--results",
    metavar="FOLDER",
    shell_complete=complete_folders,
    help="Post the results of the jobs of an apply: one folder each.",
)
@click.option(
    "--planned",
    default="",
    metavar="JSON",
    help="With --results: the matrix, to find jobs without a result.",
)
@_author_option
def comment(name: str, file: str | None, results: str | None, planned: str, author: str) -> int:
    """Create or update the one comment of NAME on the pull request.

    In a run of a pull request it is that one, else the one whose merge made the commit. If none did, nothing is posted.

    \b
    Example:
      reconciler github comment plan --file plan.md
    """
    from reconciler.core.protocol.markers import Marker
    from reconciler.github.hub import open_hub
    from reconciler.github.run import find_run
    from reconciler.run.github import keep_comment
    from reconciler.views.github_comment import render_footer

    if (file is None) == (results is None):
        raise click.UsageError("give either --file or --results")
    text = read_text(file, "--file") if file is not None else _render_results(Path(results or ""), planned)
    attempt = os.environ.get("GITHUB_RUN_ATTEMPT", "1")
    marker = Marker(name, int(find_run(os.environ).run_id), int(attempt) if attempt.isdecimal() else 1)
    with open_hub(os.environ, author) as hub:
        posted = keep_comment(hub, marker, lambda sha: text + render_footer(hub.run_url, sha))
    _say_posted("comment", posted)
    return ExitCode.DONE


def _render_results(folder: Path, planned: str) -> str:
    from reconciler.formats.runner import decode_matrix
    from reconciler.views.github_comment import render_apply

    try:
        names = decode_matrix(planned)
    except ValueError as error:
        raise InputError.of("--planned", "is not a matrix", "give the output `matrix` of the action") from error
    return render_apply(read_job_reports(folder), names)


@github.command()
@file_option("--plan", "plan_file", help="The plan as JSON. Without one the status is a failure.")
def status(plan_file: str | None) -> int:
    """Set the commit status reconciler/plan of a pull request.

    It shows the digest of the plan that the merge will apply.

    \b
    Example:
      reconciler github status --plan plan.json
    """
    from reconciler.github.hub import open_hub
    from reconciler.run.github import keep_status

    plan = plan_of(read_result(Path(plan_file))) if plan_file and is_file(Path(plan_file)) else None
    with open_hub(os.environ) as hub:
        _say_posted("status", keep_status(hub, plan))
    return ExitCode.DONE


@github.command()
def reviewed() -> int:
    """Print the digest that was reviewed.

    It is the one on the pull request whose merge made this commit. Exits 1 where nothing was reviewed.

    \b
    Example:
      reconciler apply --yes --expect "$(reconciler github reviewed)"
    """
    from reconciler.github.hub import open_hub
    from reconciler.run.github import find_reviewed

    with open_hub(os.environ) as hub:
        digest = find_reviewed(hub)
    write(digest)
    return ExitCode.DONE


@github.command()
@file_option("--result", required=True, help="The result of drift as JSON.")
@file_option("--file", required=True, help="The same as Markdown: the issue's text.")
@click.option(
    "--exit-code", type=int, required=True, help="The exit code of drift: only 0 means that there is no drift."
)
@_author_option
def issue(result: str, file: str, exit_code: int, author: str) -> int:
    """Keep the one issue on drift up to date.

    It is opened when there is drift, and closed when there is no drift any more.

    \b
    Example:
      reconciler github issue --result drift.json --file drift.md --exit-code 2
    """
    from reconciler.github.hub import open_hub
    from reconciler.run.github import keep_drift_issue
    from reconciler.views.github_comment import render_drift_issue, render_no_drift

    drifted = affected(read_result(Path(result)))
    if not drifted and exit_code != ExitCode.DONE:
        say("nothing is known of drift, as drift itself failed: the issue is left as it is")
        return ExitCode.DONE
    text = read_text(file, "--file") if drifted else ""
    with open_hub(os.environ, author) as hub:
        title, body = render_drift_issue(drifted, text, hub.run_url)
        posted = keep_drift_issue(hub, drifted, Issue(title, body, render_no_drift(hub.run_url)))
    if posted is None:
        say("no drift, and no issue open")
    else:
        _say_posted("issue", posted)
    return ExitCode.DONE


@github.command()
@click.argument("workflow", metavar="WORKFLOW")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
def dispatch(workflow: str, inputs: tuple[str, ...]) -> int:
    """Begin a run of another workflow on the default branch.

    \b
    Example:
      reconciler github dispatch apply.yml --input reassert=true
    """
    from reconciler.github.hub import open_hub

    with open_hub(os.environ) as hub:
        ref = os.environ.get("GITHUB_REF_NAME", "main")
        hub.dispatch(workflow, ref, dict(one.partition("=")[::2] for one in inputs))
    say(f"{for_terminal(workflow)} begins")
    return ExitCode.DONE
