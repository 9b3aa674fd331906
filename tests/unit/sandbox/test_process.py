"""The sandbox as a process: `run` and the command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest
from click.testing import CliRunner

import reconciler.sandbox.server
from reconciler.cli.sandbox import sandbox
from reconciler.errors import InputError
from reconciler.io.signals import SIGNALS
from reconciler.model import BodyForm
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import serve_in_thread

pytestmark = pytest.mark.slow

COMMAND = "from reconciler.cli.sandbox import sandbox; sandbox(prog_name='sandbox')"


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_line_is_the_base_url_and_a_signal_ends_it(number: int) -> None:
    """Connections are accepted once the line is there; nothing else is printed; 130 at the end."""
    with _process("--port", "0", "--account", "7=canary-token") as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().removesuffix("\n")
        assert base_url.startswith("http://127.0.0.1:")
        request = urllib.request.Request(
            base_url + "/integrator/account/7/", headers={"Authorization": "Bearer partner"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert process.communicate(timeout=120) == ("", "")
        assert process.returncode == 130


def test_a_port_in_use_leaves_stdout_empty() -> None:
    """No URL is announced that isn't served."""
    with serve_in_thread() as running:
        port = running.base_url.rpartition(":")[2]
        result = CliRunner().invoke(sandbox, ["--port", port])
    assert isinstance(result.exception, InputError)
    assert result.stdout == ""


@pytest.mark.parametrize("exclusive", [False, True], ids=["posix", "windows"])
def test_a_port_is_the_sandboxs_alone(monkeypatch: pytest.MonkeyPatch, exclusive: bool) -> None:
    """Windows shares a reused address between programs, and has an option against it."""
    if exclusive:
        monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    asked: list[int] = []
    set_option = socket.socket.setsockopt

    def record(self: socket.socket, level: int, option: int, value: int) -> None:
        if level == socket.SOL_SOCKET:
            asked.append(option)
        set_option(self, level, option, value)

    with monkeypatch.context() as patch, serve_in_thread() as running:
        port = int(running.base_url.rpartition(":")[2])
        patch.setattr(socket.socket, "setsockopt", record)
        with pytest.raises(InputError), serve_in_thread(Options(port=port)):
            pass
    assert asked == [socket.SO_KEEPALIVE if exclusive else socket.SO_REUSEADDR]


def _options(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Options:
    seen: list[Options] = []

    def run(options: Options, announce: object) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(reconciler.sandbox.server, "run", run)
    result = CliRunner().invoke(sandbox, arguments)
    assert (result.exit_code, result.output) == (0, "")
    return seen[0]


def test_every_option_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags are the contract's."""
    given = (
        "--port 0 --token a --token b --account 7=a --account 8=x=y --latency 0.5 --failure-rate 0.25"
        " --rate-limit 10 --lost-answers 1 --seed 42 --body value --ignore-other-form"
    )
    assert _options(monkeypatch, *given.split()) == Options(
        port=0,
        tokens=frozenset({"a", "b"}),
        accounts={"7": "a", "8": "x=y"},
        latency_s=0.5,
        failure_rate=0.25,
        rate_limit=10.0,
        lost_answers=1.0,
        seed=42,
        body_forms=frozenset({BodyForm.VALUE}),
        ignore_other_form=True,
    )


def test_without_options_no_fault_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new user gets a working sandbox on a memorable port."""
    assert _options(monkeypatch) == Options(port=8787)


@pytest.mark.parametrize(
    "arguments",
    [
        "--failure-rate 1.1",
        "--failure-rate -0.1",
        "--failure-rate nan",
        "--lost-answers 2",
        "--lost-answers nan",
        "--latency -1",
        "--latency inf",
        "--latency nan",
        "--rate-limit 0",
        "--rate-limit inf",
        "--port 65536",
        "--account canary",
        "--account =canary",
        "--account canary=",
        "--account 7=canary --account 7=canary",
        "--token canary\tx",
        "--token canáry",
        "--token=",
        "--host 0.0.0.0",
    ],
)
def test_wrong_usage_is_refused_without_repeating_a_token(arguments: str) -> None:
    """click's own usage error, which the program maps to 3."""
    result = CliRunner().invoke(sandbox, arguments.split(" "))
    assert result.exit_code == click.UsageError.exit_code
    assert "can" not in result.stderr.replace("can't", "")
    assert result.stdout == ""


def test_the_help_shows_an_example() -> None:
    """Every command's help has one."""
    result = CliRunner().invoke(sandbox, ["--help"])
    assert result.exit_code == 0
    assert "reconciler sandbox --port 8787 --account" in result.output


def test_the_package_alone_loads_no_server() -> None:
    """Neither the package nor the command's module brings in uvicorn, starlette or httpx."""
    code = (
        "import sys, reconciler, reconciler.cli.sandbox;"
        "sys.exit(bool({'uvicorn', 'starlette', 'httpx'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
