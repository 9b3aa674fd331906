"""A forked run gives the same result as a started one: `python -m reconciler` with its own interpreter."""

from __future__ import annotations

import re

import pytest

from reconciler.cli.main import COMMANDS
from reconciler.sandbox.server import Sandbox
from tests import forked
from tests.acceptance.conftest import Cli, Ran

RUNS = [
    "--version",
    "init elsewhere",
    "schema",
    "validate",
    "show loja",
    "plan --detailed-exitcode",
    "apply --yes",
    "drift --format markdown",
    "check --no-post --timeout 1",
    "state list",
    "state show loja",
    "state history nobody",
    "report --out page.html",
    "import --csv none.csv",
    "doctor",
    "github setup --repository acme/hooks",
    "demo",
    "sandbox --port 99999",
]


def without_moments(text: str) -> str:
    """Replace numbers, which are times, ports or random, and the column widths that depend on them."""
    return " ".join(re.sub(r"demo-page-\w+|[0-9a-f]{6,}|[0-9]+", "0", text).split())


def run_all(cli: Cli, *, own: bool) -> dict[str, Ran]:
    """Return the result of each run, one after the other, in one folder."""
    ran = {}
    for line in RUNS:
        arguments = line.split()
        ran[line] = cli.start(*arguments).finish() if own else cli.run(*arguments)
    return ran


@pytest.mark.skipif(forked.OWN, reason="no run is forked")
def test_every_command_does_the_same_in_a_separate_process(cli: Cli, sandbox: Sandbox) -> None:
    """Code, stdout and stderr are the same, except for clocks and chance."""
    assert {line.split()[0] for line in RUNS} >= set(COMMANDS)
    cli.fleet("loja", "matriz")
    there = cli.root / "there"
    there.mkdir()
    other = Cli(there, sandbox)
    other.environ |= {name: value for name, value in cli.environ.items() if name.startswith("PLUG_")}
    other.fleet("loja", "matriz")
    other.environ |= {name: value for name, value in cli.environ.items() if name.startswith("PLUG_")}
    started, shared = run_all(other, own=True), run_all(cli, own=False)
    other.end_all()
    for line in RUNS:
        assert shared[line].code == started[line].code, line
        assert without_moments(shared[line].out) == without_moments(started[line].out), line
        assert without_moments(shared[line].err) == without_moments(started[line].err), line
