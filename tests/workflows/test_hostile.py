"""Attacks by a pull request: its files, its branch, its code, its signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cmarkgfm
import pytest
from msgspec.structs import replace

from reconciler import starter
from reconciler.sandbox.server import serve_in_thread
from tests.acceptance.conftest import ROOT, SECRET, assert_harmless, wait_until
from tests.contract.remotes import git
from tests.forked import write_own_program
from tests.workflows.conftest import Team, load
from tests.workflows.engine import TOOL_FILES
from tests.workflows.own import render_own_workflow
from tests.workflows.test_shipped import ACTION

pytestmark = pytest.mark.slow
EVIL_URL = "https://hooks.acme.com.br/$(touch%20pwned)/`id`?x=::error::y&@everyone#"


def without_commands(log: str) -> str:
    """Return the log without the program's annotations: each is on one line, in one of three forms."""
    return re.sub(r"^::(error|warning|notice) [a-z]+=[^\n]*\n", "", log, flags=re.MULTILINE)


def test_hostile_values_do_nothing_in_log_comment_and_summary(team: Team) -> None:
    """File names, keys, URLs and the branch are data: they run nothing, mention no user, and don't break a table."""
    team.write(
        "manifests/`x` @everyone ::error::y.yaml", "environment: evil\nwebhooks: {'::error::z': \"@everyone\"}\n"
    )
    run = team.run("plan", team.open_pull("x-$(touch${IFS}pwned)-`id`"))
    assert run.conclusions == {"Webhooks plan": "failure"}
    assert_harmless(without_commands(run.log))
    (comment,) = team.github.comment_texts(1)
    for text in (comment, run.summary):
        assert "@everyone" not in text and "::error::" in text.replace("&colon;", ":")
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
        rendered = cmarkgfm.github_flavored_markdown_to_html(text)
        assert "<script" not in rendered and "<img" not in rendered
    assert list(team.runner.folder.rglob("pwned")) == []


def test_a_hostile_url_is_text_everywhere(team: Team) -> None:
    """Even a valid one has no effect in a shell, Markdown or workflow commands."""
    url = EVIL_URL.removesuffix("#").replace("`id`", "%60id%60")
    team.edit("manifests/staging.yaml", "wave: 0", f"wave: 0\nwebhooks:\n  messageStatus: '{url}'")
    event = team.open_pull("evil-url")
    run = team.run("plan", event)
    assert run.conclusions == {"Webhooks plan": "success"}, run.log
    assert_harmless(without_commands(run.log))
    (comment,) = team.github.comment_texts(1)
    assert "@everyone" not in comment
    assert list(team.runner.folder.rglob("pwned")) == []


def test_the_pull_requests_own_modules_are_not_imported(team: Team) -> None:
    """A file beside the manifests that shadows the tool or one of its libraries is never run."""
    for name in ("reconciler.py", "reconciler/__init__.py", "yaml.py", "sitecustomize.py", "pip.py"):
        team.write(name, "raise SystemExit('the code of the pull request ran')\n")
    team.runner.write_program = write_own_program  # This program imports its modules while it is there.
    run = team.run("plan", team.open_pull("shadow"))
    assert run.conclusions == {"Webhooks plan": "success"}
    assert "the code of the pull request ran" not in run.log


def test_this_repositorys_own_plan_runs_the_tool_of_the_base_branch(team: Team) -> None:
    """The pull request changes the action itself, and puts a link in place of the base branch's checkout.

    Through that link the tool would be checked out into the manifests, and the plan would be the base branch's.
    """
    git(team.clone, "checkout", "-q", "main")
    for name in TOOL_FILES:
        team.write(name, (ROOT / name).read_text())
    for name in starter.WORKFLOWS:
        team.write(f".github/workflows/{name}.yml", render_own_workflow(name))
    team.push("Hold the tool")
    team.edit(
        ".github/actions/reconciler/action.yml", "set -euo pipefail", "echo the code of the pull request ran; exit 1"
    )
    (team.clone / ".tool").symlink_to("manifests")
    team.edit("manifests/_defaults.yaml", "/status", "/status/v2")
    run = team.run("plan", team.open_pull("own-tool"))
    assert run.conclusions == {"Webhooks plan": "success"}
    assert "/status/v2" in team.github.comment_texts(1)[0]


def test_a_cancelled_job_lets_puts_in_flight_finish(tmp_path: Path) -> None:
    """The runner signals only the step's first process, which the program replaces: the PUT is recorded."""
    (step,) = (one for one in load(ACTION)["runs"]["steps"] if one.get("id") == "run")
    subprocess.run(
        [sys.executable, "-P", "-m", "reconciler", "init", "work"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    for name in ("staging", "production"):
        path = tmp_path / f"work/manifests/{name}.yaml"
        path.write_text(re.sub(r"hooks[\w-]*\.example\.com", "hooks.acme.com.br", path.read_text()))
    home = tmp_path / "temp/reconciler"
    (home / "bin").mkdir(parents=True)
    program = home / "bin/reconciler"
    write_own_program(program)
    script = tmp_path / "script.sh"
    script.write_text(step["run"])
    with serve_in_thread() as plug:
        plug.plug.options = replace(plug.plug.options, latency_s=2.5)
        environ = {
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "RUNNER_TEMP": str(tmp_path / "temp"),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "GITHUB_JOB": "fleet",
            "COMMAND": "apply",
            "ARGUMENTS": "--yes",
            "GITHUB_TOKEN": "",
            "RECONCILER_TOKENS_FILE": "",
            "RECONCILER_STATE": str(tmp_path / "state"),
            "RUNNER_ENVIRONMENT": "self-hosted",  # Only there may the state be in a folder.
            "RECONCILER_API__BASE_URL": plug.base_url,
            "PLUG_TOKEN_STAGING": "made-up-1",
            "PLUG_TOKEN_PRODUCTION": "made-up-2",
            SECRET: "made-up",
        }
        running = subprocess.Popen(
            ["bash", "-e", str(script)],
            cwd=tmp_path / "work",
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda: plug.plug.requests, "the PUT under way")
        os.kill(running.pid, signal.SIGINT)
        os.kill(running.pid, signal.SIGTERM)  # The runner sends it 7.5 s after the first: it changes nothing.
        output, _ = running.communicate(timeout=180)
    assert running.returncode == 130, output
    assert re.search(r"exit-code<<(\S+)\n130\n\1\n", (tmp_path / "output").read_text())
    assert "Interrupted: 1 applied, 1 skipped" in (tmp_path / "summary").read_text()
