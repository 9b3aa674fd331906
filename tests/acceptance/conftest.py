"""Run the program as a process in its own folder, and search what it leaves for secrets after every run."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import EVENTS
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from tests.forked import FORKS, can_run
from tests.measured import measured
from tests.wire import read_request

# bad_day needs Linux's disks, pipes and clocks. Without POSIX no signal can be sent to a process, and posixless.py has
# nothing to remove.
collect_ignore = [
    *([] if sys.platform == "linux" else ["bad_day"]),
    *([] if os.name == "posix" else ["test_interrupts.py", "test_posixless.py"]),
]

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 180  # Only a hang takes this long: on a busy machine a run may take half a minute.
HOST = "hooks.acme.com.br"
SECRET = "PLUG_SECRET_RECEIVE"
# Python needs these variables on Windows.
KEPT = {name: os.environ[name] for name in ("SYSTEMROOT", "COMSPEC", "PATHEXT") if name in os.environ}
# C0 without the line end, DEL, C1, and the characters that reverse a line or end it invisibly.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Ran:
    """The end of a run: its exit code and its output."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def outcomes(self) -> dict[str, str]:
        return {one["environment"]: one["outcome"] for one in self.json["environments"]}

    @property
    def actions(self) -> dict[str, str]:
        return {one["environment"]: one["action"] for one in self.json["environments"]}


def canary(kind: str = "token") -> str:
    return f"canary-{kind}-{uuid.uuid4().hex}"


def make_jwt(organization: object, **claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    signature = base64.urlsafe_b64encode(canary("signature").encode()).decode().rstrip("=")
    return f"{part({'alg': 'HS256'})}.{part({'organizationId': organization, **claims})}.{signature}"


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = TIMEOUT_S) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.005)


def assert_harmless(text: str) -> None:
    """Assert what docs/contract.md#what-no-output-does says of all output, for any input."""
    found = CONTROL.search(text)
    assert found is None, f"control character {found[0]!r} in {text[max(0, found.start() - 60) : found.end() + 60]!r}"
    assert "##[" not in text
    for line in text.splitlines():
        assert not line.lstrip().startswith("::"), f"a workflow command: {line!r}"


class Cli:
    """`python -m reconciler` in a folder with its own manifests, tokens and secrets."""

    def __init__(self, root: Path, sandbox: Sandbox) -> None:
        self.root = root
        self.folder = root / "work"
        self.home = root / "home"
        self.sandbox = sandbox
        self.environ = {
            **measured(),
            **KEPT,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "RECONCILER_API__BASE_URL": sandbox.base_url,
            SECRET: canary("secret"),
        }
        self.canaries: set[str] = set()
        self.planted: set[Path] = set()  # files that hold a secret on purpose
        self.started: list[subprocess.Popen[bytes]] = []
        self.folder.mkdir(exist_ok=True)
        self.home.mkdir(exist_ok=True)

    def beside(self, name: str) -> Cli:
        """Return another checkout on the same machine: other manifests, the same tokens, secrets and state."""
        other = Cli(self.root, self.sandbox)
        other.folder = self.root / name
        other.folder.mkdir()
        other.started = self.started
        other.environ = {**self.environ, "RECONCILER_STATE": str(self.state_folder)}
        return other

    # --- the folder --------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def fleet(self, *names: str, host: str = HOST) -> None:
        """Write environments with a token each, one secret in a URL, and a version in all seven URLs."""
        lines = ["vars:", f"  host: {host}", '  version: "1"', "webhooks:"]
        for event in EVENTS:
            query = f"?key={{secret:{SECRET}}}" if event == "receiveMessage" else ""
            lines.append(f"  {event}: https://{{host}}/{{environment}}/{{version}}/{event}{query}")
        self.write("manifests/_defaults.yaml", "\n".join(lines) + "\n")
        for name in names:
            self.environ[self.token_env(name)] = canary()
            self.manifest(name)

    def manifest(self, name: str, version: str = "1", wave: int = 0, more: str = "") -> Path:
        text = f'environment: {name}\nwave: {wave}\nvars: {{version: "{version}"}}\n{more}'
        return self.write(f"manifests/{name}.yaml", text)

    @staticmethod
    def token_env(name: str) -> str:
        return "PLUG_TOKEN_" + re.sub(r"[^A-Z0-9]", "_", name.upper())

    def token(self, name: str) -> str:
        return self.environ[self.token_env(name)]

    def desired(self, name: str, version: str = "1", host: str = HOST) -> dict[str, str]:
        """Return the webhooks that Plug should hold, with the secret filled in."""
        urls = {event.value: f"https://{host}/{name}/{version}/{event}" for event in EVENTS}
        urls["receiveMessage"] += f"?key={self.environ[SECRET]}"
        return urls

    def held(self, name: str) -> dict[str, str | None]:
        webhooks = self.sandbox.plug.company(self.token(name)).webhooks
        return {event.value: url for event, url in webhooks.items()}

    def puts(self, name: str) -> int:
        return sum(1 for put in self.sandbox.plug.received if put.token == self.token(name))

    @property
    def state_folder(self) -> Path:
        return self.folder / ".reconciler" / "state"

    def document(self, name: str) -> Any:
        return json.loads((self.state_folder / f"{name}.json").read_text())

    def put_document(self, name: str, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, sort_keys=True, indent=2) + "\n"
        (self.state_folder / f"{name}.json").write_text(text)

    def state_bytes(self) -> dict[str, bytes]:
        if not self.state_folder.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.state_folder.glob("*.json"))}

    # --- running -----------------------------------------------------------------------------------

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        stdin: int | None = None,
        in_own_group: bool = False,
    ) -> Running:
        """Start `python -m reconciler` as a process with its own interpreter.

        As in a shell, each command is in its own process group, which gets Ctrl-C from the terminal.
        """
        environ = self._environ_of_run(env)
        # xdist's workers ignore SIGINT, and a child process would inherit that.
        ignored = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", *arguments],
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0 if in_own_group else None,
            )
        finally:
            signal.signal(signal.SIGINT, ignored)
        self.started.append(process)
        return Running(self, process, arguments)

    def _environ_of_run(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        changed = {**self.environ, **(env or {})}
        environ = {name: value for name, value in changed.items() if value is not None}
        self.canaries |= {value for name, value in environ.items() if name.startswith("PLUG_")}
        return environ

    def run(
        self,
        *arguments: str,
        code: int | None = None,
        env: Mapping[str, str | None] | None = None,
        answer: str | None = None,
    ) -> Ran:
        """Run the program to its end. `answer` is typed on a terminal; without it stdin is empty.

        Where possible, the process is forked from a Python that has imported the program; `start` starts a new one.
        """
        if answer is None:
            ran = self._run(arguments, env, None)
        else:
            pty = pytest.importorskip("pty", reason="the answer is typed on a POSIX terminal")
            master, slave = pty.openpty()
            try:
                os.write(master, answer.encode())
                ran = self._run(arguments, env, slave)
            finally:
                os.close(master)
                os.close(slave)
        if code is not None:
            assert ran.code == code, f"exit {ran.code}, not {code}\n--- out\n{ran.out}\n--- err\n{ran.err}"
        return ran

    def _run(self, arguments: Sequence[str], env: Mapping[str, str | None] | None, stdin: int | None) -> Ran:
        environ = self._environ_of_run(env)
        if not can_run(environ):
            return self.start(*arguments, env=env, stdin=stdin).finish()
        code, out, err = FORKS.run(arguments, self.folder, environ, stdin, TIMEOUT_S)
        return self.ended(code, out, err, arguments)

    def ended(self, code: int, out: bytes, err: bytes, arguments: Sequence[str]) -> Ran:
        """Return how a run ended, after searching it for secrets."""
        ran = Ran(code, out.decode(), err.decode())
        self.check(ran)
        if ran.out and "json" in arguments:
            assert ran.json["format"].startswith("reconciler."), ran.out
        return ran

    def end_all(self) -> None:
        """End what a failed test left: its open pipes would fail the test that runs when they are collected."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()

    def check(self, ran: Ran) -> None:
        """Assert that no output or file contains a token or secret, and that all output is harmless."""
        canaries = {value for value in self.canaries if len(value) >= 8}
        out = ran.out + unpack_page(ran.out)
        for value in canaries:
            for part in {value, *value.split(".")[1:]}:
                assert part not in out, "a secret in stdout"
                assert part not in ran.err, "a secret in stderr"
        for path in self.root.rglob("*"):
            if path in self.planted or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # It was a temporary file of another run.
                continue
            data += unpack_page(data.decode("latin-1")).encode()
            for value in canaries:
                assert value.encode() not in data, f"a secret in {path}"
        assert_harmless(ran.out)
        assert_harmless(ran.err)


@dataclass
class Running:
    cli: Cli
    process: subprocess.Popen[bytes]
    arguments: Sequence[str] = ()

    def wait_for_error(self, text: bytes) -> None:
        """Read stderr until it has the text. `finish` returns what comes after that."""
        assert self.process.stderr is not None
        seen = b""
        while text not in seen:
            chunk = os.read(self.process.stderr.fileno(), 65536)
            assert chunk, seen
            seen += chunk

    def finish(self, timeout_s: float = TIMEOUT_S) -> Ran:
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.cli.ended(self.process.returncode, out, err, self.arguments)


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with serve_in_thread(Options()) as running:
        yield running


@pytest.fixture
def sandbox(_server: Sandbox) -> Iterator[Sandbox]:
    """Yield a healthy Plug. A test may replace `sandbox.plug.options`; the next test gets a healthy one again."""
    _server.plug.options = Options()
    _server.plug.forced.clear()
    yield _server
    _server.plug.options = Options()
    _server.plug.forced.clear()


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> Iterator[Cli]:
    made = Cli(tmp_path, sandbox)
    yield made
    made.end_all()


# --- a server that sends prepared answers, byte by byte -----------------------------------------------


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    def header(self, name: str) -> str:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) == 1, f"{name}: {found}"
        return found[0]


class Hang:
    """Receives the request and never answers."""


class Reset:
    """Receives the request and resets the connection."""


Answer = bytes | Hang | Reset | Callable[[Request], bytes]


def reply(
    status: int = 200,
    body: bytes = b'{"value": true}',
    headers: Iterable[str] = (),
    *,
    length: int | None = None,
    reason: str = "Said",
) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "Connection: close", *headers, "", ""]).encode("latin-1") + body


@dataclass
class Wire:
    """Records what arrives and answers from `answers`, and then with the last one again."""

    answers: list[Answer] = field(default_factory=lambda: [reply()])
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(TIMEOUT_S)
                request = self._read(connection)
                self.requests.append(request)
                self._answer(connection, request)
            except OSError:
                return  # The client has closed the connection, as some tests intend.

    @staticmethod
    def _read(connection: socket.socket) -> Request:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((key, value.strip()) for key, _, value in (line.partition(":") for line in lines))
        method, target, _ = first.split(" ")
        return Request(method, target, headers, body, time.monotonic())

    def _answer(self, connection: socket.socket, request: Request) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Hang):
            self._stop.wait(TIMEOUT_S)
        elif isinstance(answer, Reset):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.sendall(answer if isinstance(answer, bytes) else answer(request))

    def stop(self) -> None:
        self._stop.set()


@pytest.fixture
def wires() -> Iterator[Callable[[], Wire]]:
    """Yield a function that makes servers, each on its own port."""
    running: list[tuple[Wire, socket.socket, threading.Thread]] = []

    def make() -> Wire:
        listener = socket.create_server(("127.0.0.1", 0))
        wire = Wire(port=listener.getsockname()[1])
        thread = threading.Thread(target=wire.serve, args=(listener,), daemon=True)
        thread.start()
        running.append((wire, listener, thread))
        return wire

    yield make
    for wire, listener, thread in running:
        wire.stop()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def wire(wires: Callable[[], Wire], cli: Cli) -> Wire:
    """Yield a server that `cli` uses as Plug, with one environment, `loja`."""
    made = wires()
    cli.environ["RECONCILER_API__BASE_URL"] = made.base_url
    cli.fleet("loja")
    return made


def unpack_page(text: str) -> str:
    """Return the JSON that is packed into a report's page, or an empty text for any other text."""
    found = re.search(r'<script type="application/zlib" id="_data">(.*?)</script>', text, re.DOTALL)
    return zlib.decompress(base64.b64decode(found[1])).decode() if found else ""


def only(items: Sequence[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]
