"""Each command's help shows an example, and each example works as it is typed, in a tree that `init` made."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest

from reconciler.cli.main import cli as program
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import ROOT, TIMEOUT_S, canary
from tests.forked import FORKS
from tests.measured import measured

SANDBOX_URL = "http://127.0.0.1:8787"  # as the help writes it; the tests put their own there
COLUMNS = 78  # of a terminal of 80, click leaves two free

# They post to GitHub, so they are parsed only; tests/workflows runs them against a stand-in of it.
ON_GITHUB = {
    *("github", "github run", "github run apply", "github run begin", "github run command", "github run drift"),
    *("github run result", "github run review"),
}

# Its receivers are not there (see BEFORE); everything else is in order.
CODES = {"check": 2}

# Nobody listens there: whoever calls the receivers is refused at once, and nothing leaves this machine.
WITHOUT_RECEIVERS = "sed -i -E 's/hooks(-staging)?.example.com/127.0.0.1:1/' manifests/*.yaml"

# What has to be so before an example makes sense.
BEFORE = {
    "check": WITHOUT_RECEIVERS,
    "report": WITHOUT_RECEIVERS,
    "state copy": "git push --quiet origin :reconciler-state",  # its target must be empty
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
    "sandbox": dict.fromkeys(SECRETS, ""),  # its example names all that is needed
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and group by its words, the program itself as the empty text."""
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
    """The lines to type; one that ends with a backslash goes on."""
    text = f"{inspect.cleandoc(command.help or '')}\n\n{command.epilog or ''}"
    shown = re.search(r"^Example:\n((?: +\S.*\n?)+)", text, re.MULTILINE)
    if shown is None:
        return []
    lines = re.sub(r"\\\n *", "", shown[1]).splitlines()
    return [line.strip() for line in lines if not line.strip().startswith("#")]


def parse(line: str) -> None:
    """Raises click's error where a word of it is none of the program's."""
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
    """A folder with `work`, which is what `init` made with its state applied, and `remote.git` beside it."""
    top = tmp_path_factory.mktemp("help")
    (top / "bin").mkdir()
    FORKS.write_program(top / "bin" / "reconciler")
    (top / "work").mkdir()
    told = type_in(
        top,
        "git init --quiet --bare ../remote.git && git init --quiet && git remote add origin ../remote.git && "
        "reconciler init --action acme/reconciler@main && "
        "reconciler apply --yes && reconciler state copy git:origin/reconciler-state .reconciler/state --yes && "
        "reconciler plan --out plan.json && reconciler drift --also json=drift.json --also markdown=drift.md",
        _server.base_url,
    )
    assert told.returncode == 0, told.stdout
    yield top
    shutil.rmtree(top)


def type_in(
    top: Path, line: str, base_url: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Both streams of one line in a shell in `work`, on a terminal where every question is answered with yes."""
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
    """Of the command itself, or for a group of one in it."""
    lines = examples(COMMANDS[path])
    assert lines
    assert any(f"reconciler {path}".strip() in line for line in lines)


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if isinstance(command, click.Group)])
def test_a_list_of_commands_explains_each_in_a_whole_sentence(path: str) -> None:
    """In 80 columns click cuts what is longer, and writes dots."""
    group = COMMANDS[path]
    assert isinstance(group, click.Group)
    names = group.list_commands(click.Context(group))
    room = COLUMNS - 6 - max(map(len, names))
    for name in names:
        told = COMMANDS[f"{path} {name}".strip()].get_short_help_str(room)
        assert not told.endswith("..."), f"{name}: {told}"


@pytest.mark.parametrize("path", sorted(ON_GITHUB))
def test_an_example_that_posts_to_github_is_understood(path: str) -> None:
    """Its words are the program's."""
    for line in examples(COMMANDS[path]):
        parse(line)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in ON_GITHUB])
def test_an_example_works_as_it_is_typed(path: str, tree: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    """One after the other, in a copy of the tree that is this command's alone."""
    sandbox.plug.options = replace(sandbox.plug.options, accounts=ACCOUNTS)
    for name in ("work", "remote.git", "bin"):
        shutil.copytree(tree / name, tmp_path / name, symlinks=True)
    if path in BEFORE:
        done = type_in(tmp_path, BEFORE[path], sandbox.base_url)
        assert done.returncode == 0, done.stdout
    for line in examples(COMMANDS[path]):
        if line.startswith("reconciler sandbox"):
            # it serves until Ctrl-C, and on a port that another test may have: the one at hand takes its place
            parse(line)
            continue
        # jq shows what a pipe is for, and is no part of the program
        typed = line.replace(SANDBOX_URL, sandbox.base_url).partition(" | jq ")[0]
        typed = typed.replace("--state /tmp/", f"--state {tmp_path}/")
        done = type_in(tmp_path, typed, sandbox.base_url, ENVIRON.get(path))
        assert done.returncode == CODES.get(path, 0), f"{line}\n{done.stdout}"
        assert not [name for name, value in SECRETS.items() if value in done.stdout]
