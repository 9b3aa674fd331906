"""The guards stop an apply before the first byte is sent, and all are reported in one run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import SECRET, Cli, Wire, canary, make_jwt, only

FLEET = tuple(f"cliente-{number}" for number in range(10))


def refused(cli: Cli, *arguments: str) -> str:
    """Run an apply that must be refused, and return its stderr: exit 3, nothing sent or written."""
    requests, before = cli.sandbox.plug.requests, cli.state_bytes()
    ran = cli.run("apply", "--yes", *arguments, code=3)
    assert ran.out == ""
    assert cli.sandbox.plug.requests == requests
    assert cli.state_bytes() == before
    return ran.err


def test_more_than_half_of_ten_environments_are_not_updated_at_once(cli: Cli) -> None:
    """6 updates of 10 are refused by default, reported by plan, and allowed by --max-changed 100%."""
    cli.fleet(*FLEET)
    cli.run("apply", "--yes", code=0)
    for name in FLEET[:5]:
        cli.manifest(name, version="2")
    assert "max_changed" in refused(cli, "--max-changed", "4")
    cli.manifest(FLEET[5], version="2")
    error = refused(cli)
    assert (error.count("max_changed:"), error.count("--max-changed 100%")) == (1, 1)
    planned = cli.run("plan", "--format", "json", code=0).json
    assert any("max_changed" in warning for warning in planned["warnings"])
    passed = cli.run("apply", "--yes", "--max-changed", "100%", "--format", "json", code=0)
    assert passed.json["summary"]["applied"] == 6
    for name in FLEET[:5]:
        cli.manifest(name, version="3")
    assert cli.run("apply", "--yes", "--format", "json", code=0).json["summary"]["applied"] == 5


def test_nine_environments_are_updated_at_once(cli: Cli) -> None:
    """Below ten applied environments the default guard does nothing."""
    cli.fleet(*FLEET[:9])
    cli.run("apply", "--yes", code=0)
    for name in FLEET[:9]:
        cli.manifest(name, version="2")
    assert cli.run("apply", "--yes", "--format", "json", code=0).json["summary"]["applied"] == 9


def test_two_environments_with_the_same_token_are_refused(cli: Cli) -> None:
    """They would overwrite each other, even if only one of them is to be put."""
    cli.fleet("loja", "matriz")
    cli.environ["PLUG_TOKEN_MATRIZ"] = cli.environ["PLUG_TOKEN_LOJA"]
    error = refused(cli)
    assert "PLUG_TOKEN_LOJA" in error
    assert "PLUG_TOKEN_MATRIZ" in error
    refused(cli, "-e", "loja")


def test_two_tokens_of_one_organization_are_refused(cli: Cli) -> None:
    """Two different JWTs with the same organizationId belong to one company."""
    cli.fleet("loja", "matriz")
    cli.environ |= {"PLUG_TOKEN_LOJA": make_jwt("org-1", n=1), "PLUG_TOKEN_MATRIZ": make_jwt("org-1", n=2)}
    error = refused(cli)
    assert "PLUG_TOKEN_LOJA" in error
    assert "PLUG_TOKEN_MATRIZ" in error


def test_the_same_token_variable_or_account_twice_fails_validation(cli: Cli) -> None:
    """Two manifests that name one variable or one account are an error already offline."""
    cli.fleet("loja", "matriz")
    for name in ("loja", "matriz"):
        cli.manifest(name, more="token_env: PLUG_TOKEN_SHARED\naccount_id: 123-456\n")
    validation = cli.run("validate", "--format", "json", code=3).json
    assert {error["key"] for error in validation["errors"]} == {"token_env", "account_id"}


def test_a_token_of_another_organization_needs_to_be_accepted(cli: Cli) -> None:
    """The refusal names swapped tokens; --accept-account-change allows the named environment."""
    cli.fleet("loja")
    cli.environ["PLUG_TOKEN_LOJA"] = make_jwt("org-1")
    cli.run("apply", "--yes", code=0)
    assert cli.document("loja")["applied"]["account"] == "org:org-1"
    cli.environ["PLUG_TOKEN_LOJA"] = make_jwt("org-2")
    error = refused(cli)
    for word in ("loja", "org-1", "org-2", "--accept-account-change loja"):
        assert word in error
    assert "nobody" in refused(cli, "--accept-account-change", "nobody", "--accept-account-change", "loja")
    ran = cli.run("apply", "--yes", "--accept-account-change", "loja", "--format", "json", code=0)
    assert "account-changed" in only(ran.json["environments"])["reasons"]
    assert cli.document("loja")["applied"]["account"] == "org:org-2"
    assert cli.held("loja") == cli.desired("loja")


def test_a_token_of_another_company_than_the_manifest_names_is_refused(cli: Cli) -> None:
    """The message has the manifest's location; a plan warns, and no flag allows it."""
    cli.fleet("loja")
    cli.manifest("loja", more="organization_id: org-1\n")
    cli.environ["PLUG_TOKEN_LOJA"] = make_jwt("org-2")
    error = refused(cli, "--accept-account-change", "loja")
    assert "manifests/loja.yaml:1:1: organization_id: the token of loja belongs to organization org-2" in error
    (warning,) = cli.run("plan", "--format", "json", code=0).json["warnings"]
    assert warning.startswith("apply would refuse: manifests/loja.yaml:1:1: organization_id: ")
    cli.environ["PLUG_TOKEN_LOJA"] = make_jwt("org-1")
    assert cli.run("apply", "--yes", "--format", "json", code=0).outcomes == {"loja": "applied"}


def test_an_unreadable_document_outside_the_selection_is_a_warning(cli: Cli) -> None:
    """It names what no guard could check."""
    cli.fleet("loja", "matriz")
    cli.run("apply", "--yes", code=0)
    (cli.folder / ".reconciler" / "state" / "matriz.json").write_text("{")
    cli.manifest("loja", version="2")
    ran = cli.run("apply", "--yes", "-e", "loja", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied"}
    assert "warning: the guards could not read the state of matriz: state of matriz" in ran.err
    cli.run("apply", "--yes", code=4)


def test_an_expired_token_is_only_a_warning(cli: Cli) -> None:
    """A JWT's exp is a hint: Plug decides."""
    cli.fleet("loja")
    cli.environ["PLUG_TOKEN_LOJA"] = make_jwt("org-1", exp=1_000_000_000)
    ran = cli.run("apply", "--yes", code=0)
    assert "PLUG_TOKEN_LOJA" in ran.err
    assert "2001-09-09T01:46:40Z" in ran.err


def test_reserved_hosts_are_not_sent_to_the_real_plug(cli: Cli, wires: Callable[[], Wire]) -> None:
    """hooks.example.com is refused if the base URL isn't loopback; no connection is made."""
    cli.fleet("loja", host="hooks.example.com")
    del cli.environ["RECONCILER_API__BASE_URL"]
    proxy = wires()  # It would record any connection to the vendor, and stop it.
    cli.environ["HTTPS_PROXY"] = proxy.base_url
    assert "hooks.example.com" in refused(cli, "--api-base-url", "https://www.plugchat.com.br")
    assert "hooks.example.com" in refused(cli)
    assert proxy.connections == 0


def test_a_base_url_that_is_not_allowed_gets_no_token(cli: Cli, wires: Callable[[], Wire]) -> None:
    """Another host, or plain http beyond loopback, is invalid input."""
    cli.fleet("loja")
    proxy = wires()
    cli.environ |= {"HTTPS_PROXY": proxy.base_url, "HTTP_PROXY": proxy.base_url}
    for url in ("https://plug.acme.com.br", "http://www.plugchat.com.br"):
        assert "--api-base-url" in refused(cli, "--api-base-url", url)
    assert proxy.connections == 0


def test_all_missing_tokens_and_secrets_are_named_in_one_run(cli: Cli) -> None:
    """One run names every variable that a new fleet still needs."""
    cli.fleet("loja", "matriz")
    for name in ("PLUG_TOKEN_LOJA", "PLUG_TOKEN_MATRIZ", SECRET):
        del cli.environ[name]
    error = refused(cli)
    for name in ("PLUG_TOKEN_LOJA", "PLUG_TOKEN_MATRIZ", SECRET):
        assert name in error
    assert not (cli.folder / ".reconciler").exists()


def test_unusable_secrets_are_all_named_and_never_shown(cli: Cli) -> None:
    """Empty, white space, #, control characters and non-ASCII are refused before anything is sent."""
    values = {
        "PLUG_SECRET_EMPTY": "",
        "PLUG_SECRET_SPACE": "canary with-a-space",
        "PLUG_SECRET_LINE": "canary-with-a-line-end\n",
        "PLUG_SECRET_HASH": "canary#with-a-hash",
        "PLUG_SECRET_BELL": "canary-with-a-\x07bell",
        "PLUG_SECRET_WIDE": "canary-with-an-é",
    }
    cli.fleet("loja")
    events = ("finishAttendance", "startAttendance", "sendingMessage", "messageStatus", "whenDisconnecting")
    lines = [
        f"  {event}: https://hooks.acme.com.br/{{secret:{name}}}" for event, name in zip(events, values, strict=False)
    ]
    lines.append("  messageDeliveryError: https://hooks.acme.com.br/x?y={secret:PLUG_SECRET_WIDE}")
    cli.manifest("loja", more="webhooks:\n" + "\n".join(lines) + "\n")
    cli.environ |= values
    error = refused(cli)
    for name in values:
        assert name in error


@pytest.mark.parametrize("token", ["canary token-space", "canary-token-line\n", "canary-token-é"])
def test_a_malformed_token_is_named_by_its_variable_beside_other_problems(cli: Cli, token: str) -> None:
    """A token can't have white space or non-ASCII characters. A plan refuses it too."""
    cli.fleet("loja", "matriz")
    cli.environ["PLUG_TOKEN_LOJA"] = token
    del cli.environ["PLUG_TOKEN_MATRIZ"], cli.environ[SECRET]
    error = refused(cli)
    for name in ("PLUG_TOKEN_LOJA", "PLUG_TOKEN_MATRIZ", SECRET):
        assert name in error
    for arguments in (("plan",), ("apply", "--dry-run"), ("drift",)):
        error = cli.run(*arguments, code=3).err
        assert "PLUG_TOKEN_LOJA" in error
        assert "PLUG_TOKEN_MATRIZ" not in error


def test_a_tokens_file_that_others_may_read_is_refused(cli: Cli) -> None:
    """Mode 0644 is an error of apply and a warning of validate; with 0600 its tokens are used."""
    cli.fleet("loja", "matriz")
    tokens = {"loja": canary(), "matriz": canary()}
    cli.canaries |= set(tokens.values())
    for name in tokens:
        del cli.environ[cli.token_env(name)]
    path = cli.write("tokens.json", json.dumps(tokens))
    cli.planted.add(path)
    cli.environ["RECONCILER_TOKENS_FILE"] = "tokens.json"
    path.chmod(0o644)
    assert "tokens.json" in refused(cli)
    validation = cli.run("validate", "--format", "json", code=0).json
    assert any(warning["file"] == "tokens.json" for warning in validation["warnings"])
    path.chmod(0o600)
    assert set(cli.run("apply", "--yes", "--format", "json", code=0).outcomes.values()) == {"applied"}
    assert cli.sandbox.plug.company(tokens["loja"]).puts == 1
    assert cli.sandbox.plug.company(tokens["matriz"]).puts == 1


def test_a_token_in_a_manifest_is_refused_and_not_repeated(cli: Cli) -> None:
    """A token key, a JWT in a comment, and a known token's value are errors that don't repeat it."""
    cli.fleet("loja")
    jwt = make_jwt("org-1")
    cli.canaries.add(jwt)
    text = f"token: something\n# {jwt}\ndescription: {cli.token('loja')}\n"
    cli.planted.add(cli.manifest("loja", more=text))
    validation = cli.run("validate", "--format", "json", code=3).json
    assert {error["line"] for error in validation["errors"]} == {4, 5, 6}


def test_a_policy_stops_apply_as_well(cli: Cli) -> None:
    """A denied host is invalid input for validate, plan and apply."""
    cli.fleet("loja")
    cli.run("validate", "--policy-denied-hosts", "*.acme.com.br", code=3)
    cli.run("plan", "--policy-denied-hosts", "*.acme.com.br", code=3)
    assert "hooks.acme.com.br" in refused(cli, "--policy-denied-hosts", "*.acme.com.br")


def test_every_guard_is_named_in_one_run(cli: Cli, wires: Callable[[], Wire]) -> None:
    """max_changed, account, shared token, missing token and secret, reserved host: one run reports them all."""
    cli.fleet(*FLEET, host="hooks.example.com")
    cli.environ[cli.token_env(FLEET[0])] = make_jwt("org-1")
    cli.run("apply", "--yes", code=0)
    for name in FLEET[:6]:
        cli.manifest(name, version="2")
    cli.environ[cli.token_env(FLEET[0])] = make_jwt("org-2")
    cli.environ[cli.token_env(FLEET[1])] = cli.environ[cli.token_env(FLEET[2])]
    del cli.environ[cli.token_env(FLEET[3])]
    del cli.environ[SECRET]
    del cli.environ["RECONCILER_API__BASE_URL"]
    proxy = wires()
    cli.environ["HTTPS_PROXY"] = proxy.base_url
    error = refused(cli)
    named = (
        "max_changed",
        f"--accept-account-change {FLEET[0]}",
        cli.token_env(FLEET[1]),
        cli.token_env(FLEET[2]),
        cli.token_env(FLEET[3]),
        SECRET,
        "hooks.example.com",
    )
    for word in named:
        assert word in error
    assert proxy.connections == 0
