"""Many runs that start in the same second, on a folder and on a branch."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.bad_day.world import assert_whole
from tests.acceptance.conftest import Cli, Running
from tests.contract.remotes import git, make_remote

RUNS = 4
FLEET = tuple(f"loja-{number:02}" for number in range(12))


@pytest.mark.parametrize("store", ["folder", "git"])
def test_four_runs_in_the_same_second_put_each_environment_once(cli: Cli, sandbox: Sandbox, store: str) -> None:
    """One run wins each environment; the others find it locked or done, by their exit codes. No PUT is repeated."""
    if store == "git":
        make_remote(cli.root)
        git(cli.folder, "init", "-q", ".")
        git(cli.folder, "remote", "add", "origin", str(cli.root / "remote.git"))
        cli.environ["RECONCILER_STATE"] = "git:origin/reconciler-state"
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.05)
    running: list[Running] = [
        cli.start("apply", "--yes", "--max-failures", "100", "--format", "json") for _ in range(RUNS)
    ]
    ran = [one.finish() for one in running]
    for one in ran:
        outcomes = set(one.outcomes.values())
        assert outcomes <= {"applied", "unchanged", "locked"}, one
        assert one.code == (4 if "locked" in outcomes else 0)
    for name in FLEET:
        assert cli.puts(name) == 1
        assert [one.outcomes[name] for one in ran].count("applied") == 1
        assert cli.held(name) == cli.desired(name)
    if store == "folder":
        assert_whole(cli)
    else:
        log = git(cli.root / "remote.git", "log", "--reverse", "--format=%B", "reconciler-state")
        logged = re.findall(r"^(loja-\d\d): (intent|applied)$", log, re.MULTILINE)
        for name in FLEET:
            assert [word for environment, word in logged if environment == name] == ["intent", "applied"]
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
