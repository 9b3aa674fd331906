"""A checkout with a healthy Plug, for commands that are run in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import _server, cli, sandbox

__all__ = ["_server", "cli", "sandbox"]


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """An apply takes them over, and gives them back to what ends the process at once: not to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
