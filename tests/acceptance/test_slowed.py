"""A server that slows a run down: when PUTs arrive, how long the run takes, and how a signal ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from itertools import pairwise

from tests.acceptance.conftest import Cli, Request, Wire, reply, wait_until


def _fleet(cli: Cli, wires: Callable[[], Wire], *names: str) -> Wire:
    wire = wires()
    cli.environ["RECONCILER_API__BASE_URL"] = wire.base_url
    cli.fleet(*names)
    return wire


def limited(retry_after: str) -> bytes:
    return reply(429, headers=[f"Retry-After: {retry_after}"])


def test_a_retry_after_beyond_the_deadline_delays_no_other_environment(cli: Cli, wires: Callable[[], Wire]) -> None:
    """It ends its own environment's attempts at once (docs/contract.md#retries); the others continue."""
    wire = _fleet(cli, wires, "a", "b", "c")
    wire.answers = [limited("3600"), reply()]
    ran = cli.run("apply", "--yes", "--concurrency", "1", "--format", "json", code=1)
    assert ran.outcomes == {"a": "rejected", "b": "applied", "c": "applied"}


def test_the_rate_limit_holds_for_retries_after_a_429(cli: Cli, wires: Callable[[], Wire]) -> None:
    """No two PUTs arrive closer together than the setting allows, from any slot."""
    wire = _fleet(cli, wires, *(f"loja-{number}" for number in range(6)))
    wire.answers = [limited("0"), reply(503), *[reply()] * 9]
    cli.run("apply", "--yes", "--rate-limit", "5", "--format", "json", code=0)
    arrived = [request.at for request in wire.requests]
    assert len(arrived) >= 7
    assert min(second - first for first, second in pairwise(arrived)) > 0.15


def test_a_signal_ends_a_retry_after_pause(cli: Cli, wires: Callable[[], Wire]) -> None:
    """After Ctrl-C no slot waits for a Retry-After: what was attempted ends with its attempts, the rest is skipped."""
    wire = _fleet(cli, wires, "a", "b", "c")
    received: list[Request] = []

    def answer(request: Request) -> bytes:
        received.append(request)
        return limited("110")  # The most that the deadline allows.

    wire.answers = [answer]
    running = cli.start("apply", "--yes", "--concurrency", "1", "--format", "json")
    wait_until(lambda: received, "the first PUT")
    time.sleep(0.5)  # Then it probably waits already; if not, the result is the same.
    running.process.send_signal(signal.SIGTERM)
    ran = running.finish(timeout_s=100)  # This is less than the pause.
    assert ran.code == 130
    assert ran.outcomes == {"a": "rejected", "b": "skipped", "c": "skipped"}
    assert len(received) == 1
