"""The meaning of each exit code, and what stdout and stderr hold with it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("apply", "--bogus"),
        ("plan", "--format", "xml"),
        ("plan", "-e", "nope*"),
        ("plan", "-e", "[!a-z]"),
        ("plan", "--timeout", "soon"),
        ("plan", "--concurrency", "0"),
        ("plan", "--lease", "60"),
        ("apply", "--yes", "plan.json", "-e", "loja"),
        ("apply", "--yes", "plan.json", "--reassert"),
        ("apply", "--yes", "plan.json", "--observe"),
        ("apply", "--yes", "plan.json", "--expect", DIGEST),
        ("apply", "--yes", "no-such-plan.json"),
        ("state", "show", "nobody"),
        ("sandbox", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_3_and_an_empty_stdout(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Unknown words are invalid input: stdout is empty, stderr has a reason, nothing is written."""
    cli.fleet("loja")
    ran = cli.run(*arguments, code=3)
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert not (cli.folder / ".reconciler").exists()


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("pln",), "unknown command 'pln'; did you mean plan?"),
        (("plan", "--reasert"), "Did you mean"),
        (("plan", "-e", "lojja"), "did you mean loja-1?"),
        (("plan", "-e", "matr"), "did you mean matriz?"),
        (("plan", "-e", "xyz"), "'xyz' matches no environment (known environments: loja-1, matriz)"),
        (("plan", "--manifests", "elsewhere"), "run in the folder that holds it"),
    ],
)
def test_a_typing_error_gets_a_suggestion(cli: Cli, arguments: tuple[str, ...], near: str) -> None:
    """For a command, an option, an environment, and a folder that isn't the current one."""
    cli.fleet("loja-1", "matriz")
    assert near in cli.run(*arguments, code=3).err


def test_an_unknown_setting_ends_with_3_and_a_suggestion(cli: Cli) -> None:
    """A misspelt RECONCILER_ variable is an error that suggests the right name."""
    cli.fleet("loja")
    ran = cli.run("plan", code=3, env={"RECONCILER_TIMEOT": "5"})
    assert (ran.out, "RECONCILER_TIMEOT" in ran.err, "timeout" in ran.err.lower()) == ("", True, True)


def test_invalid_manifests_end_with_3_and_stdout_in_the_asked_format(cli: Cli, sandbox: Sandbox) -> None:
    """A problem in any manifest stops every command, even one that selects another environment."""
    cli.fleet("loja", "matriz")
    cli.write("manifests/matriz.yaml", "wave: '1'\nwebhook: {}\n")
    requests = sandbox.plug.requests
    validation = cli.run("validate", "--format", "json", code=3).json
    assert validation["ok"] is False
    assert {(error["file"], error["line"]) for error in validation["errors"]} == {
        ("manifests/matriz.yaml", 1),
        ("manifests/matriz.yaml", 2),
    }
    for command in (("plan", "-e", "loja"), ("apply", "--yes", "-e", "loja", "--format", "json"), ("drift",)):
        ran = cli.run(*command, code=3)
        assert ran.out == ""
        assert "manifests/matriz.yaml:1:" in ran.err
        assert "manifests/matriz.yaml:2:" in ran.err
    assert sandbox.plug.requests == requests
    assert cli.state_bytes() == {}


def test_only_detailed_exitcode_makes_changes_a_2(cli: Cli) -> None:
    """`plan` exits 0 with or without changes; with --detailed-exitcode it exits 2 if there are changes."""
    cli.fleet("loja")
    cli.run("plan", code=0)
    cli.run("plan", "--detailed-exitcode", code=2)
    cli.run("apply", "--yes", code=0)
    cli.run("plan", "--detailed-exitcode", code=0)
    cli.run("plan", "--detailed-exitcode", "--reassert", code=2)


def test_an_orphan_is_drift_but_no_change(cli: Cli, sandbox: Sandbox) -> None:
    """An environment in no manifest is reported, matched by -e, and never changed."""
    cli.fleet("antiga", "loja")
    cli.run("apply", "--yes", code=0)
    (cli.folder / "manifests/antiga.yaml").unlink()
    requests, document = sandbox.plug.requests, cli.state_bytes()["antiga.json"]
    plan = cli.run("plan", "--detailed-exitcode", "--format", "json", code=0).json
    assert plan["summary"] == {"create": 0, "update": 0, "reassert": 0, "noop": 1, "orphan": 1}
    orphan = next(one for one in plan["environments"] if one["action"] == "orphan")
    assert (orphan["environment"], orphan["source"], orphan["changes"]) == ("antiga", None, [])
    assert cli.run("plan", "-e", "ant*", "--format", "json", code=0).actions == {"antiga": "orphan"}
    findings = cli.run("drift", "--format", "json", code=2).json["findings"]
    assert [(one["environment"], one["kind"]) for one in findings] == [("antiga", "orphan")]
    cli.run("apply", code=0)
    assert sandbox.plug.requests == requests
    assert cli.state_bytes()["antiga.json"] == document


def test_without_a_terminal_and_without_yes_nothing_happens(cli: Cli, sandbox: Sandbox) -> None:
    """apply says how to continue, exits 3 with an empty stdout, and writes no state folder."""
    cli.fleet("loja")
    requests = sandbox.plug.requests
    ran = cli.run("apply", "--format", "json", code=3)
    assert ran.out == ""
    assert "--yes" in ran.err
    assert sandbox.plug.requests == requests
    assert not (cli.folder / ".reconciler").exists()


def test_with_nothing_to_do_apply_asks_nothing_and_needs_no_token(cli: Cli, sandbox: Sandbox) -> None:
    """An unchanged fleet exits 0 without --yes, terminal, token or secret."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    requests = sandbox.plug.requests
    without = {"PLUG_TOKEN_LOJA": None, "PLUG_SECRET_RECEIVE": None}
    assert cli.run("apply", "--format", "json", code=0, env=without).outcomes == {"loja": "unchanged"}
    assert sandbox.plug.requests == requests


def test_the_answer_no_is_1_and_the_answer_yes_applies(cli: Cli, sandbox: Sandbox) -> None:
    """On a terminal apply asks; only a yes sends or writes anything."""
    cli.fleet("loja")
    requests = sandbox.plug.requests
    declined = cli.run("apply", "--format", "json", code=1, answer="n\n")
    assert declined.out == ""
    assert sandbox.plug.requests == requests
    assert cli.state_bytes() == {}
    assert cli.run("apply", "--format", "json", code=0, answer="y\n").outcomes == {"loja": "applied"}


def test_dry_run_is_exactly_plan(cli: Cli, sandbox: Sandbox) -> None:
    """--dry-run shows the same plan as `plan`, needs no token, and sends and writes nothing."""
    cli.fleet("loja")
    requests = sandbox.plug.requests
    without = {"PLUG_TOKEN_LOJA": None, "PLUG_SECRET_RECEIVE": None}
    dry = cli.run("apply", "--dry-run", "--format", "json", code=0, env=without).json
    plan = cli.run("plan", "--format", "json", code=0, env=without).json
    for document in (dry, plan):
        del document["created_at"], document["checksum"]
    assert dry == plan
    assert sandbox.plug.requests == requests
    assert not (cli.folder / ".reconciler").exists()


def test_an_environment_not_applied_is_1(cli: Cli, sandbox: Sandbox) -> None:
    """One rejected environment makes the exit code 1; the others are applied."""
    cli.fleet("loja", "matriz")
    sandbox.plug.options = replace(sandbox.plug.options, tokens=frozenset({cli.token("matriz")}))
    ran = cli.run("apply", "--yes", "--format", "json", code=1)
    assert ran.outcomes == {"loja": "rejected", "matriz": "applied"}
    assert cli.document("loja")["intent"] is None


@pytest.mark.parametrize("state", ["occupied", "occupied/below"])
def test_a_state_that_cannot_be_used_is_4_and_nothing_is_sent(cli: Cli, sandbox: Sandbox, state: str) -> None:
    """Without a written intent there is no PUT."""
    cli.fleet("loja")
    cli.write("occupied", "a file, no folder\n")
    requests = sandbox.plug.requests
    cli.run("apply", "--yes", "--state", state, code=4)
    assert sandbox.plug.requests == requests


def test_version_help_and_schema_need_nothing(cli: Cli) -> None:
    """They work in an empty folder; each command's help shows an example."""
    version = cli.run("--version", code=0)
    assert version.out.startswith("reconciler ")
    assert cli.run("schema", code=0).json["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for command in ("validate", "plan", "apply", "drift", "state", "sandbox"):
        assert "Example:\n" in cli.run(command, "--help", code=0).out
