"""Steps of the GitHub workflows. They are run by the workflows, not by people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from reconciler.cli.commands import CommandGroup
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_result, read_text
from reconciler.cli.github_run import run
from reconciler.cli.options import file_option
from reconciler.cli.output import say, write
from reconciler.formats.any_result import affected
from reconciler.ports import Issue, Posted
from reconciler.text.escape import for_terminal


@click.group(cls=CommandGroup, proposed=("failure",))
def github() -> None:
    """Steps of the GitHub workflows, run by them and not by people.

    Needs the runner's variables, and GITHUB_TOKEN where something is posted.

    \b
    Example:
      reconciler github run review
    """


github.add_command(run)


def _author_option(command: Any) -> Any:
    from reconciler.github.posts import AUTHOR

    return click.option("--author", default=AUTHOR, show_default=True, help="Who GITHUB_TOKEN writes as.")(command)


def _say_posted(what: str, posted: Posted) -> None:
    say(f"{what} {posted.done}: {for_terminal(posted.url)}")


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
