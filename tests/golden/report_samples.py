"""Fleets for the report: one with every standing, one made of hostile values, and an empty one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec.structs import replace

from reconciler.core.drift import find_drift
from reconciler.core.planner import PlanInput, make_plan
from reconciler.model import (
    EVENTS,
    Applied,
    BodyForm,
    By,
    CheckStage,
    Desired,
    Document,
    Event,
    Finding,
    FindingKind,
    Fingerprint,
    HistoryEntry,
    Intent,
    LastTry,
    Location,
    Outcome,
    ReceiverCheck,
    Webhooks,
)
from reconciler.views.report import Report
from tests.fakes import make_desired
from tests.golden.samples import NOW

ACCOUNT = "org:42"
COMMITS = ("3f9c2ab1d4e5f60718293a4b5c6d7e8f90a1b2c3", "b81d0c4e7f2a3956d8c1e0f4a5b6c7d8e9f00112")
MARKUP = "</script><script>globalThis.pwned=1</script>\"><img src=x onerror='globalThis.pwned=2'>"
HOSTILE = (
    f"{MARKUP} \u202e\u200b\x1b[31m\x07\r\n::error::x\n##[group]y\u2028 &amp; \ue000\ue001 {{{{ 7*7 }}}} @octo "
    "{secret:X}"
)


def _urls(environment: str, host: str, base: str = "plug") -> dict[Event, str]:
    paths = {Event.RECEIVE_MESSAGE: "receive?key={secret:PLUG_SECRET_RECEIVE}"}
    return {event: f"https://{host}/{base}/{environment}/{paths.get(event, event.value)}" for event in EVENTS}


def desired(environment: str, host: str, description: str | None = None, wave: int = 0, base: str = "plug") -> Desired:
    return replace(
        make_desired(environment),
        webhooks=_urls(environment, host, base),
        description=description,
        wave=wave,
        secrets=("PLUG_SECRET_RECEIVE",),
        vars={"host": host, "base": base},
    )


def _document(
    environment: str, urls: Webhooks, days: float = 3, by: By | None = None, before: Webhooks | None = None
) -> Document:
    """Make a document that was applied `days` ago; an earlier record is 40 days older."""
    by = by or By("ana-souza", COMMITS[0], "6120/1")
    at = NOW - timedelta(days=days)
    applied = Applied(
        "https://plug.example.com/api/integrations/update-webhooks",
        ACCOUNT,
        urls,
        {"PLUG_SECRET_RECEIVE": "hmac-sha256:00"},
        at,
        by,
    )
    if before is None:
        history: tuple[HistoryEntry, ...] = (HistoryEntry(at, by, urls),)
    else:
        changed = {event: url for event, url in urls.items() if before[event] != url}
        first = By("bruno", COMMITS[1], "5544/1")
        history = (HistoryEntry(at, by, changed), HistoryEntry(at - timedelta(days=40), first, before, adopted=True))
    return Document(environment, f"lineage-{environment}", len(history) + 2, applied, None, history)


def _fingerprint(one: Desired) -> Fingerprint:
    signed = {"loja-trocada": "hmac-sha256:11"}.get(one.environment, "hmac-sha256:00")
    if one.environment == "loja-outra-conta":
        return Fingerprint("org:99", {"PLUG_SECRET_RECEIVE": signed})
    if one.environment == "loja-sem-token":
        return Fingerprint()
    return Fingerprint(ACCOUNT, {"PLUG_SECRET_RECEIVE": signed})


def _fleet() -> tuple[list[Desired], dict[str, Document]]:
    host, other = "hooks.acme.com.br", "hooks-v2.acme.com.br"
    wanted = [
        desired("production", host, "Atendimento, matriz", wave=1),
        desired("staging", "hooks-staging.acme.com.br", "Homologação"),
        desired("loja-centro", other, "Loja do centro, rua XV"),
        desired("loja-duvida", host, "Loja com uma resposta perdida"),
        desired("loja-mudada", host, "Alguém mudou no painel", wave=2),
        desired("loja-nova", host, "Abre em dezembro", wave=2),
        desired("loja-presa", host, None, wave=2),
        desired("loja-trocada", host, "Segredo trocado", wave=2),
        desired("loja-outra-conta", host, "Token de outra empresa", wave=2),
        desired("loja-velha", host, "Aplicada há muito tempo", wave=2),
        desired("loja-sem-token", host, None, wave=2),
        desired("loja-sem-id", host, "Sem account_id", wave=2),
        *(desired(f"cliente-{place:02}", host, f"Cliente {place:02}", wave=3) for place in range(1, 15)),
    ]
    documents = {one.environment: _document(one.environment, one.webhooks) for one in wanted}
    before = {**wanted[0].webhooks, Event.WHEN_DISCONNECTING: "https://oncall.acme.com.br/plug/disconnected"}
    documents["production"] = _document("production", wanted[0].webhooks, days=12.4, before=before)
    documents["staging"] = _document("staging", wanted[1].webhooks, days=0.03)
    documents["loja-centro"] = _document("loja-centro", _urls("loja-centro", host), days=21)
    documents["loja-velha"] = _document("loja-velha", wanted[9].webhooks, days=412)
    documents["antiga"] = _document("antiga", _urls("antiga", host), days=90, by=By("carla", COMMITS[1], None))
    del documents["loja-nova"]
    doubtful, locked = documents["loja-duvida"], documents["loja-presa"]
    sent = {**wanted[3].webhooks, Event.MESSAGE_STATUS: "https://hooks.acme.com.br/v3/loja-duvida/status"}
    by = By("github-actions[bot]", COMMITS[0], "6121/2")
    at = NOW - timedelta(minutes=38)
    documents["loja-duvida"] = replace(doubtful, intent=Intent("i1", sent, True, at, None, by))
    lease = Intent("i2", wanted[6].webhooks, False, NOW - timedelta(minutes=2), NOW + timedelta(minutes=13), by)
    documents["loja-presa"] = replace(locked, intent=lease)
    moved = documents["production"]
    older = replace(moved.history[1], endpoint="https://plug.acme.com.br/u", account=None, body=BodyForm.VALUE)
    last = LastTry(Outcome.REJECTED, 401, "401: Plug did not accept the token of PLUG_TOKEN_PRODUCTION", at, by)
    documents["production"] = replace(moved, history=(moved.history[0], older, *moved.history[2:]), last=last)
    return wanted, documents


def _observed(wanted: list[Desired]) -> list[Finding]:
    """Return the findings that `--observe` would add."""
    findings = [
        Finding(
            "loja-mudada",
            FindingKind.LIVE,
            Event.SENDING_MESSAGE,
            wanted[4].webhooks[Event.SENDING_MESSAGE],
            "https://hooks.acme.com.br/teste/loja-mudada/sendingMessage",
            "Plug holds something else than was applied",
        ),
        Finding(
            "loja-mudada",
            FindingKind.LIVE,
            Event.MESSAGE_STATUS,
            wanted[4].webhooks[Event.MESSAGE_STATUS],
            None,
            "nothing is registered in Plug",
        ),
        Finding("loja-sem-id", FindingKind.UNOBSERVABLE, None, None, None, "no account_id in its manifest"),
    ]
    seen = [one.environment for one in wanted if one.environment not in ("loja-sem-id", "loja-nova")]
    return findings + [
        Finding(name, FindingKind.UNOBSERVABLE, Event.WHEN_DISCONNECTING, None, None, "the partner API never shows it")
        for name in seen
    ]


def _checked(wanted: list[Desired]) -> list[ReceiverCheck]:
    by_name: Mapping[str, Desired] = {one.environment: one for one in wanted}
    checked = [
        ReceiverCheck(
            by_name["production"].webhooks[event],
            event,
            ("production",),
            ok=event is not Event.RECEIVE_MESSAGE,
            stage=CheckStage.POST,
            status=500 if event is Event.RECEIVE_MESSAGE else 200,
            latency_s=0.0471,
            addresses=("198.51.100.7",),
            certificate_days=80,
            message="answered 500: the receiver failed. Its log says why" if event is Event.RECEIVE_MESSAGE else "",
        )
        for event in EVENTS
    ]
    return [
        *checked,
        ReceiverCheck(
            "https://old.acme.com.br/x",
            Event.MESSAGE_STATUS,
            ("cliente-01", "cliente-02"),
            ok=False,
            stage=CheckStage.DNS,
            message="the name old.acme.com.br was not found",
        ),
    ]


def every_standing() -> Report:
    wanted, documents = _fleet()
    plan = make_plan(
        wanted,
        documents,
        _fingerprint,
        PlanInput(NOW, max_age_s=365 * 86400),
        observations={},
        warnings=("manifests/_defaults.yaml:9:3: webhooks.receiveMessage: hooks.example.com is reserved",),
    )
    by_name = {one.environment: one for one in wanted}
    findings = [*find_drift(plan.environments, by_name, documents), *_observed(wanted)]
    return Report(
        plan,
        by_name,
        documents,
        findings,
        "git:origin/reconciler-state",
        "https://github.com/acme/plug",
        _checked(wanted),
    )


def unobserved() -> Report:
    """The same fleet without a read of Plug and without a check of the receivers."""
    report = every_standing()
    kinds = (FindingKind.LIVE, FindingKind.UNOBSERVABLE)
    findings = [finding for finding in report.findings if finding.kind not in kinds]
    plan = replace(report.plan, observed=False)
    return replace(report, plan=plan, findings=findings, checked=None, repository=None)


def hostile() -> Report:
    """A fleet in which every text from outside tries to be more than a text."""
    foul = By(HOSTILE, HOSTILE, HOSTILE)
    urls = dict.fromkeys(EVENTS, f"https://a.b/{HOSTILE}")
    one = replace(
        make_desired("loja"),
        webhooks=urls,
        description=HOSTILE,
        vars={"host": HOSTILE, "b": "\ue000\ue002"},
        source=Location(f"manifests/{HOSTILE}.yaml", 1, 1),
    )
    other = replace(one, environment=HOSTILE)
    applied = Applied(HOSTILE, HOSTILE, dict.fromkeys(EVENTS, f"https://c.d/{MARKUP}"), {}, NOW, foul, adopted=True)
    intent = Intent(HOSTILE, urls, True, NOW, None, foul)
    document = Document("loja", HOSTILE, 2, applied, intent, (HistoryEntry(NOW, foul, urls),))
    documents = {"loja": document, "gone": replace(document, environment="gone")}
    plan = make_plan(
        [one, other], documents, lambda _: Fingerprint(), PlanInput(NOW), observations={}, warnings=(HOSTILE,)
    )
    plan = replace(plan, selection=(HOSTILE,))
    wanted = {"loja": one, HOSTILE: other}
    findings = [
        *find_drift(plan.environments, wanted, documents),
        Finding("loja", FindingKind.LIVE, Event.MESSAGE_STATUS, HOSTILE, HOSTILE, HOSTILE),
        Finding("loja", FindingKind.UNOBSERVABLE, None, None, None, HOSTILE),
    ]
    checked = [
        ReceiverCheck(
            HOSTILE, Event.RECEIVE_MESSAGE, ("loja",), False, CheckStage.POST, 500, 1.0, (HOSTILE,), 3, HOSTILE, HOSTILE
        )
    ]
    return Report(plan, wanted, documents, findings, HOSTILE, "https://github.com/acme/plug", checked)


def empty() -> Report:
    return Report(make_plan([], {}, _fingerprint, PlanInput(NOW)), {}, {}, [], ".reconciler/state")


def reports() -> dict[str, Report]:
    return {"every-standing": every_standing(), "unobserved": unobserved(), "hostile": hostile(), "empty": empty()}
