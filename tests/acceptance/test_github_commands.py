"""The steps of the workflows alone, and their output outside a workflow. tests/workflows tests them together."""

from __future__ import annotations

import json

from tests.acceptance.conftest import Cli, canary


def raw(cli: Cli, *arguments: str) -> tuple[str, str]:
    """Return both streams of a run that should print workflow commands, which `Cli.run` would refuse."""
    out, err = cli.start(*arguments).process.communicate()
    return out.decode(), err.decode()


def test_posting_outside_of_a_workflow_says_what_is_missing(cli: Cli) -> None:
    """It names the runner's variables and prints no traceback."""
    ran = cli.run("github", "run", "result", code=3)
    assert "GITHUB_REPOSITORY" in ran.err and "GITHUB_EVENT_PATH" in ran.err
    cli.write("event.json", "{}")
    cli.environ |= {
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_PATH": "event.json",
    }
    assert "GITHUB_TOKEN" in cli.run("github", "run", "result", code=3).err
    cli.environ |= {"GITHUB_TOKEN": canary(), "GITHUB_API_URL": "http://api.acme.com.br"}
    assert "is not https" in cli.run("github", "run", "result", code=3).err


def test_annotations_go_to_stderr_and_stdout_stays_what_was_asked_for(cli: Cli) -> None:
    """In a runner they are automatic; `--format github` puts them on stdout instead."""
    cli.environ["GITHUB_ACTIONS"] = "true"
    cli.environ["GITHUB_WORKSPACE"] = str(cli.root)
    cli.write("manifests/loja.yaml", "wave: soon\n")
    out, err = raw(cli, "plan", "--format", "json")
    errors = [line for line in err.splitlines() if line.startswith("::error")]
    place = "file=work/manifests/loja.yaml,line=1,col=7,endColumn=11"
    assert f"::error {place},title=reconciler%3A wave" in "\n".join(errors)
    assert out == ""
    out, err = raw(cli, "validate", "--format", "github")
    assert out.startswith("::error file=work/manifests/loja.yaml,line=1")
    assert "::error" not in err


def test_also_writes_the_same_result_in_other_formats(cli: Cli) -> None:
    """One run writes text to the log, Markdown and JSON to files. A bad format or path is reported first."""
    cli.fleet("loja")
    text = cli.run("plan", code=0).out
    files = ("--also", "json=plan.json", "--also", "markdown=plan.md", "--also", "summary=summary.md")
    ran = cli.run("plan", *files, code=0)
    assert ran.out == text
    assert json.loads((cli.folder / "plan.json").read_text())["summary"]["create"] == 1
    assert "## Plan: 1 to create" in (cli.folder / "plan.md").read_text()
    assert (cli.folder / "summary.md").read_text() == (cli.folder / "plan.md").read_text()
    cli.run("state", "list", "--also", "summary=list.md", code=0)
    assert (cli.folder / "list.md").read_text().startswith("## State")
    cli.run("apply", "--yes", "--also", "json=no/such/folder.json", code=3)
    cli.run("apply", "--yes", "--also", "yaml=x", code=3)
    assert not cli.state_folder.exists()
