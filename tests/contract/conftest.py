"""A real object store over HTTP, started once for all tests of a worker."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.state.objects import ObjectStore
from tests.contract.remotes import basic, git, make_clone, make_remote, serve_over_http

BUCKETS = itertools.count()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield its address. It keeps everything in memory; test_object_store.py proves that it honours conditions."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    program = Path(sys.executable).with_name("ministack")
    process = subprocess.Popen([program], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(address, timeout=60).close()
            except urllib.error.HTTPError as error:
                error.close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
            else:
                break
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def http_clone(tmp_path: Path) -> Iterator[Path]:
    """Yield a clone of a remote that asks for a password over HTTP, which the checkout left as an extra header."""
    remote = make_remote(tmp_path)
    git(remote, "config", "http.receivepack", "true")
    header = f"Authorization: {basic('x-access-token', 'canary-password')}"
    with serve_over_http(remote, "x-access-token", "canary-password") as url:
        clone = make_clone(url, tmp_path / "clone", "-c", f"http.{url}.extraheader={header}")
        git(clone, "config", f"http.{url}.extraheader", header)
        yield clone


@pytest.fixture
def bucket(object_server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ObjectStore]:
    """Return a function that opens stores on this test's own bucket."""
    name = f"bucket-{next(BUCKETS)}"
    urllib.request.urlopen(urllib.request.Request(f"{object_server}/{name}", method="PUT"), timeout=60).close()
    for key, value in {
        "AWS_ENDPOINT_URL": object_server,
        "AWS_ACCESS_KEY_ID": "canary-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    return lambda: ObjectStore(f"s3://{name}/state")
