"""The steps of the workflows. The last step of each job runs one of these commands by `exec` (docs/github.md)."""

from __future__ import annotations

import click

from reconciler.cli.commands import CommandGroup
from reconciler.cli.step import run_step


@click.group(cls=CommandGroup, proposed=())
def run() -> None:
    """Steps of the workflows: one of them is a job's work.

    They read the runner's variables and the variables and secrets of the repository, and leave outputs, a summary and
    a folder for the artifact.

    \b
    Example:
      reconciler github run begin
    """


@run.command()
def begin() -> int:
    """Decide what an apply run sends, and in which jobs.

    If the whole run is to be refused, it is refused here, before any job of an environment begins.

    \b
    Example:
      reconciler github run begin
    """
    from reconciler.cli.github_begin import begin as work

    return run_step("begin", work)


@run.command()
def result() -> int:
    """Report what became of each environment of an apply run.

    The report is in the job's summary, and on each merged pull request that has none yet. It is read from the state.

    \b
    Example:
      reconciler github run result
    """
    from reconciler.cli.github_result import result as work

    return run_step("result", work)


@run.command()
def drift() -> int:
    """Report drift, and begin the apply that is missing.

    Drift is one issue; what an apply in progress will do is left out of it. With PLUG_SELF_HEAL, drift that an apply
    repairs begins one too.

    \b
    Example:
      reconciler github run drift
    """
    from reconciler.cli.github_drift import drift as work

    return run_step("drift", work)


@run.command()
def review() -> int:
    """Plan the merge of a pull request, or of a merge group.

    It is red, exit 3, where apply would refuse the change itself: errors, policy, and the guards over what this merge
    changes. The plan is in the job's summary and in the one comment on the pull request.

    \b
    Example:
      reconciler github run review
    """
    from reconciler.cli.github_review import review as work

    return run_step("review", work)


@run.command()
def apply() -> int:
    """Apply one job's part of a run that `begin` decided.

    The part is in the variable RECONCILER_JOB, its tokens are in PLUG_TOKEN or PLUG_TOKENS.

    \b
    Example:
      reconciler github run apply
    """
    from reconciler.cli.github_apply import apply as work

    return run_step("apply", work)


@run.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> int:
    """Run a command, and leave its result for the workflow.

    The result is in the job's summary, in the outputs, and in files for an artifact. All tokens may be given
    in PLUG_TOKENS, and all secrets in PLUG_SECRETS.

    \b
    Example:
      reconciler github run command -- plan
    """
    from reconciler.cli.github_command import make_work

    return run_step("command", make_work(words))
