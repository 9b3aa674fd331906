"""`secrets_file` as a process: what is sent, what is reported, and that no value is shown (docs/settings.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import SECRET, Cli, Wire, canary, reply


def secrets_file(cli: Cli, content: object, mode: int = 0o600) -> Path:
    path = cli.write("secrets.json", json.dumps(content))
    path.chmod(mode)
    cli.planted.add(path)
    cli.environ["RECONCILER_SECRETS_FILE"] = "secrets.json"
    return path


def test_secrets_of_the_file_are_sent_and_a_changed_one_is_a_change(cli: Cli) -> None:
    """The environment's own secret comes before the one for all; a variable before both."""
    cli.fleet("loja", "matriz")
    general, own, later = (canary("secret") for _ in range(3))
    cli.canaries |= {general, own, later}
    variable = cli.environ.pop(SECRET)
    secrets_file(cli, {SECRET: general, "loja": {SECRET: own}})
    cli.run("apply", "--yes", code=0)
    assert str(cli.held("loja")["receiveMessage"]).endswith(f"?key={own}")
    assert str(cli.held("matriz")["receiveMessage"]).endswith(f"?key={general}")
    assert cli.run("plan", "--format", "json", code=0).actions == {"loja": "noop", "matriz": "noop"}
    secrets_file(cli, {SECRET: general, "loja": {SECRET: later}})
    assert cli.run("plan", "--format", "json", code=0).actions == {"loja": "reassert", "matriz": "noop"}
    cli.environ[SECRET] = variable
    assert cli.run("plan", "--format", "json", code=0).actions == {"loja": "reassert", "matriz": "reassert"}


def test_a_missing_secret_is_reported_with_both_ways_to_set_it(cli: Cli) -> None:
    cli.fleet("loja")
    del cli.environ[SECRET]
    error = cli.run("apply", "--yes", code=3).err
    assert "set it, or put it into the secrets file" in " ".join(error.split())
    assert cli.puts("loja") == 0


def test_a_file_that_others_may_use_is_an_error_of_apply_and_check_and_a_warning_of_validate(cli: Cli) -> None:
    cli.fleet("loja")
    del cli.environ[SECRET]
    value = canary("secret")
    cli.canaries.add(value)
    secrets_file(cli, {SECRET: value}, 0o644)
    for arguments in (("apply", "--yes"), ("check",)):
        error = cli.run(*arguments, code=3).err
        assert "secrets_file: group or others may use it (chmod 600 secrets.json)" in " ".join(error.split())
        assert "is not set" not in error
    warnings = cli.run("validate", "--format", "json", code=0).json["warnings"]
    assert [warning["key"] for warning in warnings] == ["secrets_file"]


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_a_secret_of_the_file_is_not_shown_in_a_log(cli: Cli, wire: Wire, verbose: str) -> None:
    """The server may echo anything, also a secret of an environment that isn't selected."""
    cli.fleet("loja")
    del cli.environ[SECRET]
    own, other = canary("secret"), canary("secret")
    cli.canaries |= {own, other}
    secrets_file(cli, {"loja": {SECRET: own}, "matriz": {SECRET: other}})
    wire.answers[:] = [reply(400, f"{own} {other}".encode(), reason=f"{own} {other}")]
    cli.run("apply", "--yes", verbose, code=1)
    assert own.encode() in wire.requests[0].body


def test_a_run_in_a_subfolder_of_the_checkout_is_the_same(cli: Cli) -> None:
    """Settings, manifests, state and secrets are the checkout's, from any folder of it."""
    cli.fleet("loja")
    own = canary("secret")
    cli.canaries.add(own)
    del cli.environ[SECRET]
    secrets_file(cli, {"loja": {SECRET: own}})
    del cli.environ["RECONCILER_SECRETS_FILE"]
    cli.write("reconciler.toml", "secrets_file = 'secrets.json'\nstate = 'states'\n")
    (cli.folder / ".git").mkdir()
    top, cli.folder = cli.folder, cli.folder / "services" / "plug"
    cli.folder.mkdir(parents=True)
    cli.run("apply", "--yes", code=0)
    assert [path.name for path in (top / "states").glob("*.json")] == ["loja.json"]
    assert list(cli.folder.iterdir()) == []
    assert str(cli.held("loja")["receiveMessage"]).endswith(f"?key={own}")
    cli.folder = top
    assert cli.run("plan", "--format", "json", code=0).actions == {"loja": "noop"}
    assert cli.run("validate", code=0, env={"RECONCILER_STATE": "s3://bucket/plug"}).err == ""
