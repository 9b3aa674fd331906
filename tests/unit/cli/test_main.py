"""The ways in which a command may end: exit code and message of each (docs/contract.md#commands)."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from reconciler import __version__
from reconciler.cli.main import COMMANDS, REPORT_TO, run
from reconciler.cli.output import MAX_SHOWN_PROBLEMS, say
from reconciler.cli.session import Session
from reconciler.errors import InputError, InvalidManifests
from reconciler.model import Problem
from tests.acceptance.conftest import Cli


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ending_with(monkeypatch: pytest.MonkeyPatch, error: BaseException, *flags: str) -> int:
    """Return the exit code of a command that raises this error."""

    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setitem(sys.modules, "reconciler.cli.broken", SimpleNamespace(broken=broken))
    monkeypatch.setitem(COMMANDS, "broken", "broken")
    return run(["broken", *flags])


@pytest.mark.parametrize(
    ("error", "code", "reported"),
    [
        (KeyboardInterrupt(), 130, "\ninterrupted: nothing further was done\n"),
        (click.Abort(), 130, "interrupted: nothing further was done\n"),
        (click.ClickException("no such\x1b thing"), 3, "error: no such\\x1b thing\n"),
        (
            click.UsageError("give one"),
            3,
            "error: give one\ntry `reconciler broken --help`\n",
        ),
    ],
)
def test_each_end_has_its_code_and_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, reported: str
) -> None:
    """click's own codes are never used: 2 means changes or drift here."""
    assert ending_with(monkeypatch, error) == code
    assert capsys.readouterr() == ("", reported)


def test_an_internal_error_is_reported_with_its_place_and_without_a_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message or a local variable may hold a token; the lines are enough for a report."""
    token = "canary-token-of-a-local"
    assert ending_with(monkeypatch, ValueError(f"bad {token}")) == 1
    out, err = capsys.readouterr()
    first, *frames, last = err.splitlines()
    assert (out, token in err) == ("", False)
    assert first == "error: internal error: ValueError. Nothing is known to be wrong with your input."
    assert f"  at {__file__}:" in frames[-1] and frames[-1].endswith(" in broken")
    assert last.startswith(f"Report it to {REPORT_TO}, with these lines and the version {__version__}. ")


def test_twice_verbose_shows_every_call_of_an_internal_error_and_of_its_cause(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have files, lines and names, but no values."""
    token = "canary-token-of-a-cause"

    def make_error() -> ValueError:
        error = ValueError(f"bad {token}")
        error.__cause__ = KeyError(token)
        return error

    assert ending_with(monkeypatch, make_error(), "-vv") == 1
    loud = capsys.readouterr().err
    assert ending_with(monkeypatch, make_error()) == 1
    quiet = capsys.readouterr().err
    assert (token in loud, "caused by KeyError" in loud, "caused by" in quiet) == (False, True, False)
    assert loud.count("  at ") >= quiet.count("  at ") > 0
    assert ("-vv" in loud, "Run the command again with -vv" in quiet) == (False, True)


def test_no_command_at_all_is_wrong_usage_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help is on stderr, so a pipe gets nothing to parse."""
    assert run([]) == 3
    out, err = capsys.readouterr()
    assert (out, err.startswith("Usage: reconciler [OPTIONS] COMMAND")) == ("", True)


@pytest.mark.posix
def test_a_working_directory_that_is_gone_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another process removed the checkout, or its disk was unmounted."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(["plan"]) == 3
    reported = "error: the working directory is gone: go to your checkout again (cd), then run this again\n"
    assert capsys.readouterr() == ("", reported)


@pytest.mark.parametrize("arguments", [["plan"], ["github", "run", "command", "--", "plan"]])
def test_on_a_runner_an_error_is_annotated_once_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A step of a workflow has a session of its own."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/loja.yaml").write_text("wave: x\n")
    monkeypatch.chdir(tmp_path)
    for name, value in (("GITHUB_ACTIONS", "true"), ("RUNNER_TEMP", str(tmp_path / "temp"))):
        monkeypatch.setenv(name, value)
    assert run(arguments) == 3
    assert capsys.readouterr().err.count("::error file=manifests/loja.yaml,line=1,col=7,") == 1


def test_leaving_the_question_without_an_answer_is_130(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The user types Ctrl-D at the prompt; nothing was sent or written."""
    cli.fleet("loja")
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert run(["apply"], obj=Session(environ=cli.environ, folder=cli.folder)) == 130
    assert capsys.readouterr().err.endswith("[y/N]: \ninterrupted: nothing further was done\n")
    assert (cli.puts("loja"), cli.state_folder.exists()) == (0, False)


def test_a_label_is_coloured_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """NO_COLOR turns it off; the text itself has no colour."""
    say("that", label="error")
    assert capsys.readouterr().err == "error: that\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    say("this", label="error")
    say("this", label="note")
    monkeypatch.setenv("NO_COLOR", "1")
    say("this", label="warning")
    assert terminal.getvalue() == ("\x1b[31m\x1b[1merror: \x1b[0mthis\n\x1b[1mnote: \x1b[0mthis\nwarning: this\n")


def test_of_the_problems_of_manifests_the_first_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One wrong default in a fleet causes them; the rest is counted, with the command that lists all."""
    problems = [Problem(f"manifests/e{number:03}.yaml", 1, 1, "wave", "is no number") for number in range(502)]
    assert ending_with(monkeypatch, InvalidManifests(problems=problems)) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_SHOWN_PROBLEMS + 1
    assert lines[-2:] == [
        "error: manifests/e499.yaml:1:1: wave: is no number",
        "… and 2 more: `reconciler validate --format json` lists all",
    ]


def test_problems_that_validate_does_not_find_are_all_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing tokens, rows of a CSV and unknown variables are listed by no other command."""
    problems = [Problem("companies.csv", number, 1, "wave", "is a text") for number in range(MAX_SHOWN_PROBLEMS + 2)]
    assert ending_with(monkeypatch, InputError(problems=problems)) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_SHOWN_PROBLEMS + 2
    assert lines[-1] == "error: companies.csv:501:1: wave: is a text"
