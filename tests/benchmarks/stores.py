"""Compare the stores with the floor: the same bytes, written and read plainly."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.measure import Case, Measured, clean_environ, measure
from tests.benchmarks.report import Line, Section
from tests.contract.remotes import git, make_clone, make_remote


def measure_stores(folder: Path, count: int, runs: int) -> Section:
    """Measure reads and batch writes of `count` environments, each in a process that also makes or checks them."""
    folder.mkdir()
    remote = make_remote(folder)
    clone = make_clone(remote, folder / "clone")
    with object_server() as address:
        aws = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_REGION": "us-east-1",
        }
        settings = {"folder": "folder", "git": "git:origin/state", "objects": "s3://bench/state"}
        prepare: dict[str, Callable[[], None]] = {
            "plain": lambda: shutil.rmtree(clone / "plain", ignore_errors=True),
            "folder": lambda: shutil.rmtree(clone / "folder", ignore_errors=True),
            "git": lambda: delete_branch(remote),
            "objects": lambda: make_bucket(address),
        }
        writes = [Case("plain files, written", job("plain-write", "plain", count), clone, prepare["plain"], aws)]
        for name in settings:
            command = job("write", settings[name], count)
            writes.append(Case(f"{name}, one batch written", command, clone, prepare[name], aws))
        written = measure(writes, runs)
        pushes = git(remote, "rev-list", "--count", "state").strip()
        reads = [Case("plain files, read", job("plain-read", "plain", count), clone, None, aws)]
        reads += [
            Case(f"{name}, read", job("read", setting, count), clone, None, aws) for name, setting in settings.items()
        ]
        read = measure(reads, runs)
    lines = [*held_against_first(written), *held_against_first(read)]
    notes = [
        f"git: {pushes} push for the batch of {count:,}",
        "every process starts Python, imports the program and makes (or parses) the documents: the plain ones too, "
        "but plain files are neither synced nor parsed",
        "git: a bare repository on the same disk; objects: an emulator on loopback, on the same cores",
    ]
    return Section(f"stores: {count:,} environments in one batch", lines, notes)


def held_against_first(measured: list[Measured]) -> list[Line]:
    return [Line(measured[0]), *(Line(one, measured[0]) for one in measured[1:])]


def job(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.store_job", *map(str, arguments)]


def delete_branch(remote: Path) -> None:
    git(remote, "update-ref", "-d", "refs/heads/state")


def make_bucket(address: str) -> None:
    """Make an empty bucket, after dropping everything in the emulator."""
    request("POST", f"{address}/_ministack/reset")
    request("PUT", f"{address}/bench")


def request(method: str, url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30).close()


@contextmanager
def object_server() -> Iterator[str]:
    """Yield the address of an object store over HTTP in a separate process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environ = clean_environ() | {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    environ.pop("PYTHONPATH")
    program = Path(sys.executable).with_name("ministack")
    process = subprocess.Popen([program], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                request("PUT", f"{address}/bench")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
