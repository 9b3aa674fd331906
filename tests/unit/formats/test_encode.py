"""The JSON formats, as whole documents."""

from __future__ import annotations

import json as stdlib_json

import pytest
from msgspec.structs import replace

from reconciler.formats.any_result import decode_any
from reconciler.formats.check_file import decode_check
from reconciler.formats.json_text import FormatError
from reconciler.formats.plan_file import decode_plan
from reconciler.formats.runner import make_outputs
from reconciler.model import (
    Action,
    ApiUse,
    CheckResult,
    Drift,
    Event,
    Finding,
    FindingKind,
    LiveDifference,
    Outcome,
    Reason,
    RunResult,
)
from tests import json_view as json
from tests.golden.samples import (
    DIGEST,
    ENDPOINT,
    NOW,
    WHERE,
    create,
    documents,
    drifts,
    plan_of,
    planned,
    plans,
    results,
    validations,
)


def test_a_plan_has_the_contracts_keys_in_order() -> None:
    """The order is that of docs/contract.md#plan; `selection` and the keys behind it come after the digests."""
    plan = stdlib_json.loads(json.render_plan(plans()["mixed"]))
    assert list(plan) == [
        "format", "tool", "created_at", "manifests_digest", "fleet_digest", "digest", "selection", "requested",
        "observed", "shard", "state", "apis", "state_id", "new_state", "new_hosts", "warnings", "summary",
        "environments", "checksum",
    ]  # fmt: skip
    assert plan["created_at"] == "2026-11-23T12:00:00Z"
    assert plan["tool"] == "reconciler 0.1.0"
    assert plan["digest"] == DIGEST
    assert plan["state"] == {"location": "git:origin/reconciler-state", "documents": 8}
    assert plan["apis"] == [
        {"host": "www.plugchat.com.br", "environments": 7, "sandbox": False},
        {"host": "127.0.0.1:8787", "environments": 1, "sandbox": True},
    ]
    assert plan["new_state"] is False
    assert plan["summary"] == {"create": 1, "update": 2, "reassert": 2, "noop": 3, "orphan": 1}
    production = next(one for one in plan["environments"] if one["environment"] == "production")
    assert production == {
        "environment": "production",
        "action": "update",
        "wave": 1,
        "reasons": ["webhooks-changed", "secret-changed"],
        "unchecked": ["account"],
        "source": {"file": "manifests/production.yaml", "line": 1},
        "destination": {"endpoint": ENDPOINT, "body": "flat", "auth_scheme": "raw", "token_env": "PLUG_TOKEN_X"},
        "endpoint_before": ENDPOINT,
        "body_before": "flat",
        "changes": [
            {
                "event": "receiveMessage",
                "before": "https://hooks.acme.com.br/plug/receive?key={secret:PLUG_SECRET_RECEIVE}",
                "after": "https://hooks2.acme.com.br/plug/receive?key={secret:PLUG_SECRET_RECEIVE}",
                "file": "manifests/production.yaml",
                "line": 12,
            }
        ],
        "hosts": ["hooks.acme.com.br", "hooks2.acme.com.br", "status.acme.com.br:8443"],
        "state": {"serial": 3, "lineage": "7d0c"},
    }


def test_live_differences_are_only_in_a_plan_with_live_drift() -> None:
    """The key `live` exists if and only if live-drift is a reason."""
    live = (LiveDifference(Event.MESSAGE_STATUS, None),)
    plan = plan_of(
        planned("a", Action.REASSERT, Reason.LIVE_DRIFT, live=live), planned("b", Action.REASSERT, Reason.REQUESTED)
    )
    one, other = stdlib_json.loads(json.render_plan(plan))["environments"]
    assert one["live"] == [{"event": "messageStatus", "actual": None}]
    assert "live" not in other


def test_an_orphan_has_no_source() -> None:
    """An orphan has no manifest to point to."""
    (orphan,) = stdlib_json.loads(json.render_plan(plan_of(planned("gone", Action.ORPHAN))))["environments"]
    assert orphan["source"] is None
    assert orphan["changes"] == []


def test_a_result_counts_all_seven_outcomes() -> None:
    """A reader needs no default for an outcome that didn't occur."""
    result = stdlib_json.loads(json.render_result(results()["done"]))
    assert result["summary"] == {**{outcome.value: 0 for outcome in Outcome}, "applied": 1}
    assert result["environments"] == [
        {
            "environment": "production",
            "outcome": "applied",
            "reasons": ["webhooks-changed"],
            "attempts": 1,
            "status": 200,
            "message": "applied",
            "seconds": 0.432,
        }
    ]


def test_a_finding_has_the_contracts_keys() -> None:
    """The keys are those of docs/contract.md#drift."""
    (finding,) = stdlib_json.loads(json.render_drift(drifts()["unobservable"]))["findings"]
    assert list(finding) == ["environment", "kind", "event", "expected", "actual", "message"]


def test_a_validation_with_warnings_alone_is_ok() -> None:
    """The rule is in docs/contract.md#commands."""
    errors, warnings = validations()["warnings"]
    assert stdlib_json.loads(json.render_validation(errors, warnings, environments=2)) == {
        "format": "reconciler.validation/1",
        "ok": True,
        "environments": 2,
        "errors": [],
        "warnings": [
            {
                "file": "manifests/a.yaml",
                "line": 9,
                "column": 3,
                "end_column": 0,
                "text": "",
                "key": "webhooks.receiveMessage",
                "message": "example.com is reserved",
                "hint": "",
            }
        ],
    }
    assert stdlib_json.loads(json.render_validation(warnings, []))["ok"] is False


def test_the_state_list_shows_whether_a_lease_is_live_or_over() -> None:
    """An intent whose lease is over is in doubt and locks no run out."""
    staging = documents()["locked"]
    assert staging.intent is not None
    assert staging.intent.lease_until is not None
    for now, locked in ((NOW, True), (staging.intent.lease_until, False)):
        (listed,) = stdlib_json.loads(json.render_state_list([staging], now))["environments"]
        assert (listed["locked"], listed["doubt"]) == (locked, not locked)
        assert listed["lease_until"] == "2026-11-23T12:15:00Z"


def test_a_plan_says_whether_its_apply_needs_new_state() -> None:
    """A plan for a sandbox alone does not need it."""
    sandbox = ApiUse("127.0.0.1:8787", 1, sandbox=True)
    for where, needed in (
        (None, False),
        (WHERE, False),
        (replace(WHERE, is_new=True), True),
        (replace(WHERE, is_new=True, apis=(sandbox,)), False),
    ):
        read = decode_plan(json.render_plan(plan_of(create("a"), where=where)).encode())
        assert read.intact
        assert make_outputs(read)["new-state"] == stdlib_json.dumps(needed)
        assert read.plan.where == where


def test_a_token_that_ends_is_drift_that_no_apply_fixes() -> None:
    """The output names its environment and starts no apply."""
    ends = Finding("loja", FindingKind.TOKEN_EXPIRY, None, None, "2026-12-01T00:00:00Z", "it ends")
    outputs = make_outputs(decode_any(json.render_drift(Drift((ends,), WHERE)).encode()))
    assert outputs == {"changed": "true", "environments": '["loja"]', "healable": "false"}


def test_the_outputs_of_a_plan_and_of_a_result_name_the_environments() -> None:
    """A plan names those that would be put, a result those that were applied. One without any has no change."""
    for text, names in (
        (json.render_plan(plan_of(create("b"), create("a"), planned("c", Action.NOOP))), ["a", "b"]),
        (json.render_plan(plan_of(planned("c", Action.NOOP))), []),
        (json.render_result(results()["mixed"]), [f"good-{number:02}" for number in range(23)]),
        (json.render_result(RunResult(())), []),
    ):
        outputs = make_outputs(decode_any(text.encode()))
        assert stdlib_json.loads(outputs["environments"]) == names
        assert outputs["changed"] == stdlib_json.dumps(bool(names))


@pytest.mark.parametrize(
    ("part", "value", "place"),
    [
        ("documents", "8", "state.documents"),
        ("a-token-by-mistake", 1, "state"),
    ],
)
def test_the_fault_of_a_plan_is_named_by_its_known_keys(part: str, value: object, place: str) -> None:
    """An unknown key may be a token, so it is not repeated."""
    plan = stdlib_json.loads(json.render_plan(plan_of(create("a"), where=WHERE)))
    plan["state"][part] = value
    with pytest.raises(FormatError, match=rf"^is not a plan of this version of reconciler \(at {place}\)$"):
        decode_plan(stdlib_json.dumps(plan).encode())


def _insert(text: str, path: tuple[str | int, ...], pair: str) -> bytes:
    """Return the text with another pair at the beginning of the object at `path`."""
    mark = "a-mark-that-no-document-has"
    whole = part = stdlib_json.loads(text)
    for key in path:
        part = part[key]
    first = dict(part)
    part.clear()
    part.update({mark: 0, **first})
    return stdlib_json.dumps(whole).replace(f'"{mark}": 0', pair).encode()


@pytest.mark.parametrize(
    ("path", "pair"),
    [
        ((), '"environments": []'),
        ((), '"environ\\u006dents": []'),
        (("environments", 0, "changes", 0), '"after": "https://reviewed.acme.com.br/"'),
        (("environments", 0, "state"), '"serial" : 1'),
    ],
)
def test_a_plan_with_a_repeated_key_was_edited(path: tuple[str | int, ...], pair: str) -> None:
    """A person and some tools read the first value; this program would use the last one."""
    edited = _insert(json.render_plan(plan_of(create("a"))), path, pair)
    assert not decode_plan(edited).intact
    with pytest.raises(FormatError, match=r"^was edited: a key appears twice in it$"):
        decode_any(edited)


def test_a_result_with_a_repeated_key_is_refused() -> None:
    results = {"result": json.render_result(RunResult(())), "drift": json.render_drift(Drift((), WHERE))}
    for name, text in results.items():
        decode_any(text.encode())
        with pytest.raises(FormatError, match="a key appears twice"):
            decode_any(_insert(text, (), f'"format": "reconciler.{name}/1"'))
    check = json.render_check(CheckResult((), posted=True))
    for decode in (decode_any, decode_check):
        decode(check.encode())
        with pytest.raises(FormatError, match="a key appears twice"):
            decode(_insert(check, (), '"format": "reconciler.check/1"'))


def test_a_plan_file_names_its_state() -> None:
    where = replace(WHERE, state_id="sha256:" + "0" * 64)
    assert decode_plan(json.render_plan(plan_of(create("a"), where=where)).encode()).plan.where == where
