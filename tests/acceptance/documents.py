"""The commands of a document, typed in a shell as they are written, and the output that the document shows.

A section of a page is tried if `<!-- tried -->` is in it. `<!-- tried: applied -->` begins in a repository whose two
environments are applied, and `<!-- tried: remote -->` in a tree whose remote is not added yet. The section's `console`
blocks are run in one shell, in their order: lines that begin with `$ ` are commands, lines with `> ` continue them, and
the rest is their output. A line that is `…` means any number of lines.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TRIED = re.compile(r"^<!-- tried(?:: (\w+))? -->$", re.MULTILINE)
ANYTHING = "…"
TIMEOUT_S = 120
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(#+) (.+)$", re.MULTILINE)
# What differs from run to run. Each is replaced on both sides before they are compared.
_VARIABLE = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:…"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "N s"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "INSTANT"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC\b"), "INSTANT"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "COMMIT"),
    (re.compile(r"/tmp/[\w.+-]+"), "/tmp/…"),
    (re.compile(r"^\[\d+\] \d+$", re.MULTILINE), "[1] PID"),
)


# What is typed before a section. applied: a repository with a remote, a sandbox, and two environments that are applied.
# remote: the tree that `init` writes, in the home folder, and a repository at the address that the page names.
BEFORE = {
    "": (),
    "applied": (
        "git init -q --bare -b main plug-webhooks.git && reconciler init plug-webhooks && cd plug-webhooks",
        "sed -i 's/example.com/acme.com.br/' manifests/*.yaml",
        "git init -q -b main && git add -A && git commit -q -m Begin && git remote add origin ../plug-webhooks.git",
        "git push -q -u origin main",
        "reconciler sandbox --port 8787 > ../sandbox.log &",
        "export RECONCILER_API__BASE_URL=http://127.0.0.1:8787",
        "export PLUG_TOKEN_STAGING=made-up-1 PLUG_TOKEN_PRODUCTION=made-up-2 PLUG_SECRET_RECEIVE=made-up-3",
        "reconciler apply --yes",
    ),
    "remote": (
        "cd && git init -q --bare -b main origin.git && reconciler init plug-webhooks",
        'git config --global url."$HOME/origin.git".insteadOf git@github.com:acme/plug-webhooks.git',
    ),
}


@dataclass(frozen=True)
class Section:
    """A tested section of a page. `before` is typed first and not shown in the page."""

    before: tuple[str, ...]
    commands: list[Command]


@dataclass
class Command:
    typed: str
    output: list[str] = field(default_factory=list)


def find_tried(page: str) -> Mapping[str, Section]:
    """Return the commands of each tested section by its heading."""
    text = Path(page).read_text(encoding="utf-8")
    headings = list(_SECTION.finditer(_without_code(text)))
    found = {}
    for place, heading in enumerate(headings):
        end = headings[place + 1].start() if place + 1 < len(headings) else len(text)
        section = text[heading.end() : end]
        tried = TRIED.search(section)
        if tried is not None:
            commands = [one for block in _BLOCK.findall(section) for one in _parse(block)]
            found[heading[2]] = Section(BEFORE[tried[1] or ""], commands)
    return found


def _without_code(text: str) -> str:
    """Return the text with its code blocks blanked, so that a comment in one isn't taken for a heading."""
    return re.sub(r"^```.*?^```$", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.M | re.S)


def _parse(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line[2:])
        elif line.startswith("> ") and command is not None and not command.output:
            command.typed += f"\n{line[2:]}"
        elif command is not None:
            command.output.append(line)
    if command is not None:
        yield command


def differ(shown: list[str], printed: str) -> str | None:
    """Return how the output in a document differs from what was printed, or None if it doesn't."""
    want, got = _normalize("\n".join(shown)).strip("\n"), _normalize(printed).strip("\n")
    pieces = [re.escape(piece) for piece in re.split(rf"^{ANYTHING}$", want, flags=re.MULTILINE)]
    pattern = r"[\s\S]*".join(pieces)
    return None if re.fullmatch(pattern, got) else f"--- shown\n{want}\n--- printed\n{got}"


def _normalize(text: str) -> str:
    for pattern, replacement in _VARIABLE:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


class Shell:
    """A bash in which commands are typed in order. `ports` maps a port in the document to the one used here."""

    def __init__(self, folder: Path, environ: Mapping[str, str], ports: Mapping[int, int]) -> None:
        self._ports = ports
        self._log = (folder / "shell.log").open("wb")
        self._path = Path(self._log.name)
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
            env=dict(environ),
            start_new_session=True,
        )

    def type(self, command: str) -> str:
        """Type a command and return what it printed. After a command in the background, wait until its port answers."""
        begun, end = self._path.stat().st_size, f"end-{os.urandom(8).hex()}"
        assert self._shell.stdin is not None
        typed = self._replace(command)
        self._shell.stdin.write(f"{typed}\necho {end}\n".encode())
        self._shell.stdin.flush()
        printed = self._wait(begun, end)
        if typed.rstrip().endswith("&"):
            for port in self._ports.values():
                _wait_for(port)
        return self._restore(printed)

    def _wait(self, begun: int, end: str) -> str:
        limit = time.monotonic() + TIMEOUT_S
        while time.monotonic() < limit:
            printed = self._path.read_bytes()[begun:].decode()
            if f"{end}\n" in printed:
                return printed.partition(f"{end}\n")[0]
            time.sleep(0.02)
        raise AssertionError(f"the command does not end: {self._path.read_text()}")

    def _replace(self, text: str) -> str:
        for written, used in self._ports.items():
            text = text.replace(f":{written}", f":{used}").replace(f"--port {written}", f"--port {used}")
        return text

    def _restore(self, text: str) -> str:
        for written, used in self._ports.items():
            text = text.replace(f":{used}", f":{written}")
        return text

    def close(self) -> None:
        """End the shell and every process that it started."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        self._log.close()


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    limit = time.monotonic() + TIMEOUT_S
    while time.monotonic() < limit:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")
