"""The masking of URLs that may contain a secret in clear."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.drift import find_drift
from reconciler.core.masking import find_secretive, mask_query, mask_url, show_document, show_url
from reconciler.core.planner import PlanInput, make_plan, plan_environment
from reconciler.formats.plan_file import encode_plan
from reconciler.model import EVENTS, Applied, By, Desired, Document, Drift, Event, Fingerprint, HistoryEntry, Intent
from reconciler.views import markdown, text
from reconciler.views.report import Report, render_report
from reconciler.views.report.data import collect_environments, make_rows
from tests.fakes import START, make_desired

CANARY = "canary-k3y"
EVENT = Event.MESSAGE_STATUS
NAMED = "https://hooks.acme.com.br/in?key={secret:PLUG_SECRET_A}"
IN_CLEAR = (
    f"https://hooks.acme.com.br/in?key={CANARY}",
    f"https://x:{CANARY}@hooks.acme.com.br/in",
    f"{CANARY}",
    f"{CANARY}://hooks.acme.com.br/in",
    f"https:/{CANARY}",
    f"https://{CANARY}%2F/in",
    f"https://hooks.acme.com.br/{{{{secret:{CANARY}}}}}",  # doubled braces: not a placeholder, but literal text
)


def document(url: str, *, history: tuple[HistoryEntry, ...] = (), intent: Intent | None = None) -> Document:
    """Return a state that was edited by hand, with `url` in clear."""
    webhooks = {**dict.fromkeys(EVENTS, "https://hooks.acme.com.br/a"), EVENT: url}
    applied = Applied("https://plug/api", None, webhooks, {}, START, By("ana"))
    return Document("production", "lineage", 3, applied, intent, history)


def entry(url: str) -> HistoryEntry:
    return HistoryEntry(START, By("ana"), {EVENT: url})


def intent(url: str) -> Intent:
    webhooks = {**dict.fromkeys(EVENTS, "https://hooks.acme.com.br/a"), EVENT: url}
    return Intent("i", webhooks, True, START, None, By("ana"))


def desired(url: str) -> Desired:
    one = make_desired()
    return replace(one, webhooks={**one.webhooks, EVENT: url})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.acme.com.br:8443/in?key=x", "https://hooks.acme.com.br:8443/…"),
        ("https://user:x@hooks.acme.com.br/in", "https://hooks.acme.com.br/…"),
        ("hooks.acme.com.br/in", "…"),
        ("", "…"),
        ("https://hooks.acme.com.br/…", "https://hooks.acme.com.br/…"),
        ("…", "…"),
    ],
)
def test_a_masked_url_shows_scheme_host_and_port(url: str, shown: str) -> None:
    """Masking it again changes nothing."""
    assert mask_url(url) == shown


def test_a_url_that_names_its_secret_is_shown_whole() -> None:
    assert show_url(NAMED, secretive=True) == NAMED
    assert show_url("https://a.test/in?key=x", secretive=False) == "https://a.test/in?key=x"
    assert show_url("https://a.test/in?key=x", secretive=True) == "https://a.test/…"


@pytest.mark.parametrize(
    "one",
    [
        document(IN_CLEAR[0], history=(entry(NAMED),)),
        document(IN_CLEAR[0], intent=intent(NAMED)),
        document(NAMED, history=(entry(IN_CLEAR[0]),)),
        document(NAMED, intent=intent(IN_CLEAR[0])),
    ],
)
def test_an_event_with_a_secret_anywhere_is_masked_everywhere(one: Document) -> None:
    """Applied record, intent and history are masked; the other events are shown as they are."""
    assert find_secretive(None, one) == {EVENT}
    shown = show_document(one)
    assert CANARY not in repr(shown)
    assert shown.applied is not None
    assert shown.applied.webhooks[Event.RECEIVE_MESSAGE] == "https://hooks.acme.com.br/a"


def test_a_state_without_secrets_is_shown_as_it_is() -> None:
    one = document("https://hooks.acme.com.br/in?key=x")
    assert show_document(one) == one


def outputs(wanted: Desired | None, one: Document) -> dict[str, str]:
    """Return all outputs about an environment, by command."""
    manifests = [] if wanted is None else [wanted]
    plan = make_plan(manifests, {one.environment: one}, lambda _: Fingerprint(), PlanInput(START))
    by_name = {each.environment: each for each in manifests}
    findings = find_drift(plan.environments, by_name, {one.environment: one})
    report = Report(plan, by_name, {one.environment: one}, findings, "state")
    now = START + timedelta(hours=1)
    return {
        "plan": text.render_plan(plan, colour=False),
        "plan in Markdown": markdown.render_plan(plan),
        "plan as JSON": encode_plan(plan),
        "drift": text.render_drift(Drift(tuple(findings)), colour=False),
        "drift in Markdown": markdown.render_drift(Drift(tuple(findings))),
        "report": json.dumps([*make_rows(report, collect_environments(report))]) + render_report(report),
        "state show": text.render_state_show(one, now, colour=False),
        "state show in Markdown": markdown.render_state_show(one, now),
        "state history": text.render_state_history(one, colour=False),
        "state history in Markdown": markdown.render_state_history(one),
    }


@pytest.mark.parametrize("url", IN_CLEAR)
@pytest.mark.parametrize("wanted", [None, desired(NAMED)], ids=["an orphan", "in a manifest"])
def test_no_output_shows_a_secret_of_a_state_edited_by_hand(url: str, wanted: Desired | None) -> None:
    """The placeholder may be in the manifest, or in the history alone, as for an orphan."""
    for one in (document(url, history=(entry(NAMED),)), document(NAMED, history=(entry(url),), intent=intent(url))):
        for output, shown in outputs(wanted, one).items():
            assert CANARY not in shown, output


def test_a_plan_is_the_same_with_and_without_the_history() -> None:
    """`plan` reads heads alone, other commands read whole documents, and their digests are compared."""
    wanted, one = desired("https://hooks.acme.com.br/new"), document(IN_CLEAR[0], history=(entry(NAMED),))
    bare = replace(one, history=())
    plans = [plan_environment(wanted, each, Fingerprint(), PlanInput(START)) for each in (one, bare)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.com/x", "https://a.com/x"),
        ("https://a.com/x?key=abc&other=d", "https://a.com/x?key=…&other=…"),
        ("https://a.com/x?bare;empty=;=v", "https://a.com/x?…;empty=;…"),
        ("https://a.com/x?key=a=b", "https://a.com/x?key=…"),
        ("https://ana:pw@a.com/x@y", "https://…@a.com/x@y"),
        ("https://a@b:pw@a.com", "https://…@a.com"),
        ("https://a.com/#token=abc?x=y", "https://a.com/#…"),
        ("https://a.com?x", "https://a.com?…"),
    ],
)
def test_the_query_of_an_observed_url_is_shown_without_values(url: str, shown: str) -> None:
    assert mask_query(url) == shown
