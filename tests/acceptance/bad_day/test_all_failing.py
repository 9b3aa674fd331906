"""A whole fleet fails: the run ends early, and every format can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from tests.acceptance.bad_day.world import assert_converges, assert_whole, peak_mib
from tests.acceptance.conftest import Cli

FLEET = tuple(f"cliente-{number:03}" for number in range(110))
CONCURRENCY = 8
DAYS = {
    "refused": ("failed", "the connection to Plug (127.0.0.1:1) was refused"),
    "401": ("rejected", "401: Plug did not accept the token"),
    "500": ("uncertain", "500: Plug failed while it handled the request"),
}


@pytest.fixture(params=DAYS)
def day(cli: Cli, sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make every PUT of a fleet of 110 fail in the same way."""
    cli.fleet(*FLEET)
    match request.param:
        case "refused":
            cli.environ["RECONCILER_API__BASE_URL"] = "http://127.0.0.1:1"
        case "401":
            sandbox.plug.options = replace(sandbox.plug.options, tokens=frozenset({"another"}))
        case _:
            sandbox.plug.options = replace(sandbox.plug.options, failure_rate=1.0)
    yield request.param
    cli.environ["RECONCILER_API__BASE_URL"] = sandbox.base_url
    sandbox.plug.options = Options()


def test_max_failures_ends_the_run_early_and_the_summary_fits_a_screen(cli: Cli, day: str) -> None:
    """Ten fail, and those in flight; the rest is skipped without an intent. One apply heals the fleet."""
    outcome, reason = DAYS[day]
    ran = cli.run("apply", "--yes", "--attempts", "1", "--format", "json", "--also", "text=result.txt", code=1)
    counts = {name: count for name, count in ran.json["summary"].items() if count}
    begun = sum(count for name, count in counts.items() if name != "skipped")
    assert counts[outcome] >= 10
    assert begun <= 10 + 2 * CONCURRENCY
    assert len(cli.state_bytes()) == begun
    assert_whole(cli)
    text = (cli.folder / "result.txt").read_text()
    assert reason.split(":")[0] in text
    assert len(text) < 6_000
    assert len(ran.err) < 4_000


def test_with_no_limit_on_failures_every_format_stays_readable(cli: Cli, day: str) -> None:
    """Equal failures are one group, a few lines in the log; only JSON has them all."""
    outcome, reason = DAYS[day]
    forms = {"text": "txt", "markdown": "md", "github": "gh"}
    also = [part for form, end in forms.items() for part in ("--also", f"{form}=result.{end}")]
    limits = ("--attempts", "1", "--max-failures", "100000", "--concurrency", "16")
    ran, peak = peak_mib(cli, "apply", "--yes", *limits, "--format", "json", *also)
    assert ran.code == 1
    assert json.loads(ran.out)["summary"][outcome] == len(FLEET)
    assert len(ran.out) < 700 * len(FLEET)
    assert len(ran.err) < 4_000
    assert peak < 200
    for form, end in forms.items():
        text = Path(cli.folder / f"result.{end}").read_text()
        assert reason in " ".join(text.split()), form
        assert str(len(FLEET)) in text
        assert len(text) < 6_000, form
    assert_whole(cli)
    assert all(_is_settled(cli.document(name), outcome) for name in FLEET[::50])


def test_a_fleet_that_failed_converges(cli: Cli) -> None:
    """One apply with one PUT each is enough, even for environments in doubt."""
    fleet = FLEET[:60]
    cli.fleet(*fleet)
    with serve_in_thread(Options(failure_rate=1.0)) as failing:
        limits = ("--attempts", "1", "--max-failures", "100000")
        cli.run("apply", "--yes", *limits, "--api-base-url", failing.base_url, code=1)
    assert all(cli.document(name)["intent"]["doubt"] for name in fleet)
    assert_converges(cli, *fleet)


def _is_settled(document: Any, outcome: str) -> bool:
    intent = document["intent"]
    if outcome == "uncertain":
        return bool(intent["doubt"]) and intent["lease_until"] is None
    return intent is None
