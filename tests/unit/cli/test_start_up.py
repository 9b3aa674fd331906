"""The imports of each command: every module delays every start, so a new one must be a decision."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reconciler.cli.main import COMMANDS, cli
from reconciler.model import EVENTS

BARE = {"reconciler", "reconciler.__main__", "reconciler.io", "reconciler.io.signals"}
HELP = BARE | {
    "reconciler.cli", "reconciler.cli.commands", "reconciler.cli.completion", "reconciler.cli.exitcode",
    "reconciler.cli.held", "reconciler.cli.main", "reconciler.cli.options", "reconciler.cli.output",
    "reconciler.cli.setting_parameters", "reconciler.errors",
    "reconciler.settings", "reconciler.settings.flags", "reconciler.text", "reconciler.text.escape",
}  # fmt: skip
# What a plan of unchanged environments has no use for: what apply, observe and other views need, and large libraries.
NOT_IN_A_PLAN = {
    "reconciler.run.apply", "reconciler.run.environment", "reconciler.run.context", "reconciler.run.pace",
    "reconciler.run.observe", "reconciler.core.attempts", "reconciler.core.observe", "reconciler.core.pace",
    "reconciler.core.record", "reconciler.io.http", "reconciler.plug.client", "reconciler.state.git",
    "reconciler.state.objects", "reconciler.views.markdown", "reconciler.views.annotations", "reconciler.formats",
    "httpx", "h11", "anyio", "rich", "filelock", "deepdiff", "unicodedata",
}  # fmt: skip
MANIFEST = "webhooks:\n" + "".join(f"  {event}: https://hooks.acme.com.br/{event}\n" for event in EVENTS)


def imported(folder: Path, *arguments: str, **environ: str) -> set[str]:
    """Return the modules that a process of this program imports."""
    command = [sys.executable, "-X", "importtime", "-m", "reconciler", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=True, timeout=60
    )
    return set(re.findall(r"^import time: .*\|\s+(\S+)$", ran.stderr, re.MULTILINE))


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "reconciler"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each_help(name: str) -> None:
    """The list is a table, so it imports no command."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert COMMANDS[name] == command.get_short_help_str(200)


def test_the_version_imports_few_modules(tmp_path: Path) -> None:
    found = imported(tmp_path, "--version")
    assert ours(found) <= BARE
    assert found.isdisjoint({"click", "typing", "asyncio", "pathlib"})


@pytest.mark.parametrize("completing", [False, True])
def test_the_list_of_commands_and_its_completion_import_little_besides_click(
    tmp_path: Path, *, completing: bool
) -> None:
    asked = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler pl", "COMP_CWORD": "1"}
    found = imported(tmp_path, **asked) if completing else imported(tmp_path, "--help")
    assert ours(found) <= HELP
    assert found.isdisjoint({"pydantic", "yaml", "asyncio", "logging", "json", "msgspec", "pathlib"})


def test_the_schema_is_shown_without_the_modules_that_made_it(tmp_path: Path) -> None:
    found = imported(tmp_path, "schema")
    assert ours(found) <= HELP | {"reconciler.cli.schema", "reconciler.manifests"}
    assert found.isdisjoint({"pydantic", "yaml", "asyncio", "logging", "msgspec"})


def test_a_plan_imports_nothing_that_only_an_apply_needs(tmp_path: Path) -> None:
    """The plan is of two environments that were never applied."""
    (tmp_path / "manifests").mkdir()
    for name in ("filial", "matriz"):
        (tmp_path / "manifests" / f"{name}.yaml").write_text(MANIFEST.replace(".com.br/", f".com.br/{name}/"))
    found = imported(tmp_path, "plan")
    assert sorted(found & NOT_IN_A_PLAN) == []
