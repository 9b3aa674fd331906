"""A change from the manifest to Plug, and the effect of a lost answer."""

from __future__ import annotations

import re
import shutil
from typing import Any

from msgspec.structs import replace

from reconciler.model import EVENTS, Event
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import ROOT, Cli, canary, only

BASE = "https://hooks.acme.com.br/loja"
MANIFEST = """\
environment: loja
description: A loja
wave: 2
webhooks:
""" + "".join(f"  {event}: {BASE}/{event}\n" for event in EVENTS)

VOLATILE = {
    "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "tool": r"reconciler \d+\.\d+\.\d+",
    "digest": r"sha256:[0-9a-f]{64}",
    "state_id": r"sha256:[0-9a-f]{64}",
    "manifests_digest": r"sha256:[0-9a-f]{64}",
    "fleet_digest": r"sha256:[0-9a-f]{64}",
    "checksum": r"sha256:[0-9a-f]{64}",
    "lineage": r"[0-9a-f]{32}",
    "seconds": r"\d+(\.\d+)?",
    "at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "account": r"token:[0-9a-f]{16}",
    "endpoint": r"http://127\.0\.0\.1:\d+/api/integrations/update-webhooks",
    "endpoint_before": r"http://127\.0\.0\.1:\d+/api/integrations/update-webhooks",
    "actor": r".+",
    "host": r"127\.0\.0\.1:\d+",
}


def steady(value: Any) -> Any:
    """Return the document with what changes between runs replaced by `…`, after checking its form."""
    if isinstance(value, list):
        return [steady(one) for one in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, one in value.items():
        if key in VOLATILE and one is not None:
            assert re.fullmatch(VOLATILE[key], str(one)), (key, one)
            out[key] = "…"
        else:
            out[key] = steady(one)
    return out


def plan_document(action: str, reasons: list[str], changes: list[Any], state: Any) -> dict[str, Any]:
    return {
        "format": "reconciler.plan/1",
        "tool": "…",
        "created_at": "…",
        "manifests_digest": "…",
        "fleet_digest": "…",
        "digest": "…",
        "selection": [],
        "requested": False,
        "observed": False,
        "shard": None,
        **where(documents=1 if state["serial"] else 0),
        "state_id": "…",
        "new_state": not state["serial"],
        "new_hosts": [],
        "warnings": [],
        "summary": {"create": 0, "update": 0, "reassert": 0, "noop": 0, "orphan": 0, action: 1},
        "environments": [
            {
                "environment": "loja",
                "action": action,
                "wave": 2,
                "reasons": reasons,
                "unchecked": [],
                "source": {"file": "manifests/loja.yaml", "line": 1},
                "destination": {
                    "endpoint": "…",
                    "body": "flat",
                    "auth_scheme": "raw",
                    "token_env": "PLUG_TOKEN_LOJA",
                },
                "endpoint_before": "…" if state["serial"] else None,
                "body_before": "flat" if state["serial"] else None,
                "changes": changes,
                "hosts": [] if action == "noop" else [BASE.split("/")[2]],
                "state": state,
            }
        ],
        "checksum": "…",
    }


def where(documents: int) -> dict[str, Any]:
    return {
        "state": {"location": ".reconciler/state", "documents": documents},
        "apis": [{"host": "…", "environments": 1, "sandbox": True}],
    }


def result_document(outcome: str, reasons: list[str], **values: Any) -> dict[str, Any]:
    none = dict.fromkeys(("applied", "rejected", "failed", "uncertain", "unchanged", "skipped", "locked"), 0)
    one = {"environment": "loja", "outcome": outcome, "reasons": reasons, "attempts": 1, "status": 200, "message": ""}
    return {
        "format": "reconciler.result/1",
        **where(documents=1),
        "summary": {**none, outcome: 1},
        "environments": [{**one, "seconds": "…", **values}],
    }


def change(event: str, before: str | None, after: str) -> dict[str, Any]:
    line = 5 + EVENTS.index(Event(event))
    return {"event": event, "before": before, "after": after, "file": "manifests/loja.yaml", "line": line}


def test_an_environment_is_created_unchanged_and_updated(cli: Cli, sandbox: Sandbox) -> None:
    """create, noop and update have exactly the documented shapes, and Plug holds the manifest's webhooks."""
    cli.write("manifests/loja.yaml", MANIFEST)
    cli.environ["PLUG_TOKEN_LOJA"] = canary()
    urls = {event.value: f"{BASE}/{event}" for event in EVENTS}

    created = cli.run("plan", "--format", "json", code=0).json
    assert {**steady(created), "environments": steady(created["environments"])} == plan_document(
        "create",
        ["never-applied"],
        [change(event, None, url) for event, url in urls.items()],
        {"serial": 0, "lineage": None},
    )
    assert cli.state_bytes() == {}
    applied = cli.run("apply", "--yes", "--format", "json", code=0).json
    assert steady(applied) == result_document("applied", ["never-applied"])
    assert cli.held("loja") == urls
    assert steady(cli.document("loja")) == {
        "format": "reconciler.state/2",
        "environment": "loja",
        "lineage": "…",
        "serial": 2,
        "applied": {
            "endpoint": "…",
            "account": "…",
            "webhooks": urls,
            "secrets": {},
            "body": "flat",
            "token_expires_at": None,
            "at": "…",
            "by": {"actor": "…", "commit": None, "run": None},
        },
        "intent": None,
        "last": {
            "outcome": "applied",
            "status": 200,
            "message": "",
            "at": "…",
            "by": {"actor": "…", "commit": None, "run": None},
        },
        "history": [{"at": "…", "by": {"actor": "…", "commit": None, "run": None}, "webhooks": urls}],
    }

    state = {"serial": 2, "lineage": "…"}
    assert steady(cli.run("plan", "--format", "json", code=0).json) == plan_document("noop", [], [], state)
    requests = sandbox.plug.requests
    again = cli.run("apply", "--yes", "--format", "json", code=0).json
    assert steady(again) == result_document("unchanged", [], attempts=0, status=None)
    assert sandbox.plug.requests == requests

    urls["messageStatus"] = f"{BASE}/v2/status"
    cli.write("manifests/loja.yaml", MANIFEST.replace(f"{BASE}/messageStatus", urls["messageStatus"]))
    changes = [change("messageStatus", f"{BASE}/messageStatus", urls["messageStatus"])]
    updated = cli.run("plan", "--format", "json", "--detailed-exitcode", code=2).json
    assert steady(updated) == plan_document("update", ["webhooks-changed"], changes, state)
    drift = cli.run("drift", "--format", "json", code=2).json
    finding = only(drift["findings"])
    assert drift["format"] == "reconciler.drift/1"
    assert {**finding, "message": "…"} == {
        "environment": "loja",
        "kind": "unapplied",
        "event": "messageStatus",
        "expected": urls["messageStatus"],
        "actual": f"{BASE}/messageStatus",
        "message": "…",
    }
    result = cli.run("apply", "--yes", "--format", "json", code=0).json
    assert steady(result) == result_document("applied", ["webhooks-changed"])
    assert cli.held("loja") == urls
    drift = steady(cli.run("drift", "--format", "json", code=0).json)
    assert drift == {"format": "reconciler.drift/1", **where(documents=1), "findings": []}


def test_the_example_manifests_are_applied_as_they_are(cli: Cli) -> None:
    """The repository's own manifests validate, apply against a sandbox, and are then unchanged."""
    shutil.copytree(ROOT / "manifests", cli.folder / "manifests")
    base_url = cli.environ.pop("RECONCILER_API__BASE_URL")
    cli.run("validate", code=0, env={"PLUG_SECRET_RECEIVE": None})
    cli.environ |= {"PLUG_TOKEN_STAGING": canary(), "PLUG_TOKEN_PRODUCTION": canary()}
    flags = ("--api-base-url", base_url, "--format", "json")
    assert cli.run("apply", "--yes", *flags, code=0).outcomes == {"staging": "applied", "production": "applied"}
    assert cli.run("plan", *flags, code=0).actions == {"staging": "noop", "production": "noop"}
    assert cli.held("production")["receiveMessage"] == (
        f"https://hooks.example.com/plug/production/receive?key={cli.environ['PLUG_SECRET_RECEIVE']}"
    )


def test_after_a_lost_answer_the_reverted_manifest_is_put_again(cli: Cli, sandbox: Sandbox) -> None:
    """The answer to an edit was lost, so Plug may hold the edit."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    applied = cli.document("loja")["applied"]

    sandbox.plug.options = replace(sandbox.plug.options, lost_answers=1.0, seed=1)
    cli.manifest("loja", version="2")
    lost = cli.run("apply", "--yes", "--attempts", "2", "--deadline", "5s", "--format", "json", code=1)
    one = only(lost.json["environments"])
    assert (one["outcome"], one["attempts"], one["status"]) == ("uncertain", 2, None)
    assert cli.held("loja") == cli.desired("loja", "2")
    document = cli.document("loja")
    assert document["applied"] == applied
    assert document["intent"]["doubt"] is True
    assert document["intent"]["lease_until"] is None

    cli.manifest("loja", version="1")
    planned = only(cli.run("plan", "--format", "json", "--detailed-exitcode", code=2).json["environments"])
    assert (planned["action"], planned["reasons"], planned["changes"]) == ("reassert", ["uncertain"], [])
    findings = cli.run("drift", "--format", "json", code=2).json["findings"]
    assert {one["kind"] for one in findings} == {"uncertain"}

    sandbox.plug.options = replace(sandbox.plug.options, lost_answers=0.0)
    healed = cli.run("apply", "--yes", "--format", "json", code=0)
    assert only(healed.json["environments"])["reasons"] == ["uncertain"]
    assert cli.held("loja") == cli.desired("loja", "1")
    requests = sandbox.plug.requests
    assert cli.run("apply", "--yes", "--format", "json", code=0).outcomes == {"loja": "unchanged"}
    assert sandbox.plug.requests == requests


def test_a_failed_wave_stops_the_later_ones(cli: Cli, sandbox: Sandbox) -> None:
    """Wave 1 is skipped without an intent if wave 0 was rejected, and applied once wave 0 succeeds."""
    cli.fleet("first", "second")
    cli.manifest("second", wave=1)
    sandbox.plug.options = replace(sandbox.plug.options, tokens=frozenset({cli.token("second")}))
    failed = cli.run("apply", "--yes", "--format", "json", code=1)
    assert failed.outcomes == {"first": "rejected", "second": "skipped"}
    assert cli.puts("second") == 0
    assert "second.json" not in cli.state_bytes()
    sandbox.plug.options = replace(sandbox.plug.options, tokens=frozenset())
    assert set(cli.run("apply", "--yes", "--format", "json", code=0).outcomes.values()) == {"applied"}


def test_a_rotated_secret_is_put_again_and_never_shown(cli: Cli) -> None:
    """A new value of a secret is a reassert with its own reason, and arrives at Plug."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    cli.environ["PLUG_SECRET_RECEIVE"] = canary("secret")
    planned = only(cli.run("plan", "--format", "json", code=0).json["environments"])
    assert (planned["action"], planned["reasons"]) == ("reassert", ["secret-changed"])
    unsure = only(cli.run("plan", "--format", "json", code=0, env={"PLUG_TOKEN_LOJA": None}).json["environments"])
    assert unsure["action"] == "noop"
    assert unsure["unchecked"]
    cli.run("apply", "--yes", code=0)
    assert cli.held("loja") == cli.desired("loja")
