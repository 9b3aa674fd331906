"""The steps of the workflows by themselves, and what they say outside of one. The story is in tests/workflows."""

from __future__ import annotations

import json
import stat

import pytest

from tests.acceptance.conftest import Cli, canary


def raw(cli: Cli, *arguments: str) -> tuple[str, str]:
    """Both streams of a run whose workflow commands are meant: `Cli.run` would refuse them."""
    out, err = cli.start(*arguments).process.communicate()
    return out.decode(), err.decode()


def test_outputs_of_a_plan_name_what_changes(cli: Cli) -> None:
    """For a matrix: by wave, each with the digest of its own part."""
    cli.fleet("loja-a", "loja-b")
    cli.run("plan", "--out", "plan.json", code=0)
    lines = dict(line.split("=", 1) for line in cli.run("github", "outputs", "plan.json", code=0).out.splitlines())
    assert lines["changed"] == "true"
    assert json.loads(lines["environments"]) == ["loja-a", "loja-b"]
    assert lines["digest"] == json.loads((cli.folder / "plan.json").read_text())["digest"]
    alone = cli.run("plan", "-e", "loja-b", "--format", "json", code=0).json["digest"]
    assert json.loads(lines["matrix"])[1] == {"environment": "loja-b", "wave": 0, "digest": alone}


def test_outputs_of_a_drift_and_a_result_name_whom_they_are_about(cli: Cli) -> None:
    """What drifted; what was applied."""
    cli.fleet("loja")
    cli.run("drift", "--also", "json=drift.json", code=2)
    assert (
        cli.run("github", "outputs", "drift.json", code=0).out == 'changed=true\nenvironments=["loja"]\nhealable=true\n'
    )
    cli.run("apply", "--yes", "--also", "json=result.json", code=0)
    assert cli.run("github", "outputs", "result.json", code=0).out == 'changed=true\nenvironments=["loja"]\n'


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "reconciler.plan/1"}', '{"format": "x"}'])
def test_a_foreign_file_is_no_result(cli: Cli, content: str) -> None:
    """It is refused with its name, and nothing is printed that a runner would take for an output."""
    cli.write("x.json", content)
    ran = cli.run("github", "outputs", "x.json", code=3)
    assert ran.out == "" and "x.json" in ran.err


def test_tokens_are_masked_only_within_a_runner(cli: Cli) -> None:
    """Elsewhere the mask would be the leak."""
    token = canary()
    cli.environ["INPUT_TOKENS"] = json.dumps({"loja": token})
    ran = cli.run("github", "tokens", "--out", "tokens", code=3)
    assert token not in ran.out + ran.err and not (cli.folder / "tokens").exists()
    cli.environ["GITHUB_ACTIONS"] = "true"
    assert raw(cli, "github", "tokens", "--out", "tokens") == (f"::add-mask::{token}\n", "")
    assert stat.S_IMODE((cli.folder / "tokens").stat().st_mode) == 0o600


def test_a_tokens_secret_that_is_no_mapping_leaves_no_file(cli: Cli) -> None:
    """And repeats nothing of it."""
    cli.environ |= {"GITHUB_ACTIONS": "true", "INPUT_TOKENS": canary()}
    out, err = raw(cli, "github", "tokens", "--out", "tokens")
    assert out == "" and "is not a mapping" in err and cli.environ["INPUT_TOKENS"] not in err
    assert not (cli.folder / "tokens").exists()


def test_posting_outside_of_a_workflow_says_what_is_missing(cli: Cli) -> None:
    """By the runner's variables; no traceback."""
    cli.write("plan.md", "x")
    ran = cli.run("github", "comment", "plan", "--file", "plan.md", code=3)
    assert "GITHUB_REPOSITORY" in ran.err and "GITHUB_EVENT_PATH" in ran.err
    cli.write("event.json", "{}")
    cli.environ |= {
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_PATH": "event.json",
    }
    assert "GITHUB_TOKEN" in cli.run("github", "comment", "plan", "--file", "plan.md", code=3).err
    assert "gone.md" in cli.run("github", "comment", "plan", "--file", "gone.md", code=3).err
    cli.environ |= {"GITHUB_TOKEN": canary(), "GITHUB_API_URL": "http://api.acme.com.br"}
    assert "is not https" in cli.run("github", "comment", "plan", "--file", "plan.md", code=3).err


def test_annotations_go_to_stderr_and_stdout_stays_what_was_asked_for(cli: Cli) -> None:
    """In a runner, by themselves; `--format github` puts them on stdout instead."""
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
    """From one run: the text in the log, Markdown and JSON in files. A bad name or place is told before anything."""
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
