"""Each command's help shows an example, and each example works as it is typed, in a tree that `init` made."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from msgspec.structs import replace

from reconciler.cli.main import cli as program
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import ROOT, TIMEOUT_S, canary
from tests.forked import FORKS
from tests.measured import measured

SANDBOX_URL = "http://127.0.0.1:8787"  # The help shows this address; the tests replace it by their own.
COLUMNS = 78  # Click leaves two columns of an 80-column terminal free.

# They post to GitHub, so they are only parsed here; tests/workflows runs them against a stand-in.
ON_GITHUB = {
    *("github", "github run", "github run apply", "github run begin", "github run command", "github run drift"),
    *("github run result", "github run review"),
}

# The receivers don't exist (see BEFORE); everything else is in order.
CODES = {"check": 2}

# No server listens there: calls of receivers are refused at once, and nothing leaves this machine.
WITHOUT_RECEIVERS = "sed -i -E 's/hooks(-staging)?.example.com/127.0.0.1:1/' manifests/*.yaml"

# What must be run before an example works.
BEFORE = {
    "check": WITHOUT_RECEIVERS,
    "report": WITHOUT_RECEIVERS,
    "state copy": "git push --quiet origin :reconciler-state",  # The target of the copy must be empty.
    "state rename": "mv manifests/staging.yaml manifests/homologacao.yaml && sed -i 's/staging/homologacao/' "
    "manifests/homologacao.yaml",
    "import": "printf 'environment,account_id\\nfilial,2-1\\n' > companies.csv",
    "state adopt": "echo 'account_id: 32133-31232' >> manifests/staging.yaml",
    "github failure": "echo 'error: state: it is locked' > stderr.txt",
    "github tokens": "umask 077 && echo 'staging: a-made-up-one' > tokens.yaml",
}

SECRETS = {
    "PLUG_TOKEN_STAGING": canary(),
    "PLUG_TOKEN_PRODUCTION": canary(),
    "PLUG_SECRET_RECEIVE": canary("secret"),
    "PLUG_PARTNER_TOKEN": canary("partner"),
}

ACCOUNTS = {"32133-31232": SECRETS["PLUG_TOKEN_STAGING"], "2-1": SECRETS["PLUG_TOKEN_PRODUCTION"]}

ENVIRON = {
    "sandbox": dict.fromkeys(SECRETS, ""),  # The sandbox's example names every secret that it needs.
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command and group with its words; the program itself has the empty text."""
    waiting: list[tuple[str, click.Command]] = [("", program)]
    while waiting:
        path, command = waiting.pop()
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                waiting.append((f"{path} {name}".strip(), inner))


COMMANDS = dict(sorted(commands()))


def examples(command: click.Command) -> list[str]:
    """Return the lines to type; a line that ends with a backslash continues on the next."""
    text = f"{inspect.cleandoc(command.help or '')}\n\n{command.epilog or ''}"
    shown = re.search(r"^Example:\n((?: +\S.*\n?)+)", text, re.MULTILINE)
    if shown is None:
        return []
    lines = re.sub(r"\\\n *", "", shown[1]).splitlines()
    return [line.strip() for line in lines if not line.strip().startswith("#")]


def parse(line: str) -> None:
    """Parse a line. Raises click's error if it has an unknown word."""
    words = shlex.split(re.split(r" (?:&|[|]|>>?) ?", line)[0])
    while "=" in words[0]:
        words.pop(0)
    assert words.pop(0) == "reconciler"
    command: click.Command = program
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    command.make_context(command.name, words)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, _server: Sandbox) -> Iterator[Path]:
    """Yield a folder with `work`, which `init` made and whose state is applied, and `remote.git` beside it."""
    top = tmp_path_factory.mktemp("help")
    (top / "bin").mkdir()
    FORKS.write_program(top / "bin" / "reconciler")
    (top / "work").mkdir()
    done = type_in(
        top,
        "git init --quiet --bare ../remote.git && git init --quiet && git remote add origin ../remote.git && "
        "reconciler init --action acme/reconciler@main && "
        "reconciler apply --yes && reconciler state copy git:origin/reconciler-state .reconciler/state --yes && "
        "reconciler plan --out plan.json && reconciler drift --also json=drift.json --also markdown=drift.md",
        _server.base_url,
    )
    assert done.returncode == 0, done.stdout
    yield top
    shutil.rmtree(top)


def type_in(
    top: Path, line: str, base_url: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Type a line in a shell in `work`, on a terminal where each answer is yes; return both streams."""
    environ = {
        **measured(),
        "PATH": f"{top / 'bin'}:{os.environ['PATH']}",
        "HOME": str(top),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "RECONCILER_API__BASE_URL": base_url,
        "RECONCILER_PARTNER__BASE_URL": base_url,
        "RECONCILER_ALLOW_LOCAL_RECEIVERS": "true",
        **SECRETS,
        "RUNNER_TEMP": str(top),
        "GITHUB_OUTPUT": str(top / "output"),
        **(more or {}),
    }
    pty = pytest.importorskip("pty", reason="POSIX terminals")
    master, slave = pty.openpty()
    try:
        os.write(master, b"y\ny\n")
        return subprocess.run(
            ["bash", "-c", line],
            cwd=top / "work",
            env=environ,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_shows_an_example(path: str) -> None:
    """The example is the command's, or for a group one of its commands'."""
    lines = examples(COMMANDS[path])
    assert lines
    assert any(f"reconciler {path}".strip() in line for line in lines)


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if isinstance(command, click.Group)])
def test_a_list_of_commands_shows_each_sentence_whole(path: str) -> None:
    """Click cuts what is longer than 80 columns, and writes dots."""
    group = COMMANDS[path]
    assert isinstance(group, click.Group)
    names = group.list_commands(click.Context(group))
    room = COLUMNS - 6 - max(map(len, names))
    for name in names:
        sentence = COMMANDS[f"{path} {name}".strip()].get_short_help_str(room)
        assert not sentence.endswith("..."), f"{name}: {sentence}"


@pytest.mark.parametrize("path", sorted(ON_GITHUB))
def test_an_example_that_posts_to_github_can_be_parsed(path: str) -> None:
    """The program knows all its words."""
    for line in examples(COMMANDS[path]):
        parse(line)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in ON_GITHUB])
def test_an_example_works_as_it_is_typed(path: str, tree: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    """A command's examples run in order, in its own copy of the tree."""
    sandbox.plug.options = replace(sandbox.plug.options, accounts=ACCOUNTS)
    for name in ("work", "remote.git", "bin"):
        shutil.copytree(tree / name, tmp_path / name, symlinks=True)
    if path in BEFORE:
        done = type_in(tmp_path, BEFORE[path], sandbox.base_url)
        assert done.returncode == 0, done.stdout
    for line in examples(COMMANDS[path]):
        if line.startswith("reconciler sandbox"):
            # It serves until Ctrl-C, on a port that another test may use, so the tests' sandbox replaces it.
            parse(line)
            continue
        # jq shows the use of a pipe, and isn't a part of the program.
        typed = line.replace(SANDBOX_URL, sandbox.base_url).partition(" | jq ")[0]
        typed = typed.replace("--state /tmp/", f"--state {tmp_path}/")
        done = type_in(tmp_path, typed, sandbox.base_url, ENVIRON.get(path))
        assert done.returncode == CODES.get(path, 0), f"{line}\n{done.stdout}"
        assert not [name for name, value in SECRETS.items() if value in done.stdout]
