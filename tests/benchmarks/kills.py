"""Kill real runs that share a token: `python -m tests.benchmarks.kills [--kills N] [--seed S]`.

Two environments, `a` and `b`, share a token, and each has its own runs, as in two CI jobs; `c` has its own
token. In each round a run of each begins at about the same time, and most of them end by `kill -9` at a
random moment. Then the dead runs' leases are unlocked. The promises of docs/contract.md#guards and docs/state.md are
checked after each round, and printed with the number of processes that were really killed. Exit 1 on any violation.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model import EVENTS
from reconciler.run.state_edits import unlock
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from reconciler.state.folder import FolderStore
from tests import fork_client
from tests.benchmarks.fleet import make_jwt
from tests.benchmarks.measure import clean_environ
from tests.fork_client import STATUS
from tests.forked import FORKS, STARTED_WITH

NAMES = ("a", "b", "c")
ROUNDS = 3  # After so many rounds on one state, all is forgotten, and the token is replaced.
LATENCY_S = 0.01
LONGEST_S = 120.0


@dataclass
class Run:
    """A started process of the program."""

    connection: socket.socket
    kill_at: float | None

    def end(self) -> int:
        """Kill it at its time, and return how it ended."""
        answer = self._receive(STATUS.size)
        pid = STATUS.unpack(answer)[0]
        if self.kill_at is not None:
            time.sleep(max(0.0, self.kill_at - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):  # It has ended by itself.
                os.kill(pid, signal.SIGKILL)
        code: int = STATUS.unpack(self._receive(STATUS.size))[0]
        self.connection.close()
        return code

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.connection.recv(count - len(data))
            if not chunk:
                raise RuntimeError("the fork server has gone")
            data += chunk
        return data


@dataclass
class Bench:
    """One folder, and the counts of what happened in it."""

    folder: Path
    sandbox: Sandbox
    chance: random.Random
    figures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    epoch: int = 0
    version: int = 0

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "state")

    def token(self, name: str) -> str:
        return make_jwt(10 * self.epoch + (name == "c"))

    def url(self, name: str, event: str) -> str:
        return f"https://hooks.acme.com.br/{name}/{self.version}/{event}"

    def write_manifests(self) -> None:
        self.version += 1
        (self.folder / "manifests").mkdir(exist_ok=True)
        for name in NAMES:
            lines = ["webhooks:", *(f"  {event}: {self.url(name, event)}" for event in EVENTS)]
            (self.folder / f"manifests/{name}.yaml").write_text("\n".join(lines) + "\n")

    def start(self, name: str, kill_at: float | None, *arguments: str) -> Run:
        """Begin an apply of one environment, with only its own token."""
        environ = {**clean_environ(), **STARTED_WITH, f"PLUG_TOKEN_{name.upper()}": self.token(name)}
        given = ["apply", "--yes", "-e", name, "--state", "state", "--api-base-url", self.sandbox.base_url, *arguments]
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(FORKS.address)
        request = fork_client.pack(given, str(self.folder), environ)
        with open(os.devnull, "r+b") as nothing:
            sent = socket.send_fds(connection, [request], [nothing.fileno()] * 3)
        connection.sendall(request[sent:])
        return Run(connection, kill_at)

    def expect(self, promise: str, holds: object, case: str) -> None:
        self.figures[f"checks: {promise}"] += 1
        if not holds:
            self.faults.append(f"{promise}: {case}")

    def senders(self) -> set[str]:
        """Return the environments whose webhooks were sent with the shared token."""
        token = self.token("a")
        urls = (next(iter(put.webhooks.values())) for put in list(self.sandbox.plug.received) if put.token == token)
        return {url.split("/")[3] for url in urls}

    def round(self, usual_s: float) -> None:
        self.write_manifests()
        now = time.monotonic()
        moments = (
            now + self.chance.uniform(0.0, 1.3) * usual_s if self.chance.random() < 0.85 else None for _ in NAMES
        )
        runs = [self.start(name, moment) for name, moment in zip(NAMES, moments, strict=True)]
        for run in sorted(runs, key=lambda run: run.kill_at or LONGEST_S + now):
            self.figures["runs"] += 1
            code = run.end()
            self.figures["killed"] += code == -signal.SIGKILL
            self.figures["refused after their intent, or locked"] += code in (1, 4)
            self.expect("exit codes", code in (0, 1, 3, 4, -signal.SIGKILL), str(code))
        time.sleep(3 * LATENCY_S)  # The sandbox has processed what a killed run sent.
        self.check()
        self.unlock()

    def unlock(self) -> None:
        store = self.store
        for stored in store.read(store.names()).values():
            unlock(store, stored)
        store.close()

    def check(self) -> None:
        case = f"epoch {self.epoch}, version {self.version}"
        found = self.store.read_changes()
        self.expect("every document is whole", not found.faults, case)
        self.expect("of two with one token one sends", len(self.senders()) <= 1, f"{case}: {self.senders()}")
        for name, head in found.heads.items():
            if head.applied is not None:
                puts = [put.webhooks for put in list(self.sandbox.plug.received) if put.fate.acts]
                self.expect("what is applied was done", dict(head.applied.webhooks) in puts, f"{case}: {name}")

    def heal(self) -> None:
        """Apply the sender with the shared token, and `c`, without kills; the other one of the two is refused."""
        self.write_manifests()
        sender = next(iter(self.senders()), "a")
        for name in (sender, "c"):
            code = self.start(name, None, "--accept-account-change", name).end()
            self.expect("one apply converges", code == 0, f"{name}: exit {code}")
            held = self.sandbox.plug.company(self.token(name)).webhooks
            self.expect("Plug holds the manifest", held == {event: self.url(name, event) for event in EVENTS}, name)
        other = "b" if sender == "a" else "a"
        code = self.start(other, None).end()
        self.expect("the other one is refused", code == 3 and other not in self.senders(), f"{other}: exit {code}")

    def forget(self) -> None:
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self.sandbox.plug.received.clear()
        self.epoch += 1


def main() -> int:
    """Kill as often as requested and print the findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder, serve_in_thread(Options(latency_s=LATENCY_S)) as sandbox:
            bench = Bench(Path(folder), sandbox, random.Random(given.seed))
            while bench.figures["killed"] < given.kills and not bench.faults:
                bench.forget()
                bench.write_manifests()
                begun = time.monotonic()
                bench.start("c", None).end()
                usual_s = time.monotonic() - begun
                for _ in range(ROUNDS):
                    bench.round(usual_s)
                bench.heal()
                print(f"{bench.figures['killed']} of {bench.figures['runs']} runs killed", file=sys.stderr, flush=True)
    finally:
        FORKS.close()
    for name, count in sorted(bench.figures.items()):
        print(f"{name}: {count}")
    print(*bench.faults or ["no violation"], sep="\n")
    return 1 if bench.faults else 0


if __name__ == "__main__":
    sys.exit(main())
