"""Files that a command reads or writes: a problem with one names it (exit 3)."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from reconciler.cli.annotations import find_path
from reconciler.cli.files import read_result
from reconciler.cli.session import Session
from reconciler.core.saved_plan import SavedPlan
from reconciler.errors import InputError
from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive


@pytest.mark.posix
@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ("apply --yes large.json", "error: PLANFILE: large.json is larger than 1 MiB (make one with "),
        ("report --check large.json", "error: --check: large.json is larger than 1 MiB (make one with "),
    ],
)
def test_a_file_beyond_the_limit_is_not_read_to_its_end(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: str, reported: str
) -> None:
    """A runner's disk holds larger files than its memory."""
    monkeypatch.setattr("reconciler.cli.files.MAX_BYTES", 1 << 20)
    cli.fleet("loja")
    cli.write("large.json", " " * ((1 << 20) + 1))
    drove = drive(cli.folder, cli.environ, *arguments.split())
    assert (drove.code, drove.out) == (3, "")
    assert drove.err.startswith(reported)
    assert not (cli.folder / ".reconciler").exists()


@pytest.mark.parametrize("text", ["\ufeff{}", "\ufeff{}\r\n"])
def test_a_plan_file_may_have_a_byte_order_mark(cli: Cli, text: str) -> None:
    """Windows' programs add one, and other line ends, when they save a file."""
    cli.fleet("loja")
    assert drive(cli.folder, cli.environ, "plan", "--out", "plan.json").code == 0
    plan = (cli.folder / "plan.json").read_text(encoding="utf-8")
    stored = text.replace("{}", plan.replace("\n", "\r\n") if "\r" in text else plan)
    (cli.folder / "plan.json").write_bytes(stored.encode())
    assert isinstance(read_result(cli.folder / "plan.json"), SavedPlan)
    assert drive(cli.folder, cli.environ, "apply", "--yes", "plan.json").code == 0
    assert cli.held("loja") == cli.desired("loja")


def test_a_plan_file_of_powershell_is_named(cli: Cli) -> None:
    """Its > writes UTF-16; --out writes a readable file."""
    cli.fleet("loja")
    (cli.folder / "plan.json").write_text("{}", encoding="utf-16")
    drove = drive(cli.folder, cli.environ, "apply", "--yes", "plan.json")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == (
        "error: PLANFILE: plan.json is UTF-16, as PowerShell's > writes it (make one with "
        "`reconciler plan --out FILE`; one environment is `-e NAME`)\n"
    )


@pytest.mark.posix
def test_a_plan_may_come_through_a_pipe(cli: Cli) -> None:
    """`apply <(…)` does this."""
    cli.fleet("loja")
    assert drive(cli.folder, cli.environ, "plan", "--out", "plan.json").code == 0
    os.mkfifo(cli.folder / "pipe")
    writer = threading.Thread(target=lambda: (cli.folder / "pipe").write_bytes((cli.folder / "plan.json").read_bytes()))
    writer.start()
    assert drive(cli.folder, cli.environ, "apply", "--yes", "pipe").code == 0
    writer.join()


def test_a_problem_outside_of_the_repository_is_annotated_without_a_file(cli: Cli) -> None:
    """The file is missing, elsewhere, or of an impossible name, so the runner could not show it."""
    cli.fleet("loja")
    path_of = find_path(Session(environ={"GITHUB_WORKSPACE": str(cli.root)}, folder=cli.folder))
    assert path_of("manifests/loja.yaml") == "work/manifests/loja.yaml"
    assert [path_of(name) for name in ("manifests/gone.yaml", "/etc/passwd", "manifests/" + "x" * 300)] == [None] * 3


def test_a_missing_result_is_reported(tmp_path: Path) -> None:
    """An earlier step may have failed before it wrote it."""
    with pytest.raises(InputError) as refused:
        read_result(tmp_path / "plan.json")
    assert str(refused.value) == (
        f"RESULT: {tmp_path}/plan.json can't be read: No such file or directory (name a file that --format json or "
        "--also json=FILE made)"
    )


@pytest.mark.posix
@pytest.mark.parametrize(
    ("out", "reported"),
    [
        ("manifests", "manifests is a folder"),
        ("no/such/page.html", "no/such/page.html can't be written: No such file or directory"),
        ("x" * 300, f"{'x' * 300} can't be written: File name too long"),
    ],
)
def test_a_page_that_can_not_be_written_is_reported(cli: Cli, out: str, reported: str) -> None:
    """The message has the path as it was given."""
    cli.fleet("loja")
    drove = drive(cli.folder, cli.environ, "report", "--out", out)
    assert drove.code == 3
    assert drove.err == f"error: --out: {reported} (name a file in a folder that can be written)\n"


@pytest.mark.parametrize(
    "also", ["no/such.json", "x" * 300 + "/plan.json", "manifests"], ids=["missing", "too long", "a folder"]
)
def test_an_unwritable_file_of_also_is_reported_before_anything_is_sent(cli: Cli, also: str) -> None:
    """After the apply it would be too late to name another file."""
    cli.fleet("loja")
    drove = drive(cli.folder, cli.environ, "apply", "--yes", "--also", f"json={also}")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == f"error: --also: {also} can't be written (name a file in a folder that exists)\n"
    assert (cli.puts("loja"), cli.state_folder.exists()) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("-e", "loj"), ("--environment", "'loj' matches no environment", "did you mean loja?")),
        (
            ("--state", "git:origin"),
            (
                "state",
                "does not name a remote and a branch",
                "write git:REMOTE/BRANCH, as in git:origin/reconciler-state",
            ),
        ),
    ],
)
def test_validate_reports_problems_of_its_own_arguments(
    cli: Cli, arguments: tuple[str, str], fault: tuple[str, str, str]
) -> None:
    """They are in the requested format, because a pipeline reads nothing else."""
    cli.fleet("loja")
    drove = drive(cli.folder, cli.environ, "validate", *arguments, "--format", "json")
    found = json.loads(drove.out)
    assert (drove.code, found["ok"]) == (3, False)
    assert [(one["key"], one["message"], one["hint"]) for one in found["errors"]] == [fault]
