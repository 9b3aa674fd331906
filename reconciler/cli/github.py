"""What the workflows call: outputs, tokens, and what is posted to GitHub. For people it is of no use."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_result, read_text
from reconciler.cli.github_job import check_waves, failure, outputs, tokens
from reconciler.cli.output import say, write
from reconciler.errors import InputError, PostFailed
from reconciler.formats.any_result import affected, plan_of
from reconciler.formats.result_file import ResultFile, join_results
from reconciler.io.files import is_file, is_folder
from reconciler.text.counts import name_some
from reconciler.text.escape import for_markdown, for_markdown_code, for_terminal

if TYPE_CHECKING:
    from reconciler.github.api import GitHub
    from reconciler.github.run import WorkflowRun

CONTEXT = "reconciler/plan"  # of the commit status that tells the digest of what was reviewed
DRIFT_LABEL = "reconciler-drift"
RESULT_PREFIX = "result-"  # of the artifacts that apply.yml uploads: then the environment
OF_ALL = ("result-plan", "result-fleet")  # of the jobs that speak for every environment


@click.group()
def github() -> None:
    """Steps of the GitHub workflows; for people of no use.

    Needs the runner's variables, and GITHUB_TOKEN where something is posted.

    \b
    Example:
      reconciler github comment plan --file plan.md
    """


for _step in (outputs, check_waves, tokens, failure):
    github.add_command(_step)


@contextmanager
def _posting(environ: Mapping[str, str]) -> Iterator[tuple[WorkflowRun, GitHub]]:
    from reconciler.github.api import GitHub
    from reconciler.github.run import find_run
    from reconciler.io.http.proxy import find_proxy

    run = find_run(environ)
    token = environ.get("GITHUB_TOKEN", "")
    if not token:
        hint = "env: {GITHUB_TOKEN: ${{ github.token }}}"
        raise InputError.of("GITHUB_TOKEN", "is not set", hint)
    with GitHub(run, token, proxy=find_proxy(run.api_url, environ)) as client:
        yield run, client


def _author_option(command: Any) -> Any:
    from reconciler.github.posts import AUTHOR

    return click.option("--author", default=AUTHOR, show_default=True, help="Who GITHUB_TOKEN writes as.")(command)


def _footer(run: WorkflowRun, sha: str) -> str:
    return f"\n<sub>[this run]({run.url}), commit {for_markdown_code(sha[:12], in_html=True)}</sub>\n"


@contextmanager
def _only_reading_allowed(run: WorkflowRun, what: str) -> Iterator[None]:
    """GitHub lets no run of a fork or of Dependabot write: then the summary has it all. Other failures fail."""
    from reconciler.github.api import TransientError

    try:
        yield
    except PostFailed as error:
        # its rate limit GitHub tells with 403 too
        if error.status != 403 or isinstance(error, TransientError):
            raise
        if not run.may_only_read:
            raise PostFailed(f"{error}. Does the job lack a permission, such as {what}?", 403) from error
        say(
            "this run's token may only read, as it comes from a fork or from Dependabot: "
            f"no {what.partition(' ')[0]} was posted. The plan is in the job's summary"
        )


@github.command()
@click.argument("name", metavar="NAME")
@click.option("--file", metavar="FILE", help="The Markdown to post.")
@click.option("--results", metavar="FOLDER", help="Post what the jobs of an apply left: one folder each.")
@click.option("--planned", default="", metavar="JSON", help="With --results: the matrix, to name who left no result.")
@_author_option
def comment(name: str, file: str | None, results: str | None, planned: str, author: str) -> int:
    """Keep the one comment of NAME on the pull request.

    In a run of a pull request on that one; else on the one whose merge made the commit, and if none did, nowhere.

    \b
    Example:
      reconciler github comment plan --file plan.md
    """
    from reconciler.github.posts import find_merged, put_comment
    from reconciler.github.run import find_number

    if (file is None) == (results is None):
        raise click.UsageError("give either --file or --results")
    text = read_text(file, "--file") if file is not None else _join_results(Path(results or ""), _read_matrix(planned))
    with _posting(os.environ) as (run, client):
        request = run.pull_request or find_merged(client, run.sha, run.default_branch)
        if request is None:
            say("no pull request brought this commit: there is nothing to comment on")
            return ExitCode.DONE
        sha = (run.head_sha if run.pull_request else None) or run.sha
        with _only_reading_allowed(run, "comment (pull-requests: write)"):
            posted = put_comment(client, find_number(request), name, text + _footer(run, sha), author=author)
            say(f"comment {posted.done}: {for_terminal(posted.url)}")
    return ExitCode.DONE


def _read_matrix(text: str) -> list[str]:
    """The environments that were to be put, as the plan's output `matrix` names them; empty text is none."""
    try:
        return [str(entry["environment"]) for entry in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError) as error:
        hint = "give the output `matrix` of the action"
        raise InputError.of("--planned", "is no matrix", hint) from error


def _join_results(folder: Path, planned: Sequence[str]) -> str:
    """Who left no result at all, one table of all results, then what the jobs without one said.

    A job that was refused by a reviewer, held back by an earlier wave, or ended before its apply leaves nothing: a
    comment that only tells of the others would look done.
    """
    from reconciler.text.counts import counted
    from reconciler.views import markdown

    files: list[ResultFile] = []
    told: list[str] = []
    silent = dict.fromkeys(planned)
    for job in sorted(folder.iterdir()) if is_folder(folder) else []:
        found = read_result(job / "result.json") if is_file(job / "result.json") else None
        if isinstance(found, ResultFile):
            files.append(found)
            for one in found.environments:
                silent.pop(one.environment, None)
        elif is_file(job / "result.md"):
            if job.name in OF_ALL:
                silent.clear()
            told.append(read_text(str(job / "result.md"), "--results"))
        else:
            continue
        silent.pop(job.name.removeprefix(RESULT_PREFIX), None)
    if not files and not told:
        return "## Apply: no job left a result\n\nNothing is known to be applied. What stopped it stands in the run.\n"
    parts = [_tell_silent(list(silent))] if silent else []
    parts += [markdown.render_result(join_results(files))] if files else []
    begun = len(parts)
    for text in told:
        if sum(map(len, parts)) + len(text) < markdown.MAX_CHARS:
            parts.append(text)
    left = len(told) - (len(parts) - begun)
    return "\n".join([*parts, f"… and {counted(left, 'more job')} failed: see the run\n"] if left > 0 else parts)


def _tell_silent(names: Sequence[str]) -> str:
    return (
        f"## Not applied: {for_markdown(name_some(names))}\n\n"
        "Planned, but its job ended before the apply: refused, cancelled, held back by an earlier wave, or without a "
        "token. Its log says why; then run Apply again.\n"
    )


@github.command()
@click.option("--plan", "plan_file", metavar="FILE", help="The plan as JSON. Without one the status is a failure.")
def status(plan_file: str | None) -> int:
    """Set the commit status reconciler/plan of a pull request.

    It tells the digest of what the merge will do.

    \b
    Example:
      reconciler github status --plan plan.json
    """
    from reconciler.github.posts import set_status

    plan = plan_of(read_result(Path(plan_file))) if plan_file and is_file(Path(plan_file)) else None
    with _posting(os.environ) as (run, client):
        sha = run.head_sha
        if sha is None:
            raise InputError.of("GITHUB_EVENT_PATH", "holds no pull request")
        putting = 0 if plan is None else sum(1 for one in plan.environments if one.action.puts)
        description = "no plan: see the run" if plan is None else f"{plan.digest}, {putting} to put"
        with _only_reading_allowed(run, "status (statuses: write)"):
            state = "failure" if plan is None else "success"
            set_status(client, sha, CONTEXT, state, description, run.url)
            say(f"status {CONTEXT}: {state}, {description}")
    return ExitCode.DONE


@github.command()
def reviewed() -> int:
    """Print the digest that was reviewed.

    That of the pull request whose merge made this commit. Without one it exits with 1.

    \b
    Example:
      reconciler apply --yes --expect "$(reconciler github reviewed)"
    """
    from reconciler.github.posts import find_merged, find_reviewed_digest
    from reconciler.github.run import find_head, find_number

    with _posting(os.environ) as (run, client):
        request = find_merged(client, run.sha, run.default_branch)
        if request is None:
            raise PostFailed("no pull request brought this commit, so nothing was reviewed: merge one")
        sha = find_head(request)
        digest = None if sha is None else find_reviewed_digest(client, sha, CONTEXT)
        if digest is None:
            raise PostFailed(f"the pull request {find_number(request)} has no status {CONTEXT} that tells a digest")
    write(digest)
    return ExitCode.DONE


@github.command()
@click.option("--result", metavar="FILE", required=True, help="What drift found, as JSON.")
@click.option("--file", metavar="FILE", required=True, help="The same as Markdown: the issue's text.")
@click.option("--exit-code", type=int, required=True, help="How drift ended: only 0 means clean.")
@_author_option
def issue(result: str, file: str, exit_code: int, author: str) -> int:
    """Keep the one issue on drift up to date.

    It is opened where there is none, and closed when all is clean.

    \b
    Example:
      reconciler github issue --result drift.json --file drift.md --exit-code 2
    """
    from reconciler.github.posts import keep_issue

    drifted = affected(read_result(Path(result)))
    if not drifted and exit_code != ExitCode.DONE:
        say("nothing is known of drift, as drift itself failed: the issue is left as it is")
        return ExitCode.DONE
    with _posting(os.environ) as (run, client):
        posted = keep_issue(
            client,
            "drift",
            f"Webhook drift: {name_some(drifted)}"[:250],
            f"{read_text(file, '--file')}\n<sub>[last looked at]({run.url})</sub>\n" if drifted else None,
            label=DRIFT_LABEL,
            closing=f"No drift any more: [this run]({run.url}) found none.",
            author=author,
        )
    say("no drift, and no issue open" if posted is None else f"issue {posted.done}: {for_terminal(posted.url)}")
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
    from reconciler.github.posts import dispatch as begin

    with _posting(os.environ) as (_, client):
        ref = os.environ.get("GITHUB_REF_NAME", "main")
        begin(client, workflow, ref, dict(one.partition("=")[::2] for one in inputs))
    say(f"{for_terminal(workflow)} begins")
    return ExitCode.DONE
