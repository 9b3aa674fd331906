"""The fixtures of all tests: no network but loopback, an environment without our variables, golden files."""

from __future__ import annotations

import gc
import ipaddress
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.forked import FORKS

# The examples are the same in every run, so that a change is not judged by chance. `make fuzz` searches: it takes other
# examples each time, forty times as many, and prints how to run a failing one again. There is no deadline and no limit
# on slow generation, as both would fail by chance on two busy cores.
_EXAMPLES = 50
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", _patient, derandomize=True, database=None, max_examples=_EXAMPLES)
settings.register_profile("thorough", _patient, print_blob=True, max_examples=2_000)
settings.load_profile("default")

# Under nohup, or in the background of a script, signals are ignored, and every process of a test would inherit that. A
# handler is not inherited.
for _number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)

_OURS = re.compile(r"(RECONCILER|PLUG|GITHUB)_.*|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)


def examples(count: int) -> int:
    """Set the number of examples: `count` in the default profile, more in a search."""
    profile = settings.default
    assert profile is not None
    return count * profile.max_examples // _EXAMPLES


# Thousands of collected tests live until the end: to search them for garbage costs a minute of CPU.
gc.disable()


def pytest_collection() -> None:
    """Let Hypothesis register its source of random numbers before anything is frozen.

    It asks the garbage collector who refers to that source, and the collector doesn't count frozen objects. On Python
    3.14 Hypothesis would therefore warn at its first example.
    """
    given(st.none())(lambda _: None)()


def pytest_collection_finish() -> None:
    """Leave the collected tests out of every later garbage collection."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that this system can't run."""
    lacking = {"linux": sys.platform != "linux", "posix": os.name != "posix"}
    for name in (name for name, lacks in lacking.items() if lacks):
        for item in items:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"needs {name}"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of `-n auto`: one more than there are cores, as tests also wait. Each collects all tests."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="store what the views render now as the golden files")


@pytest.fixture(scope="session", autouse=True)
def _no_variables_of_ours() -> Iterator[None]:
    """Remove settings, tokens and proxies from the environment: the user and GitHub may have set some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if _OURS.fullmatch(name)]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_fork_server_is_left() -> Iterator[None]:
    yield
    FORKS.close()


class NetworkIsOff(RuntimeError):
    """Raised if a test uses the network. It is not an OSError, which looks like a failed connection."""


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Allow only loopback and Unix sockets. Names below .invalid don't resolve; others must not be looked up."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _check_address(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _check_address(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name.lower().rstrip(".").endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_loopback(name) and not _is_address(name):
            raise NetworkIsOff(f"the name {name} was looked up")
        return getaddrinfo(host, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def _check_address(connecting: socket.socket, address: Any) -> None:
    if connecting.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise NetworkIsOff(f"a connection to {address[0]} was tried")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
