"""`--shard I/N`: several jobs at a time on one state, each with its part of the fleet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import TIMEOUT_S, Cli, Running, only
from tests.contract.remotes import git, make_clone, make_remote

FLEET = tuple(f"loja-{number:02}" for number in range(24))
OF = 3
SHARDS = tuple(f"{number}/{OF}" for number in range(1, OF + 1))


def shard_of(name: str, of: int = OF) -> str:
    """Return the shard of a name, as the README describes it."""
    return f"{int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) % of + 1}/{of}"


def start_all(cli: Cli, *arguments: str) -> list[Running]:
    """Start one job for each shard, each with its own actor in the state."""
    return [
        cli.start("apply", "--yes", "--format", "json", "--shard", shard, *arguments, env={"GITHUB_ACTOR": shard})
        for shard in SHARDS
    ]


def check_all(cli: Cli, running: Sequence[Running], documents: dict[str, str]) -> None:
    """Assert that every environment was put once, by the job of its shard, and no job disturbed another."""
    outcomes: dict[str, str] = {}
    for shard, one in zip(SHARDS, running, strict=True):
        ran = one.finish()
        assert ran.code == 0, ran.err
        assert set(ran.outcomes) == {name for name in FLEET if shard_of(name) == shard}
        outcomes |= ran.outcomes
    assert outcomes == dict.fromkeys(FLEET, "applied")
    for name in FLEET:
        assert cli.puts(name) == 1
        document = json.loads(documents[name] if documents else (cli.state_folder / f"{name}.json").read_text())
        assert (document["serial"], document["intent"]) == (2, None)
        assert document["applied"]["by"]["actor"] == shard_of(name)


def test_jobs_of_all_shards_share_a_folder(cli: Cli, sandbox: Sandbox) -> None:
    """They run at the same time on one state: together they apply everything once."""
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.1)
    check_all(cli, start_all(cli, "--concurrency", "2"), {})
    assert cli.run("plan", "--detailed-exitcode", code=0)


def test_jobs_of_all_shards_share_a_branch(cli: Cli, sandbox: Sandbox) -> None:
    """The same with git: a push that loses to another shard's is retried."""
    make_clone(make_remote(cli.root), cli.root / "clone")
    cli.folder = cli.root / "clone"
    cli.environ["RECONCILER_STATE"] = "git:origin/reconciler-state"
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.1)
    running = start_all(cli)
    for one in running:
        one.process.wait(TIMEOUT_S)
    remote = cli.root / "remote.git"
    documents = {name: git(remote, "show", f"reconciler-state:{name}.json") for name in FLEET}
    check_all(cli, running, documents)


def test_all_commands_that_select_take_a_shard(cli: Cli) -> None:
    """plan, drift, apply --dry-run and state list see only its environments, with its orphans."""
    cli.fleet(*FLEET[:8])
    cli.run("apply", "--yes", code=0)
    gone = FLEET[7]
    (cli.folder / f"manifests/{gone}.yaml").unlink()
    seen: dict[str, str] = {}
    for shard in SHARDS:
        mine = {name for name in FLEET[:8] if shard_of(name) == shard}
        plan = cli.run("plan", "--format", "json", "--shard", shard, code=0)
        assert plan.json["shard"] == shard
        assert set(plan.actions) == mine
        assert plan.actions.get(gone, "orphan") == "orphan"
        seen |= plan.actions
        assert set(cli.run("apply", "--dry-run", "--format", "json", "--shard", shard, code=0).actions) == mine
        listed = cli.run("state", "list", "--format", "json", "--shard", shard, code=0).json["environments"]
        assert {one["environment"] for one in listed} == mine
        drift = cli.run("drift", "--format", "json", "--shard", shard, code=2 if gone in mine else 0).json["findings"]
        assert [one["environment"] for one in drift] == ([gone] if gone in mine else [])
        assert f"Plan of shard {shard}:" in cli.run("plan", "--shard", shard, code=0).out
    assert set(seen) == set(FLEET[:8])


def test_check_calls_the_receivers_of_its_shard_alone(cli: Cli) -> None:
    """A receiver is in the shard of its environment."""
    cli.fleet(*FLEET[:6])
    cli.environ |= {"RECONCILER_ALLOW_LOCAL_RECEIVERS": "true", "RECONCILER_TIMEOUT": "30"}
    text = (cli.folder / "manifests/_defaults.yaml").read_text()
    (cli.folder / "manifests/_defaults.yaml").write_text(text.replace("https://{host}/", "http://127.0.0.1:9/"))
    for shard in SHARDS:
        mine = {name for name in FLEET[:6] if shard_of(name) == shard}
        ran = cli.run("check", "--format", "json", "--shard", shard, code=2 if mine else 0)
        assert {name for one in ran.json["receivers"] for name in one["environments"]} == mine


def test_a_shard_without_an_environment_succeeds(cli: Cli, sandbox: Sandbox) -> None:
    """Every command exits 0: other shards do the work; also if -e matches none of its environments."""
    cli.fleet("loja")
    other = only([f"{number}/2" for number in (1, 2) if f"{number}/2" != shard_of("loja", 2)])
    before = sandbox.plug.requests
    for command in (["plan"], ["plan", "--detailed-exitcode"], ["apply", "--yes"], ["drift"], ["check"]):
        for globs in ([], ["-e", "lo*"]):
            cli.run(*command, *globs, "--shard", other, code=0)
    assert sandbox.plug.requests == before
    assert "matches no environment" in cli.run("plan", "-e", "nada*", "--shard", other, code=3).err


def test_a_malformed_shard_is_a_usage_error(cli: Cli) -> None:
    """Exit 3 with the right form; nothing is sent."""
    cli.fleet("loja")
    for command in ("plan", "apply", "drift", "check"):
        ran = cli.run(command, "--shard", "0/2", code=3)
        assert "write I/N" in ran.err
        assert ran.out == ""


def test_problems_in_other_shards_are_reported_too(cli: Cli) -> None:
    """All manifests are loaded and checked in every shard."""
    cli.fleet(*FLEET[:6])
    cli.manifest(FLEET[0], more="wafe: 1\n")
    for shard in SHARDS:
        assert FLEET[0] in cli.run("plan", "--shard", shard, code=3).err


def test_a_saved_plan_remembers_its_shard(cli: Cli) -> None:
    """Its shard is applied; another --shard is a usage error, and a plan with an edited shard is stale."""
    cli.fleet(*FLEET[:9])
    mine = {name for name in FLEET[:9] if shard_of(name) == "2/3"}
    assert mine
    cli.run("plan", "--shard", "2/3", "--out", "p.json", code=0)
    assert "--shard" in cli.run("apply", "--yes", "p.json", "--shard", "2/3", code=3).err
    plan = json.loads((cli.folder / "p.json").read_text())
    for edited, code in (("1/3", 4), ("9/3", 3), (None, 4)):
        (cli.folder / "edited.json").write_text(json.dumps({**plan, "shard": edited}))
        cli.run("apply", "--yes", "edited.json", code=code)
    assert cli.state_bytes() == {}
    ran = cli.run("apply", "--yes", "--format", "json", "p.json", code=0)
    assert set(ran.outcomes) == mine == {name for name in FLEET[:9] if cli.puts(name)}


def test_a_guard_is_decided_over_all_shards(cli: Cli) -> None:
    """A guard that stops the fleet stops each shard; a shard alone may change completely."""
    cli.fleet(*FLEET)
    cli.run("apply", "--yes", code=0)
    for name in FLEET[:13]:
        cli.manifest(name, version="2")
    for shard in SHARDS:
        ran = cli.run("apply", "--yes", "--shard", shard, code=3)
        assert "13 of 24 applied environments would be updated, at most 12 are allowed (50%)" in ran.err
    changed = [name for name in FLEET if shard_of(name) == "1/3"]
    for name in FLEET:
        cli.manifest(name, version="3" if name in changed else "1")
    assert 2 <= len(changed) <= 12
    ran = cli.run("apply", "--yes", "--shard", "1/3", "--format", "json", code=0)
    assert list(ran.outcomes.values()) == ["applied"] * len(changed)


def test_a_shard_waits_only_for_its_own_waves(cli: Cli, sandbox: Sandbox) -> None:
    """A wave that fails in one shard stops the later waves of that shard, not of the others."""
    cli.fleet(*FLEET)
    for number, name in enumerate(FLEET):
        cli.manifest(name, wave=number % 2)
    first = next(name for number, name in enumerate(FLEET) if number % 2 == 0)
    valid = frozenset(cli.token(name) for name in FLEET if name != first)
    sandbox.plug.options = replace(sandbox.plug.options, tokens=valid)
    for shard in SHARDS:
        mine = [name for name in FLEET if shard_of(name) == shard]
        ran = cli.run("apply", "--yes", "--format", "json", "--shard", shard, code=1 if first in mine else 0)
        skipped = {name for name, outcome in ran.outcomes.items() if outcome == "skipped"}
        assert skipped == ({name for name in mine if FLEET.index(name) % 2} if first in mine else set())
