"""The destination of a PUT and the form of its body, from the manifest to Plug and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model import BodyForm
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, canary
from tests.fuzz.hostile import Drove, drive

ONE = "account_id: 1-loja\n"


def run(cli: Cli, *arguments: str) -> Drove:
    return drive(cli.folder, cli.environ, *arguments)


def only(cli: Cli, *arguments: str) -> Any:
    (planned,) = json.loads(run(cli, *arguments, "--format", "json").out)["environments"]
    return planned


def test_a_body_form_that_plug_ignores_is_found_by_observe_and_fixed_by_the_other(cli: Cli, sandbox: Sandbox) -> None:
    """Plug answers 200 and changes nothing: manifests and state agree, and only a read shows it."""
    cli.fleet("loja")
    cli.manifest("loja", more=ONE)
    cli.environ |= {"PLUG_PARTNER_TOKEN": canary("partner"), "RECONCILER_PARTNER__BASE_URL": sandbox.base_url}
    forms = frozenset({BodyForm.VALUE})
    accounts = {"1-loja": cli.token("loja")}
    sandbox.plug.options = replace(Options(), accounts=accounts, body_forms=forms, ignore_other_form=True)
    assert only(cli, "apply", "--yes")["outcome"] == "applied"
    assert set(cli.held("loja").values()) == {None}
    assert run(cli, "drift").code == 0
    found = json.loads(run(cli, "drift", "--observe", "--format", "json").out)["findings"]
    assert [one["kind"] for one in found].count("live") == 5

    cli.environ["RECONCILER_API__BODY"] = "value"
    planned = only(cli, "plan")
    assert (planned["action"], planned["reasons"], planned["changes"]) == ("update", ["endpoint-changed"], [])
    assert (planned["body_before"], planned["destination"]["body"]) == ("flat", "value")
    (finding,) = json.loads(run(cli, "drift", "--format", "json").out)["findings"]
    assert (finding["kind"], finding["expected"], finding["actual"]) == ("endpoint", "value", "flat")
    assert only(cli, "apply", "--yes")["outcome"] == "applied"
    assert cli.held("loja") == cli.desired("loja")
    assert cli.document("loja")["applied"]["body"] == "value"
    assert run(cli, "drift", "--observe").code == 0


def test_a_changed_destination_is_not_the_expected_plan(cli: Cli) -> None:
    """Neither the digest of a plan without changes nor an older plan file sends a token to another server."""
    cli.fleet("loja")
    assert run(cli, "apply", "--yes").code == 0
    before = json.loads(run(cli, "plan", "--out", "plan.json", "--format", "json").out)
    elsewhere = cli.environ["RECONCILER_API__BASE_URL"].replace("127.0.0.1", "localhost")
    cli.manifest("loja", more=f'api: {{base_url: "{elsewhere}"}}\n')
    requests = cli.sandbox.plug.requests
    refused = run(cli, "apply", "--yes", "--expect", before["digest"])
    assert (refused.code, "~ loja  update: endpoint" in refused.out, elsewhere in refused.out) == (4, True, True)
    stale = run(cli, "apply", "--yes", "plan.json")
    assert (stale.code, "loja: its destination differs" in stale.err) == (4, True)
    assert cli.sandbox.plug.requests == requests
    planned = json.loads(run(cli, "plan", "--format", "json").out)
    for key in ("digest", "fleet_digest"):
        assert before[key] != planned[key]
    assert only(cli, "apply", "--yes", "--expect", planned["fleet_digest"])["outcome"] == "applied"


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_a_manifest_sends_no_token_to_a_port_of_this_machine(cli: Cli, command: str) -> None:
    """Only the setting itself may name a sandbox."""
    cli.fleet("loja")
    cli.manifest("loja", more='api: {base_url: "http://127.0.0.1:1"}\n')
    assert run(cli, "plan").code == 0
    del cli.environ["RECONCILER_API__BASE_URL"]
    refused = run(cli, command)
    assert refused.code == 3
    problem = "manifests/loja.yaml:4:17: api.base_url: is on this machine (loopback), and the setting "
    assert problem in refused.out + refused.err


@pytest.mark.parametrize("value", ["", "garbage", "sha256:abc", "SHA256:" + "0" * 64, "sha256:" + "A" * 64])
def test_a_value_of_expect_that_is_not_a_digest_is_invalid_at_once(cli: Cli, value: str) -> None:
    """An empty value is usually an unset variable of an earlier step; the value is not shown."""
    ran = run(cli, "apply", "--yes", "--expect", value)  # there are no manifests, which nothing has looked for
    assert (ran.code, ran.out) == (3, "")
    fault = "is not a digest" if value else "is empty"
    hint = "copy it from the reviewed plan: sha256: and 64 hex digits, in small letters"
    assert ran.err == f"error: --expect: {fault} ({hint})\n"
