"""The commands on a system without POSIX, as far as this one can imitate it (`tests/posixless.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import posixless
from tests.acceptance.bad_day.world import hurt
from tests.acceptance.conftest import Cli

COMMANDS = (
    ("validate",),
    ("plan", "--out", "plan.json"),
    ("apply", "--yes", "plan.json"),
    ("apply", "--yes", "--also", "json=result.json", "--also", "markdown=result.md"),
    ("drift",),
    ("state", "list"),
    ("report", "--out", "report.html"),
    ("demo",),
)


@pytest.fixture
def windows(cli: Cli) -> Iterator[Cli]:
    with hurt(cli, Path(posixless.__file__).read_text(encoding="utf-8")):
        yield cli


def all_files(cli: Cli) -> dict[str, bytes]:
    paths = (path for path in cli.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(cli.root).as_posix(): path.read_bytes() for path in paths}


def test_every_command_works_and_writes_the_same_bytes(windows: Cli) -> None:
    """Files and stdout get no "\\r", and all is UTF-8, so that systems can share a state and a plan."""
    windows.fleet("loja", "matriz")
    written = []
    for number, command in enumerate(COMMANDS):
        if number == 3:
            windows.manifest("loja", version="2")
        ran = windows.run(*command, code=0)
        assert "\r" not in ran.out + ran.err
        written.append(ran.out)
    assert "━━" in written[-1], "UTF-8 beyond the country's code page"
    assert [name for name, data in all_files(windows).items() if b"\r" in data] == []
    assert windows.held("loja") == windows.desired("loja", "2")
    for name in ("loja", "matriz"):
        assert windows.document(name)["intent"] is None
    assert {"work/plan.json", "work/report.html", "work/result.json", "work/result.md"} < all_files(windows).keys()


def test_a_state_of_one_system_is_read_on_the_other(windows: Cli) -> None:
    """Versions are hashes of the bytes on the disk: another line end would make another document."""
    windows.fleet("loja")
    windows.run("apply", "--yes", code=0)
    before = windows.state_bytes()
    with_posix = {"PYTHONPATH": windows.environ["PYTHONPATH"].partition(os.pathsep)[2]}
    assert windows.run("plan", "--format", "json", code=0, env=with_posix).actions == {"loja": "noop"}
    windows.run("state", "adopt", "loja", "--unverified", "--yes", code=0, env=with_posix)
    assert windows.run("plan", "--format", "json", code=0).actions == {"loja": "noop"}
    assert windows.state_bytes().keys() == before.keys()


def test_a_tokens_file_needs_no_mode(windows: Cli) -> None:
    """The system has no file mode that could be set."""
    windows.fleet("loja")
    token = windows.environ.pop(windows.token_env("loja"))
    windows.planted.add(windows.write("tokens.json", f'{{"loja": "{token}"}}'))
    (windows.folder / "tokens.json").chmod(0o644)
    windows.run("apply", "--yes", "--tokens-file", "tokens.json", code=0)
    windows.environ[windows.token_env("loja")] = token
    assert windows.held("loja") == windows.desired("loja")


def test_the_stand_in_removes_what_it_says(tmp_path: Path) -> None:
    """It removes it from the package only; otherwise these tests would prove nothing."""
    (tmp_path / "sitecustomize.py").write_text(Path(posixless.__file__).read_text(encoding="utf-8"))
    (tmp_path / "reconciler").mkdir()
    (tmp_path / "reconciler" / "__init__.py").write_text("")
    (tmp_path / "reconciler" / "probe.py").write_text(
        "import asyncio, os, signal\n"
        "print([name for name in ('O_NONBLOCK', 'O_CLOEXEC', 'O_DIRECTORY', 'getuid') if hasattr(os, name)])\n"
        "print(hasattr(signal, 'SIGHUP'))\n"
        "try: os.open('.', os.O_RDONLY)\n"
        "except PermissionError as error: print(error.errno)\n"
        "descriptor = os.open('a', os.O_WRONLY | os.O_CREAT)\n"
        "os.write(descriptor, b'1\\n')\n"
        "open('b', 'w').write('1\\n')\n"
        "try: asyncio.SelectorEventLoop().add_signal_handler(signal.SIGINT, print)\n"
        "except NotImplementedError: print('none')\n"
    )
    script = "import os, reconciler.probe; print(hasattr(os, 'O_DIRECTORY'))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True
    )
    assert ran.stdout == b"[]\r\nFalse\r\n13\r\nnone\r\nTrue\r\n"
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"1\r\n", b"1\r\n"]
