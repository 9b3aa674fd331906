"""Live drift: an edit in Plug itself is found, reported and repaired.

See docs/contract.md#plan, docs/contract.md#drift.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.partner_account import FIELDS
from reconciler.model import EVENTS
from reconciler.sandbox.plug import Options
from tests.acceptance.conftest import HOST, SECRET, Cli, Hang, Wire, canary, only, reply, unpack_page

PARTNER = "PLUG_PARTNER_TOKEN"
BY_HAND = "https://somewhere.else.com.br/status"


def account_id(name: str) -> str:
    return f"1-{name}"


@pytest.fixture
def live(cli: Cli) -> Cli:
    """Return a checkout with `loja` and `matriz`, applied and observable, and one valid partner token."""
    cli.fleet("loja", "matriz")
    for name in ("loja", "matriz"):
        cli.manifest(name, more=f"account_id: {account_id(name)}\n")
    cli.environ[PARTNER] = canary("partner")
    cli.environ["RECONCILER_PARTNER__BASE_URL"] = cli.sandbox.base_url
    cli.sandbox.plug.options = Options(
        accounts={account_id(name): cli.token(name) for name in ("loja", "matriz")},
        partner_tokens=frozenset({cli.environ[PARTNER]}),
    )
    cli.run("apply", "--yes", code=0)
    return cli


def edit(cli: Cli, name: str, **webhooks: str | None) -> None:
    """Change webhooks as a user does in the dashboard."""
    cli.sandbox.plug.edit(cli.token(name), {event: webhooks[event] for event in EVENTS if event in webhooks})


def drift(cli: Cli, code: int, *arguments: str) -> list[Any]:
    """Return the findings, without those of the webhook that Plug never shows."""
    ran = cli.run("drift", "--observe", "--format", "json", *arguments, code=code)
    assert list(ran.json) == ["format", "state", "apis", "findings"]
    assert all(
        list(one) == ["environment", "kind", "event", "expected", "actual", "message"] for one in ran.json["findings"]
    )
    return [one for one in ran.json["findings"] if one["event"] != "whenDisconnecting"]


def environment(document: Any, name: str) -> Any:
    return only([one for one in document["environments"] if one["environment"] == name])


def test_an_edit_in_the_dashboard_is_drift_until_apply_repairs_it(live: Cli) -> None:
    """It is found, planned and repaired; then there is no drift."""
    assert drift(live, 0) == []
    edit(live, "loja", messageStatus=BY_HAND)
    assert drift(live, 2) == [
        {
            "environment": "loja",
            "kind": "live",
            "event": "messageStatus",
            "expected": f"https://{HOST}/loja/1/messageStatus",
            "actual": BY_HAND,
            "message": "Plug holds something else than was applied",
        }
    ]
    live.run("drift", code=0)
    live.run("plan", "--detailed-exitcode", code=0)
    plan = live.run("plan", "--observe", "--detailed-exitcode", "--format", "json", code=2).json
    planned = environment(plan, "loja")
    assert (planned["action"], planned["reasons"], planned["changes"]) == ("reassert", ["live-drift"], [])
    assert planned["live"] == [{"event": "messageStatus", "actual": BY_HAND}]
    assert (plan["observed"], "live" in environment(plan, "matriz")) == (True, False)
    live.run("apply", "--yes", code=0)
    assert live.held("loja")["messageStatus"] == BY_HAND
    ran = live.run("apply", "--observe", "--yes", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied", "matriz": "unchanged"}
    assert live.held("loja") == live.desired("loja")
    assert drift(live, 0) == []
    assert live.run("plan", "--observe", "--detailed-exitcode", code=0)


def test_a_removed_webhook_is_drift(live: Cli) -> None:
    """null means that nothing is registered."""
    edit(live, "matriz", startAttendance=None)
    finding = only(drift(live, 2))
    assert (finding["environment"], finding["event"], finding["actual"]) == ("matriz", "startAttendance", None)
    plan = live.run("plan", "--observe", "--format", "json", code=0).json
    assert environment(plan, "matriz")["live"] == [{"event": "startAttendance", "actual": None}]
    text = live.run("drift", "--observe", code=2).out
    sides = f"        expected  https://{HOST}/matriz/1/startAttendance\n        actual    nothing\n"
    assert f"      startAttendance\n{sides}" in text


def test_a_delivery_error_hook_that_is_gone_can_no_longer_be_seen(live: Cli) -> None:
    """The field is absent then: the event is unobservable, which is neither in sync nor drift."""
    edit(live, "loja", messageDeliveryError=None)
    finding = only(drift(live, 0))
    assert (finding["kind"], finding["event"], finding["actual"]) == ("unobservable", "messageDeliveryError", None)


def test_a_url_with_a_secret_is_masked_wherever_it_is_shown(live: Cli) -> None:
    """The expected one has its placeholder, the actual one only its host; a shown secret fails the run."""
    held = f"https://somewhere.else.com.br/?key={live.environ[SECRET]}"
    edit(live, "loja", receiveMessage=held)
    finding = only(drift(live, 2))
    assert finding["expected"] == f"https://{HOST}/loja/1/receiveMessage?key={{secret:{SECRET}}}"
    assert finding["actual"] == "https://somewhere.else.com.br/…"
    edit(live, "loja", receiveMessage=live.desired("loja")["receiveMessage"], messageStatus=held)
    for form in ("text", "json", "markdown"):
        for command in (("drift",), ("plan",), ("apply", "--dry-run")):
            ran = live.run(*command, "--observe", "--format", form)
            assert "somewhere.else.com.br/" in ran.out
            assert "?key=" not in ran.out.replace("?key={secret:", "")


def test_a_secret_pasted_elsewhere_is_masked_although_it_is_not_available(live: Cli) -> None:
    """A URL is registered for another event in the dashboard; the output of every run is searched."""
    edit(live, "loja", messageStatus=live.desired("loja")["receiveMessage"])
    finding = only([one for one in drift(live, 2, "-e", "loja") if one["kind"] == "live"])
    assert finding["actual"] == f"https://{HOST}/…"
    without: dict[str, str | None] = {SECRET: None}
    for command in ("drift", "plan", "report"):
        ran = live.run(command, "--observe", env=without)
        assert "messageStatus" in ran.out + unpack_page(ran.out)
    edit(live, "loja", messageStatus=BY_HAND)
    assert BY_HAND in live.run("drift", "--observe", env=without, code=2).out


def test_a_secret_of_the_past_is_masked(live: Cli) -> None:
    """The manifest no longer has it, and a user registers the old URL again."""
    edit_of = live.desired("loja")["receiveMessage"]
    defaults = live.folder / "manifests/_defaults.yaml"
    defaults.write_text(defaults.read_text().replace(f"?key={{secret:{SECRET}}}", ""))
    live.run("apply", "--yes", code=0)
    edit(live, "loja", receiveMessage=edit_of)
    without: dict[str, str | None] = {SECRET: None}
    plan = live.run("plan", "--observe", "--format", "json", env=without, code=0).json
    assert environment(plan, "loja")["live"] == [{"event": "receiveMessage", "actual": f"https://{HOST}/…"}]


def test_a_secret_of_a_put_in_doubt_is_masked(live: Cli) -> None:
    """Plug acted on it, the run doesn't know, and the manifest was reverted since."""
    path = live.folder / "manifests/_defaults.yaml"
    before = path.read_text()
    event = "messageStatus"
    path.write_text(before.replace(f"/{event}", f"/{event}?key={{secret:{SECRET}}}"))
    live.sandbox.plug.options = replace(live.sandbox.plug.options, lost_answers=1.0)
    live.run("apply", "--yes", "--attempts", "1", "-e", "loja", code=1)
    path.write_text(before)
    finding = only([one for one in drift(live, 2, "-e", "loja") if one["kind"] == "live"])
    assert (finding["event"], finding["actual"]) == (event, f"https://{HOST}/…")
    live.run("drift", "--observe", "-e", "loja", env={SECRET: None}, code=2)


def test_without_the_secret_its_event_is_unobservable(live: Cli) -> None:
    """If host or path already differ, it is drift."""
    without: dict[str, str | None] = {SECRET: None}
    ran = live.run("drift", "--observe", "--format", "json", env=without, code=0)
    unseen = [one for one in ran.json["findings"] if one["event"] == "receiveMessage"]
    assert [(one["kind"], SECRET in one["message"]) for one in unseen] == [("unobservable", True)] * 2
    edit(live, "loja", receiveMessage="https://somewhere.else.com.br/?key=1")
    ran = live.run("drift", "--observe", "--format", "json", env=without, code=2)
    assert only([one for one in ran.json["findings"] if one["kind"] == "live"])["environment"] == "loja"


def test_a_rotated_secret_is_not_live_drift(live: Cli) -> None:
    """Plug holds what was applied; the rotation has its own finding."""
    live.environ[SECRET] = canary("secret")
    kinds = {(one["kind"], one["event"]) for one in drift(live, 2)}
    assert kinds == {("secret", None), ("unobservable", "receiveMessage")}


def test_an_environment_without_an_account_id_is_one_finding(live: Cli) -> None:
    """It is information, not drift; if no environment has an account, no token is needed."""
    live.manifest("loja")
    finding = only(drift(live, 0))
    assert (finding["environment"], finding["kind"], finding["event"]) == ("loja", "unobservable", None)
    without: dict[str, str | None] = {PARTNER: None}
    for command in (("drift",), ("plan", "--detailed-exitcode")):
        live.run(*command, "--observe", "-e", "loja", env=without, code=0)


@pytest.mark.parametrize("value", [None, "", "canary partner with spaces", "canary-partner\n"])
def test_a_missing_or_malformed_partner_token_is_invalid_input(live: Cli, value: str | None) -> None:
    """The message names its variable; nothing was read or written."""
    before = live.state_bytes()
    for command in (("drift",), ("plan",), ("apply", "--yes")):
        ran = live.run(*command, "--observe", "--format", "json", env={PARTNER: value}, code=3)
        assert (ran.out, PARTNER in ran.err) == ("", True)
    assert live.state_bytes() == before


def test_the_partner_token_goes_to_allowed_hosts_alone(live: Cli) -> None:
    """The default address is checked where it is used, a configured one where it is set."""
    other = {"RECONCILER_API__ALLOWED_HOSTS": "www.plugchat.com.br", "RECONCILER_PARTNER__BASE_URL": None}
    ran = live.run("plan", "--observe", env=other, code=3)
    assert "partner.base_url" in ran.err
    live.run("plan", env=other, code=0)
    live.run("plan", env={"RECONCILER_PARTNER__BASE_URL": "https://evil.com.br"}, code=3)


def test_a_refused_read_is_1_and_claims_nothing(live: Cli) -> None:
    """The exit code is 1 even with drift elsewhere; plan and apply warn, and name what was not observed."""
    edit(live, "matriz", messageStatus=BY_HAND)
    live.sandbox.plug.options = replace(
        live.sandbox.plug.options, accounts={account_id("matriz"): live.token("matriz")}
    )
    findings = drift(live, 1)
    assert [(one["environment"], one["kind"], one["event"]) for one in findings] == [
        ("matriz", "live", "messageStatus"),
        ("loja", "unobservable", None),
    ]
    assert "404" in findings[1]["message"]
    plan = live.run("plan", "--observe", "--format", "json", code=0).json
    assert (environment(plan, "loja")["action"], environment(plan, "loja")["unchecked"]) == ("noop", ["live"])
    assert environment(plan, "matriz")["unchecked"] == []
    assert "not observed: loja: 404" in only(plan["warnings"])
    ran = live.run("apply", "--observe", "--yes", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "unchanged", "matriz": "applied"}
    assert "warning: not observed: loja: 404" in ran.err


def test_a_wrong_partner_token_is_reported_by_its_variable(live: Cli) -> None:
    """Every read fails; the token isn't shown."""
    ran = live.run("drift", "--observe", env={PARTNER: canary("partner")}, code=1)
    assert ran.out.count(PARTNER) == 2
    assert "401" in ran.out


# --- a server that sends prepared answers ------------------------------------------------------------


@pytest.fixture
def partner(live: Cli, wires: Callable[[], Wire]) -> Iterator[Wire]:
    """Yield a stand-in for the partner API, without `matriz`."""
    (live.folder / "manifests/matriz.yaml").unlink()
    live.run("state", "forget", "matriz", "--yes", code=0)
    wire = wires()
    live.environ["RECONCILER_PARTNER__BASE_URL"] = wire.base_url
    live.environ["RECONCILER_ATTEMPTS"] = "2"
    yield wire


def shown(cli: Cli, **fields: Any) -> bytes:
    held = cli.desired("loja")
    return json.dumps({**{name: held[event] for event, name in FIELDS.items()}, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"data": {"onMessageStatus": null}}', "none of the webhooks"),
        (b" " * 70_000, "longer than"),
    ],
)
def test_an_answer_that_is_not_an_account_is_a_failed_read(live: Cli, partner: Wire, body: bytes, word: str) -> None:
    """The event is never "in sync" or "nothing registered"."""
    partner.answers = [reply(200, body)]
    finding = only(drift(live, 1))
    assert (finding["kind"], finding["event"], word in finding["message"]) == ("unobservable", None, True)
    assert len(partner.requests) == 1


@pytest.mark.parametrize("value", [{"url": "x"}, 5, 1.5, True])
def test_a_field_of_another_type_is_a_failed_read_of_it(live: Cli, partner: Wire, value: object) -> None:
    """The other fields are still compared."""
    partner.answers = [reply(200, shown(live, onMessageStatus=value, onSendingMessage=None))]
    assert [(one["kind"], one["event"]) for one in drift(live, 1)] == [
        ("live", "sendingMessage"),
        ("unobservable", "messageStatus"),
    ]
    plan = live.run("plan", "--observe", "--format", "json", code=0).json
    assert "messageStatus" in only(plan["warnings"])
    assert environment(plan, "loja")["unchecked"] == ["live"]


def test_a_read_is_retried_and_a_redirect_is_not(live: Cli, partner: Wire, wires: Callable[[], Wire]) -> None:
    """The partner token is never sent to where a redirect points."""
    partner.answers = [reply(503), reply(200, shown(live))]
    assert drift(live, 0) == []
    elsewhere = wires()
    partner.answers = [reply(302, headers=[f"Location: {elsewhere.base_url}/integrator/account/1-loja/"])]
    assert "redirect" in only(drift(live, 1))["message"]
    assert (len(partner.requests), elsewhere.requests) == (3, [])
    request = partner.requests[-1]
    assert (request.method, request.target) == ("GET", "/integrator/account/1-loja/")
    assert request.header("Authorization") == f"Bearer {live.environ[PARTNER]}"


@pytest.mark.parametrize("command", [("drift", "--observe"), ("plan", "--observe"), ("apply", "--yes", "--reassert")])
def test_certificates_that_cannot_be_read_are_invalid_input(live: Cli, command: tuple[str, ...]) -> None:
    """The user has to fix the variable: exit 3, nothing read, written or put."""
    before, puts = live.state_bytes(), len(live.sandbox.plug.received)
    ran = live.run(*command, env={"SSL_CERT_FILE": str(live.folder / "nothing.pem")}, code=3)
    assert "SSL_CERT_FILE" in ran.err
    assert (ran.out, live.state_bytes(), len(live.sandbox.plug.received)) == ("", before, puts)


def test_a_server_that_hangs_ends_with_the_timeout(live: Cli, partner: Wire) -> None:
    """Exit 1 with the reason."""
    partner.answers = [Hang()]
    finding = only(drift(live, 1, "--timeout", "0.3", "--attempts", "1"))
    assert "0.3 s" in finding["message"]


def test_hostile_values_of_an_account_are_shown_as_data(live: Cli, partner: Wire) -> None:
    """The output of every run is searched for anything that could act."""
    foul = "\x1b]0;owned\x07\n::error::x ##[endgroup] \u202e</pre><img src=x> @everyone \ud800"
    partner.answers = [reply(200, shown(live, onMessageStatus=foul, onReceiveMessage=f"https://{foul}/"))]
    for form in ("text", "json", "markdown"):
        live.run("drift", "--observe", "--format", form, code=2)
        live.run("plan", "--observe", "--format", form, "--out", "plan.json", code=0)


# --- saved plans -------------------------------------------------------------------------------------


@pytest.fixture
def saved(live: Cli) -> Cli:
    """Return a checkout with a plan that repairs loja's live drift, in plan.json."""
    edit(live, "loja", messageStatus=BY_HAND)
    live.run("plan", "--observe", "--out", "plan.json", code=0)
    return live


def assert_stale(cli: Cli, *words: str, **environ: str) -> None:
    before, puts = cli.state_bytes(), len(cli.sandbox.plug.received)
    ran = cli.run("apply", "--yes", "plan.json", code=4, env=environ)
    assert (cli.state_bytes(), len(cli.sandbox.plug.received)) == (before, puts)
    for word in words:
        assert word in ran.err


def test_a_plan_saved_with_observation_is_applied_with_it(saved: Cli) -> None:
    """The apply does exactly that plan; a second time it is stale."""
    assert json.loads((saved.folder / "plan.json").read_text())["observed"] is True
    ran = saved.run("apply", "--yes", "plan.json", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied", "matriz": "unchanged"}
    assert environment(ran.json, "loja")["reasons"] == ["live-drift"]
    assert saved.held("loja") == saved.desired("loja")
    assert_stale(saved, "loja", "serial")


def test_a_saved_plan_is_computed_with_its_own_observation(saved: Cli) -> None:
    """Exactly the plan is put, whatever Plug holds now; nothing is read, and no partner token is needed."""
    edit(saved, "matriz", sendingMessage=None)
    edit(saved, "loja", messageStatus="https://third.place.com.br/")
    ran = saved.run("apply", "--yes", "plan.json", "--format", "json", code=0, env={PARTNER: None})
    assert ran.outcomes == {"loja": "applied", "matriz": "unchanged"}
    assert saved.held("loja") == saved.desired("loja")


def test_a_saved_plan_whose_observation_was_edited_is_stale(saved: Cli) -> None:
    """A live drift that was removed or added was never observed."""
    plan = json.loads((saved.folder / "plan.json").read_text())
    environment(plan, "loja")["live"][0]["actual"] = "https://fourth.place.com.br/"
    saved.write("plan.json", json.dumps(plan))
    assert_stale(saved, "edited")


def test_a_plan_saved_without_observation_reads_nothing(live: Cli) -> None:
    """It needs no partner token."""
    live.manifest("loja", version="2", more=f"account_id: {account_id('loja')}\n")
    live.run("plan", "--out", "plan.json", code=0)
    edit(live, "loja", messageStatus=BY_HAND)
    live.run("apply", "--yes", "plan.json", code=0, env={PARTNER: None})
    assert live.held("loja") == live.desired("loja", "2")


def test_asked_on_a_terminal_the_live_drift_is_shown_first(saved: Cli) -> None:
    """It is shown before anything is put."""
    ran = saved.run("apply", "--observe", code=1, answer="n\n")
    assert f"observed  {BY_HAND}" in ran.err
    assert saved.held("loja")["messageStatus"] == BY_HAND


def test_the_report_shows_what_was_observed(live: Cli) -> None:
    """The page shows live drift as a finding; without --observe it says nothing about Plug."""
    edit(live, "loja", messageStatus=BY_HAND)
    live.run("report", "--observe", "--out", "seen.html", code=0)
    live.run("report", "--out", "unseen.html", code=0)
    host = BY_HAND.split("/")[2]
    pages = [(live.folder / name).read_text() for name in ("seen.html", "unseen.html")]
    assert [host in page + unpack_page(page) for page in pages] == [True, False]
