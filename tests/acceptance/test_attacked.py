"""Regression tests for the weaknesses that a security review found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.core.masking import mask_url
from reconciler.model import EVENTS
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli

WEBHOOKS = "webhooks:\n" + "".join(
    f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS
)


def fleet(root: Path, names: list[str], more: str = "") -> None:
    (root / "manifests").mkdir()
    (root / "manifests" / "_defaults.yaml").write_text(more + WEBHOOKS)
    for name in names:
        (root / "manifests" / f"{name}.yaml").write_text("{}\n")


def session(root: Path, sandbox: Sandbox, **environ: str) -> Session:
    settings = {"RECONCILER_API__BASE_URL": sandbox.base_url, "PATH": os.environ["PATH"]}
    return Session(environ=settings | environ, folder=root)


def tokens(root: Path, names: list[str]) -> dict[str, str]:
    return {f"PLUG_TOKEN_{name.upper()}": f"token-of-{name}-in-{root.name}" for name in names}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_after_max_failures_nothing_more_is_sent_in_a_large_wave(cli: Cli, sandbox: Sandbox) -> None:
    """No intent stays that was written ahead: environments that were not tried are skipped and have no document."""
    names = [f"e{number:02}" for number in range(40)]
    cli.fleet(*names)
    sandbox.plug.options = replace(sandbox.plug.options, tokens=frozenset({"another"}))
    ran = cli.run("apply", "--yes", "--format", "json", "--concurrency", "1", "--max-failures", "3", code=1)
    assert ran.json["summary"]["rejected"] == 3
    assert ran.json["summary"]["skipped"] == 37
    assert len(cli.state_bytes()) == 3


def test_an_actor_that_is_not_utf8_leaves_a_readable_state(root: Path, sandbox: Sandbox) -> None:
    """A JSON document can't hold lone surrogates."""
    fleet(root, ["a"])
    given = session(root, sandbox, **tokens(root, ["a"]), GITHUB_ACTOR="j\udce3o", GITHUB_SHA="\udcff")
    assert run(["apply", "--yes"], obj=given) == 0
    assert run(["state", "show", "a"], obj=given) == 0
    assert run(["plan", "--detailed-exitcode"], obj=given) == 0


def test_a_secret_that_is_not_utf8_is_refused_by_its_name(
    root: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names its variable; a plan doesn't need the secret."""
    fleet(root, ["a"])
    text = (root / "manifests" / "_defaults.yaml").read_text()
    (root / "manifests" / "_defaults.yaml").write_text(text.replace("/sendingMessage", "/{secret:PLUG_SECRET_K}"))
    given = session(root, sandbox, **tokens(root, ["a"]), PLUG_SECRET_K="\udcff\udcfe")
    assert run(["plan"], obj=given) == 0
    assert run(["apply", "--yes"], obj=given) == 3
    assert "PLUG_SECRET_K" in capsys.readouterr().err


def test_a_manifest_whose_name_cannot_be_shown_is_refused(root: Path, sandbox: Sandbox) -> None:
    """Otherwise a saved plan could not be read again."""
    fleet(root, ["a"])
    Path(os.fsdecode(os.fsencode(str(root / "manifests")) + b"/z\xff.yaml")).write_text("environment: z\n")
    assert run(["validate"], obj=session(root, sandbox)) == 3


def test_apply_reports_an_unreadable_tokens_file(
    root: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a tokens file environments may share a variable, so that isn't reported too; validate only warns."""
    fleet(root, ["a", "b"], "token_env: PLUG_TOKEN_S\n")
    given = session(root, sandbox, RECONCILER_TOKENS_FILE="missing.yaml")
    assert run(["validate"], obj=given) == 0
    assert "missing.yaml" in capsys.readouterr().out
    assert run(["apply", "--yes"], obj=given) == 3
    error = capsys.readouterr().err
    assert "missing.yaml" in error
    assert "same token_env" not in error


def test_an_unused_var_that_equals_a_used_one_does_not_split_a_group(
    root: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only vars that the URLs use tell environments apart; the output shows all names of a group."""
    (root / "manifests").mkdir()
    lines = "".join(f"  {event}: https://{{host}}/{{environment}}/{{ver}}/{event}\n" for event in EVENTS)
    (root / "manifests" / "_defaults.yaml").write_text("vars: {ver: '1'}\nwebhooks:\n" + lines)
    for number in range(60):
        text = f"vars: {{host: h{number}.acme.com.br, id: '{number}'}}\n"
        (root / "manifests" / f"cliente-{number}.yaml").write_text(text)
    assert run(["plan"], obj=session(root, sandbox)) == 0
    shown = capsys.readouterr().out
    assert "60 environments alike" in shown
    assert all(f"cliente-{number}" in shown for number in range(60))


@pytest.mark.parametrize("line_end", ["\n", "\r", "\u2028", "\x85"])
def test_deep_indentation_is_refused_at_any_line_end(root: Path, sandbox: Sandbox, line_end: str) -> None:
    """YAML has more line ends than the newline."""
    fleet(root, ["a"])
    (root / "manifests" / "a.yaml").write_bytes(line_end.join(" " * depth + "a:" for depth in range(900)).encode())
    assert run(["validate"], obj=session(root, sandbox)) == 3


def test_drift_masks_what_held_a_secret() -> None:
    """Only the scheme, the host and an ellipsis are shown."""
    assert mask_url("https://hooks.acme.com.br:8443/r?k={secret:PLUG_SECRET_K}") == "https://hooks.acme.com.br:8443/…"
    assert mask_url("https://hooks.acme.com.br?k={secret:PLUG_SECRET_K}") == "https://hooks.acme.com.br/…"


def test_dry_run_knows_an_accepted_account_change(
    root: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guard that would not stop apply causes no warning."""
    fleet(root, ["a"])
    first, second = (f"eyJhbGciOiJub25lIn0.eyJvcmdhbml6YXRpb25JZCI6{part}.c2ln" for part in ("MX0", "Mn0"))
    assert run(["apply", "--yes"], obj=session(root, sandbox, PLUG_TOKEN_A=first)) == 0
    given = session(root, sandbox, PLUG_TOKEN_A=second)
    capsys.readouterr()
    assert run(["apply", "--dry-run", "--format", "json"], obj=given) == 0
    assert any("swapped" in one for one in json.loads(capsys.readouterr().out)["warnings"])
    assert run(["apply", "--dry-run", "--format", "json", "--accept-account-change", "a"], obj=given) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_a_malformed_token_outside_the_selection_is_ignored(root: Path, sandbox: Sandbox) -> None:
    """`-e` narrows every command."""
    fleet(root, ["a", "b"])
    given = session(root, sandbox, PLUG_TOKEN_B="with space")
    assert run(["plan", "-e", "a"], obj=given) == 0
    assert run(["plan"], obj=given) == 3


def wait_for_our_first_line(pid: int) -> None:
    """Wait until the process handles SIGTERM: before that, Python is still starting and runs none of our code."""
    for _ in range(3000):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1 or "State:\tZ" in status:
            return
        time.sleep(0.01)


@pytest.mark.linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.3])
def test_a_signal_at_any_moment_ends_a_plan_in_order(cli: Cli, number: signal.Signals, delay_s: float) -> None:
    """It may come during an import; after the plan was done, the code is 0."""
    cli.fleet("loja")
    running = cli.start("plan")
    wait_for_our_first_line(running.process.pid)
    time.sleep(delay_s)
    running.process.send_signal(number)
    assert running.finish().code in (0, 130)


@pytest.mark.linux
@pytest.mark.parametrize("command", [["--version"], ["schema"], ["plan"]])
def test_a_full_stdout_is_reported(root: Path, command: list[str]) -> None:
    """The exit code is one of the contract's, and no traceback is printed."""
    fleet(root, ["a"])
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(root)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *command], env=environ, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_selection_narrows_the_commands_of_one_environment_too(root: Path, sandbox: Sandbox) -> None:
    """A glob that matches only environments outside the selection matches nothing."""
    fleet(root, ["a"])
    given = session(root, sandbox, **tokens(root, ["a"]))
    assert run(["apply", "--yes"], obj=given) == 0
    assert run(["state", "show", "a", "-e", "a*"], obj=given) == 0
    for command in ("show", "history"):
        assert run(["state", command, "a", "-e", "b*"], obj=given) == 3
    for command in ("adopt", "forget", "unlock"):
        assert run(["state", command, "a", "-e", "b*", "--yes"], obj=given) == 3
