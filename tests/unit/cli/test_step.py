"""The frame of a workflow's step: its outputs, its part of the summary, the artifact, and what the runner gets."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from reconciler.cli.step import MAX_FAILURE_CHARS, MAX_SUMMARY_BYTES, Step, reach_state_branch, run_step
from reconciler.errors import InputError, OutputFailed, PostFailed, StalePlan
from reconciler.model import EnvironmentResult, Outcome, RunResult


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    names = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary", "RUNNER_TEMP": "temp"}
    return {variable: str(tmp_path / name) for variable, name in names.items()}


def read_outputs(environ: dict[str, str]) -> list[tuple[str, str]]:
    """Return the outputs, read as the runner does."""
    text = Path(environ["GITHUB_OUTPUT"]).read_text()
    found = re.findall(r"([\w-]+)<<(\S+)\n(.*?)\n\2\n", text, re.DOTALL)
    assert "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, end, value in found) == text
    return [(name, value) for name, _, value in found]


def read_summary(environ: dict[str, str]) -> str:
    return Path(environ["GITHUB_STEP_SUMMARY"]).read_text()


def raising(error: Exception, summary: str = "the plan") -> Callable[[Step], int]:
    def work(step: Step) -> int:
        if summary:
            step.summarize(summary)
        raise error

    return work


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (1, 1), (2, 0), (4, 4)])
def test_changes_and_drift_do_not_fail_the_step(environ: dict[str, str], code: int, exit_code: int) -> None:
    """The output has the code of the command."""
    assert run_step("x", lambda step: code, environ) == exit_code
    assert read_outputs(environ) == [("exit-code", str(code))]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError.of("manifests", "is wrong"), 3, "manifests: is wrong"),
        (click.UsageError("no such thing"), 3, "no such thing"),
        (StalePlan("moved on"), 4, "moved on"),
        (PostFailed("GitHub answered 500"), 1, "GitHub answered 500"),
        (click.Abort(), 130, "interrupted: nothing further was done"),
        (KeyError("a-token"), 1, "internal error: KeyError: see the log"),
    ],
)
def test_the_error_that_ended_a_step_comes_first_in_its_summary(
    environ: dict[str, str], error: Exception, code: int, text: str
) -> None:
    """It is also an output. For our own fault only its kind is shown, because the message may hold a value."""
    with pytest.raises(type(error)):
        run_step("x", raising(error), environ)
    assert read_outputs(environ) == [("exit-code", str(code)), ("failure", text)]
    title = {3: "Refused", 4: "Stopped by the state", 130: "Interrupted", 1: "Failed"}[code]
    assert read_summary(environ) == f"## {title}\n\n```text\n{text}\n```\n\nthe plan\n"


def test_a_long_failure_is_cut_in_the_output(environ: dict[str, str]) -> None:
    """The last job gets it in a variable, and shows it in a comment."""
    with pytest.raises(InputError):
        run_step("x", raising(InputError("x" * (MAX_FAILURE_CHARS + 1))), environ)
    ((_, _), (name, value)) = read_outputs(environ)
    assert (name, len(value)) == ("failure", MAX_FAILURE_CHARS + 2)


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        *((name, place) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY") for place in (".", "file/x", "x" * 300)),
        *(("RUNNER_TEMP", place) for place in ("file", "x" * 300)),
    ],
)
def test_a_place_of_the_runner_that_can_not_be_written_is_refused_before_the_work(
    environ: dict[str, str], tmp_path: Path, variable: str, place: str
) -> None:
    """After an apply it would be too late."""
    (tmp_path / "file").write_text("mine")
    environ[variable] = str(tmp_path / place)

    def work(step: Step) -> int:
        raise AssertionError

    with pytest.raises(InputError) as refused:
        run_step("x", work, environ)
    text = str(refused.value)
    assert text.startswith(f"{variable}: {environ[variable]}")
    assert " can't be written: " in text and text.endswith(" (GitHub's runner sets it otherwise)")


@pytest.mark.posix
@pytest.mark.parametrize("variable", ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
def test_a_disk_that_is_full_at_the_end_of_a_step_is_reported(environ: dict[str, str], variable: str) -> None:
    """It never hides the error that ended the step."""
    environ[variable] = "/dev/full"

    def work(step: Step) -> int:
        step.summarize("done")
        step.output("changed", "true")
        return 0

    with pytest.raises(OutputFailed) as failed:
        run_step("x", work, environ)
    assert str(failed.value).startswith(f"{variable}: /dev/full can't be written: ")
    with pytest.raises(StalePlan):
        run_step("x", raising(StalePlan("moved on"), summary=""), environ)


def test_a_failure_with_a_name_that_is_not_utf_8_is_an_output(environ: dict[str, str]) -> None:
    with pytest.raises(InputError):
        run_step("x", raising(InputError("\udcff is wrong")), environ)
    assert ("failure", r"\udcff is wrong") in read_outputs(environ)


def test_a_restarted_summary_keeps_what_was_there_before(environ: dict[str, str]) -> None:
    """Another step's lines stay."""
    Path(environ["GITHUB_STEP_SUMMARY"]).write_text("before\n")
    step = Step("x", environ)
    step.summarize("one")
    step.summarize("two")
    assert read_summary(environ) == "before\none\ntwo\n"
    step.restart_summary()
    assert read_summary(environ) == "before\n"
    step.summarize("three")
    step.summarize_first("first")
    assert read_summary(environ) == "before\nfirst\nthree\n"


def test_a_summary_is_no_longer_than_github_takes(environ: dict[str, str]) -> None:
    """GitHub would show none of a longer one. No character is cut in two."""
    step = Step("x", environ)
    step.summarize("é" * MAX_SUMMARY_BYTES)
    step.summarize("more")
    data = read_summary(environ)
    assert len(data.encode()) <= MAX_SUMMARY_BYTES and data.endswith("... the rest is in the log\n")


def test_a_later_result_takes_the_place_of_an_earlier_one(environ: dict[str, str]) -> None:
    """An apply was interrupted, and then still ended in time."""
    step = Step("loja/../x", environ)
    for outcome in (Outcome.UNCERTAIN, Outcome.APPLIED):
        step.leave_result(RunResult((EnvironmentResult("loja", outcome, (), 1, 200, "", 0.1),), interrupted=True))
    outputs = dict(read_outputs(environ))
    assert outputs["exit-code"] == "130"
    folder = Path(outputs["result"])
    assert (folder.name, folder.parent) == ("result-loja_.._x", Path(outputs["artifact"]))
    assert '"applied"' in (folder / "result.json").read_text()
    assert "1 applied" in read_summary(environ) and "uncertain" not in read_summary(environ)


def test_git_keeps_the_configuration_that_the_runner_gives_it() -> None:
    """A container needs safe.directory, for example. GITHUB_TOKEN is added behind it."""
    own = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "/work"}
    header = "http.https://github.com/.extraheader"
    for given, keys in (({}, [header, header]), (own, ["safe.directory", header, header])):
        found = {**given, "GITHUB_TOKEN": "x"}
        reach_state_branch(Step("x", found))
        asked = {"PATH": os.environ["PATH"], **found}
        listing = ["git", "config", "--show-scope", "--list", "--name-only"]
        shown = subprocess.run(listing, env=asked, check=True, capture_output=True, text=True).stdout
        assert [line[len("command\t") :] for line in shown.splitlines() if line.startswith("command\t")] == keys


def test_a_token_that_is_not_utf_8_ends_no_step(environ: dict[str, str]) -> None:
    """The step that sends it refuses it."""
    assert run_step("x", lambda step: 0, {**environ, "GITHUB_TOKEN": "\udc80"}) == 0


def test_nothing_is_masked_outside_of_a_runner(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """There the mask itself would show the secret."""
    Step("x", environ).mask("a-token")
    assert capsys.readouterr().err == ""
    Step("x", {**environ, "GITHUB_ACTIONS": "true"}).mask("a-token", "")
    assert capsys.readouterr().err == "::add-mask::a-token\n"


def test_a_secret_that_was_taken_is_in_no_variable(environ: dict[str, str]) -> None:
    """No started program gets it."""
    step = Step("x", {**environ, "PLUG_TOKEN": "a-token"})
    assert (step.take("PLUG_TOKEN"), step.take("PLUG_TOKEN")) == ("a-token", "")
    assert "PLUG_TOKEN" not in step.make_session().environ
