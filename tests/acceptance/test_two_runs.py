"""Two runs at the same time on one state."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, wait_until

FLEET = tuple("abcdef")


def test_two_equal_runs_put_each_environment_once(cli: Cli, sandbox: Sandbox) -> None:
    """Environments that one run holds are locked or already done for the other; they never put the same one."""
    cli.fleet(*FLEET)
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.4)
    arguments = ("apply", "--yes", "--concurrency", "3", "--format", "json")
    running = [cli.start(*arguments), cli.start(*arguments)]
    ran = [one.finish() for one in running]
    for one in ran:
        assert set(one.outcomes.values()) <= {"applied", "unchanged", "locked"}
        assert one.code == (4 if "locked" in one.outcomes.values() else 0)
    for name in FLEET:
        assert cli.puts(name) == 1
        assert [one.outcomes[name] for one in ran].count("applied") == 1
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
    for name in FLEET:
        assert cli.held(name) == cli.desired(name)


def test_two_runs_with_different_manifests_leave_a_true_state(cli: Cli, sandbox: Sandbox) -> None:
    """Whichever run was last, a noop means that Plug holds it; one more apply converges."""
    cli.fleet(*FLEET)
    other = cli.beside("other")
    other.fleet()
    for name in FLEET:
        other.manifest(name, version="2")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.1)
    running = [one.start("apply", "--yes", "--concurrency", "2", "--format", "json") for one in (cli, other)]
    for one in running:
        assert one.finish().code in (0, 4)
    for checkout, version in ((cli, "1"), (other, "2")):
        for name, action in checkout.run("plan", "--format", "json", code=0).actions.items():
            if action == "noop":
                assert cli.held(name) == cli.desired(name, version)
    other.run("apply", "--yes", code=0)
    assert set(other.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}
    for name in FLEET:
        assert cli.held(name) == cli.desired(name, "2")


def test_locked_names_the_run_and_its_lease(cli: Cli, sandbox: Sandbox) -> None:
    """A run leaves the live intent of another alone, exits 4 and names the other; adopt and forget do so too."""
    cli.fleet("loja")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=8.0)
    before = sandbox.plug.requests
    ana = {"GITHUB_ACTOR": "ana-silva", "GITHUB_RUN_ID": "7788", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_SHA": "c0ffee"}
    first = cli.start("apply", "--yes", "--format", "json", env=ana)
    wait_until(lambda: sandbox.plug.requests > before, "the first run's PUT")
    intent = cli.document("loja")["intent"]
    assert intent["by"] == {"actor": "ana-silva", "commit": "c0ffee", "run": "7788/2"}

    second = cli.run("apply", "--yes", "--format", "json", code=4)
    one = second.json["environments"][0]
    assert (one["outcome"], one["attempts"]) == ("locked", 0)
    for word in ("ana-silva", "7788/2", intent["at"], intent["lease_until"]):
        assert word in one["message"]
    for command in ("adopt", "forget"):
        assert "ana-silva" in cli.run("state", command, "loja", "--yes", code=4).err
    plan = cli.run("plan", "--format", "json", code=0).json
    assert plan["environments"][0]["action"] == "create"
    assert any("ana-silva" in warning for warning in plan["warnings"])

    assert first.finish().outcomes == {"loja": "applied"}
    assert cli.puts("loja") == 1


def test_a_run_whose_intent_was_removed_ends_in_doubt(cli: Cli, sandbox: Sandbox) -> None:
    """unlock and forget during a PUT make it uncertain with exit 4, and the next apply puts it again."""
    cli.fleet("loja", "matriz")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=8.0)
    before = sandbox.plug.requests
    running = cli.start("apply", "--yes", "--format", "json")
    wait_until(lambda: sandbox.plug.requests >= before + 2, "both PUTs")
    cli.run("state", "unlock", "loja", "--yes", code=0)
    cli.run("state", "unlock", "matriz", "--yes", code=0)
    cli.run("state", "forget", "matriz", "--yes", code=0)
    ran = running.finish()
    assert (ran.code, set(ran.outcomes.values())) == (4, {"uncertain"})
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0)
    for name in ("loja", "matriz"):
        document = cli.document(name)
        assert (document["applied"], document["intent"]["doubt"]) == (None, True)
    cli.run("apply", "--yes", code=0)
    assert set(cli.run("plan", "--format", "json", code=0).actions.values()) == {"noop"}


def test_a_locked_environment_counts_more_than_a_rejection(cli: Cli, sandbox: Sandbox) -> None:
    """One is locked and one rejected: exit 4."""
    cli.fleet("loja", "matriz")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=5.0)
    before = sandbox.plug.requests
    first = cli.start("apply", "--yes", "-e", "loja")
    wait_until(lambda: sandbox.plug.requests > before, "the first run's PUT")
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=0.0, tokens=frozenset({cli.token("loja")}))
    ran = cli.run("apply", "--yes", "--format", "json", code=4)
    assert ran.outcomes == {"loja": "locked", "matriz": "rejected"}
    assert first.finish().code == 0
