"""Steps of a workflow that stay within the job: outputs, waves, tokens, what a failure said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_result, read_text
from reconciler.cli.output import say, write
from reconciler.core.digest import plan_digest
from reconciler.errors import InputError
from reconciler.formats.any_result import affected, plan_of
from reconciler.formats.drift_file import DriftFile, is_healable
from reconciler.io.files import write_new
from reconciler.model import Plan, Problem
from reconciler.text.counts import name_some
from reconciler.text.escape import for_json, for_markdown_block, for_markdown_code, for_terminal

MAX_MATRIX_JOBS = 256  # by GitHub, in one matrix
MAX_LOG_LINES = 200


@click.command()
@click.argument("result", metavar="RESULT")
def outputs(result: str) -> int:
    """Print what later steps need of a result, for GITHUB_OUTPUT.

    One line each: `changed` (true or false), `environments` (a JSON list of names), and of a plan also `digest`
    and `matrix` (a JSON list of objects, for a job an environment); of drift `healable` (true or false).

    \b
    Example:
      reconciler github outputs plan.json >> "$GITHUB_OUTPUT"
    """
    found = read_result(Path(result))
    names = affected(found)
    lines = {"changed": json.dumps(bool(names)), "environments": _compact(names)}
    if isinstance(found, DriftFile):
        lines["healable"] = json.dumps(is_healable(found))
    plan = plan_of(found)
    if plan is not None:
        lines["digest"] = plan.digest
        lines["matrix"] = _compact(_matrix(plan)) if len(names) <= MAX_MATRIX_JOBS else "[]"
    write("".join(f"{name}={value}\n" for name, value in lines.items()))
    return ExitCode.DONE


def _compact(value: object) -> str:
    return for_json(json.dumps(value, separators=(",", ":"), ensure_ascii=True))


def _matrix(plan: Plan) -> list[dict[str, object]]:
    """By wave and name; each with the digest of its own part, for `apply -e ENV --expect`."""
    return [
        {"environment": one.environment, "wave": one.wave, "digest": plan_digest([one])}
        for one in plan.environments
        if one.action.puts
    ]


@click.command("check-waves")
@click.argument("plan", metavar="PLAN")
@click.option("--wave", type=int, required=True, help="The wave that is about to begin.")
def check_waves(plan: str, wave: int) -> int:
    """Exit 1 while an earlier wave of a plan isn't done.

    \b
    Example:
      reconciler github check-waves plan.json --wave 1
    """
    found = plan_of(read_result(Path(plan)))
    if found is None:
        raise InputError.of("PLAN", f"{plan} is no plan", "make it with `plan --out`")
    waiting = [one.environment for one in found.environments if one.action.puts and one.wave < wave]
    if waiting:
        say(
            f"wave {wave} doesn't begin: an earlier one isn't done yet ({for_terminal(name_some(waiting))}). "
            "Mend what its job says, then run this workflow again",
            label="error",
        )
        return ExitCode.NOT_APPLIED
    return ExitCode.DONE


@click.command()
@click.option("--out", metavar="FILE", required=True, help="The tokens file to write, for the setting tokens_file.")
@click.option("--from", "source", metavar="FILE", help="Tokens that an earlier step fetched, as YAML or JSON.")
@click.option("--environment", metavar="ENV", help="Whose token INPUT_TOKEN holds.")
def tokens(out: str, source: str | None, environment: str | None) -> int:
    """Write a tokens file, and have the runner mask each token.

    Its mode is 600. The tokens come from --from, else from the variable INPUT_TOKENS (YAML or JSON: environment to
    token), else from INPUT_TOKEN, which is the one token of --environment. Only in a runner: the
    masking prints each token once, as the command that hides it from then on.

    \b
    Example:
      reconciler github tokens --out "$RUNNER_TEMP/tokens.json" --from vault.json
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        raise InputError.of("GITHUB_ACTIONS", "is not true", "outside the runner the tokens would be shown")
    found = _gather_tokens(Path(out), source, environment)
    lines = sorted({f"::add-mask::{_escape_mask(token)}\n" for token in found.values()})
    write("".join(lines))
    return ExitCode.DONE


def _gather_tokens(out: Path, source: str | None, environment: str | None) -> dict[str, str]:
    """By environment, from the one place that was given. Raises InputError where nothing stands there."""
    if source is not None:
        return _keep_tokens(out, read_text(source, "--from"))
    if environment is not None:
        token = os.environ.get("INPUT_TOKEN") or None
        given = json.dumps({environment: token}) if token else None
        hint = f"add the secret PLUG_TOKEN to the GitHub Environment {environment}"
        missing = Problem.of("PLUG_TOKEN", f"no token for {environment}", hint)
    else:
        given = os.environ.get("INPUT_TOKENS") or None
        hint = "add it to the repository: YAML or JSON, environment to token"
        missing = Problem.of("PLUG_TOKENS", "the secret is not set", hint)
    if given is None:
        raise InputError(problems=[missing])
    return _keep_tokens(out, given)


def _keep_tokens(out: Path, text: str) -> dict[str, str]:
    """Read back as every command will. What can't be used is not left behind."""
    from reconciler.plug.tokens_file import load_tokens_file

    out.unlink(missing_ok=True)
    write_new(out, text.encode(), mode=0o600)
    try:
        return {name: token.reveal() for name, token in load_tokens_file(out, "the tokens").items()}
    except InputError:
        out.unlink()
        raise


def _escape_mask(token: str) -> str:
    return token.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


@click.command()
@click.option("--title", required=True, help="What ended, for the heading.")
@click.option("--log", metavar="FILE", required=True, help="What it wrote to stderr.")
def failure(title: str, log: str) -> int:
    """Print what a failed command wrote, for the job's summary.

    As Markdown, where the command left no result to show.

    \b
    Example:
      reconciler github failure --title 'plan: exit 4' --log stderr.txt > plan.md
    """
    lines = read_text(log, "--log").split("\n")
    told = [line for line in lines if line.strip() and not line.startswith("::")]
    left = len(told) - MAX_LOG_LINES
    block = [line[:1000] for line in told[:MAX_LOG_LINES]] + (
        [f"… and {left} more lines: see the log"] if left > 0 else []
    )
    while sum(map(len, block)) > 30_000:
        block = [*block[: len(block) // 2], "… and more: see the log"]
    write(f"## {for_markdown_code(title)}\n\n{for_markdown_block(block, language='text')}\n")
    return ExitCode.DONE
