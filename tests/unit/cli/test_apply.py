"""The messages of an apply beside its result, and its exit code if the result can't be shown."""

from __future__ import annotations

import errno
import io
import sys

import pytest
from msgspec.structs import replace

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, canary
from tests.fuzz.hostile import drive


class Unwritable(io.StringIO):
    """A stdout whose reader has ended, or whose disk is full. It has no descriptor, as under a test's capture."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str) -> int:
        raise OSError(self._number, "No space left on device")


def lock(cli: Cli, name: str) -> None:
    """Write a live intent of another run."""
    document = cli.document(name)
    applied = document["applied"]
    document["intent"] = {
        "id": "another",
        "webhooks": applied["webhooks"],
        "doubt": False,
        "at": applied["at"],
        "lease_until": "2999-01-01T00:00:00Z",
        "by": {"actor": "ana"},
    }
    cli.put_document(name, document)


@pytest.mark.parametrize(
    ("number", "reported"),
    [
        (errno.EPIPE, "error: nothing reads stdout any more. What was done is done\n"),
        (errno.ENOSPC, "error: the result can't be written to stdout: No space left on device. "),
    ],
    ids=["gone", "full"],
)
@pytest.mark.parametrize("locked", [False, True])
def test_a_result_that_can_not_be_shown_is_1_unless_something_worse_happened(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    reported: str,
    locked: bool,
) -> None:
    """4 comes before 1 (docs/contract.md#commands). What was done is recorded in both cases."""
    cli.fleet("loja", "matriz")
    assert drive(cli.folder, cli.environ, "apply", "--yes", "-e", "matriz").code == 0
    cli.manifest("matriz", version="2")
    if locked:
        lock(cli, "matriz")
    monkeypatch.setattr(sys, "stdout", Unwritable(number))
    assert run(["apply", "--yes"], obj=Session(environ=cli.environ, folder=cli.folder)) == (4 if locked else 1)
    err = capsys.readouterr().err
    assert reported in err and err.count("error:") == 1
    assert cli.document("loja")["intent"] is None
    assert cli.held("loja") == cli.desired("loja")
    assert cli.held("matriz") == cli.desired("matriz", "1" if locked else "2")


def test_what_could_not_be_observed_is_a_warning_if_no_plan_is_shown(cli: Cli, sandbox: Sandbox) -> None:
    """With --yes, the environment is put for its other reasons, and the failed read is reported once."""
    cli.fleet("loja")
    cli.manifest("loja", more="account_id: 1-loja\n")
    cli.environ |= {"PLUG_PARTNER_TOKEN": canary("partner"), "RECONCILER_PARTNER__BASE_URL": sandbox.base_url}
    sandbox.plug.options = replace(Options(), partner_tokens=frozenset({"another"}))
    drove = drive(cli.folder, cli.environ, "apply", "--yes", "--observe")
    assert drove.code == 0
    (warning,) = [line for line in drove.err.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: not observed: loja: ") and "PLUG_PARTNER_TOKEN" in warning
    assert cli.held("loja") == cli.desired("loja")
