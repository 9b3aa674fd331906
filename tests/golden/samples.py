"""Plans, results, findings and documents for the views, also hostile ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from reconciler.core.host_uses import find_hosts
from reconciler.core.planner import Planned
from reconciler.core.workflow.before_merge import Advice
from reconciler.core.workflow.change import Loosening, MergeChange, Review, SettingChange
from reconciler.core.workflow.endings import Ending, EndReport, RunJob
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.core.workflow.parts import EnvironmentChange, PartChange, PinChange
from reconciler.core.workflow.schedule import ApplyRun, Begin
from reconciler.core.workflow.steps import Job, Steps
from reconciler.model import (
    EVENTS,
    Action,
    ApiUse,
    Applied,
    Area,
    AuthScheme,
    BodyForm,
    By,
    Change,
    CheckResult,
    CheckStage,
    Destination,
    DestinationPart,
    Document,
    Drift,
    EnvironmentPlan,
    EnvironmentResult,
    Event,
    Finding,
    FindingKind,
    HistoryEntry,
    Intent,
    Item,
    ItemState,
    LastTry,
    LiveDifference,
    Location,
    Origin,
    Outcome,
    Plan,
    Problem,
    Quote,
    Reason,
    ReceiverCheck,
    ResolvedEnvironment,
    ResolvedValue,
    ResolvedVar,
    ResolvedWebhook,
    RunResult,
    SettingPlace,
    Where,
)
from reconciler.ports import Issue
from reconciler.views.markdown_run_result import RunText
from reconciler.views.markdown_schedule import (
    describe_begun,
    describe_left,
    describe_sending,
    make_drift_issue,
    make_failed_issue,
    make_waiting_issue,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENDPOINT = "https://www.plugchat.com.br/api/integrations/update-webhooks"
DESTINATION = Destination(ENDPOINT, BodyForm.FLAT, AuthScheme.RAW, "PLUG_TOKEN_X")
DIGEST = "sha256:" + "ab" * 32
COMMIT = "a1b2c3d4e5f60718" + "0" * 24
HOSTILE = (
    "\x1b]0;owned\x07 | `a` ``b`` @everyone #12 GH-3 ##[error]x ::error::y </details></pre></code><img src=x> "
    "[x](https://evil.test) www.evil.test *b* _i_ \u202e\u200b\n::error::z\r\n##[endgroup] &amp; \\| $x$ ~~s~~"
)


def webhooks(host: str, environment: str) -> dict[Event, str]:
    return {event: f"https://{host}/plug/{environment}/{event}" for event in EVENTS}


def changes(environment: str, before: Mapping[Event, str] | None, after: Mapping[Event, str]) -> tuple[Change, ...]:
    file = f"manifests/{environment}.yaml"
    return tuple(
        Change(event, before[event] if before else None, after[event], Location(file, line, 3))
        for line, event in enumerate(EVENTS, start=8)
        if before is None or before[event] != after[event]
    )


def planned(
    environment: str,
    action: Action,
    *reasons: Reason,
    wave: int = 0,
    unchecked: tuple[str, ...] = (),
    changed: tuple[Change, ...] = (),
    live: tuple[LiveDifference, ...] = (),
    unchanged: tuple[str, ...] = (),
    destination: Destination = DESTINATION,
    overrides: frozenset[DestinationPart] = frozenset(),
) -> EnvironmentPlan:
    """Make an environment's plan. `unchanged` are hosts of webhooks that are sent without a change."""
    stored = action is not Action.CREATE
    return EnvironmentPlan(
        environment=environment,
        action=action,
        wave=wave,
        reasons=reasons,
        unchecked=unchecked,
        source=None if action is Action.ORPHAN else Location(f"manifests/{environment}.yaml", 1, 1),
        changes=changed,
        serial=3 if stored else 0,
        lineage="7d0c" if stored else None,
        live=live,
        hosts=tuple(sorted({*unchanged, *find_hosts(change.after for change in changed)})),
        destination=None if action is Action.ORPHAN else destination,
        endpoint_before=ENDPOINT if stored else None,
        body_before=BodyForm.FLAT if stored else None,
        overrides=overrides,
    )


def create(environment: str, wave: int = 0) -> EnvironmentPlan:
    after = webhooks("hooks.acme.com.br", environment)
    changed = changes(environment, None, after)
    return planned(environment, Action.CREATE, Reason.NEVER_APPLIED, wave=wave, changed=changed)


def update(environment: str, before: str, after: str, wave: int = 0) -> EnvironmentPlan:
    changed = changes(environment, webhooks(before, environment), webhooks(after, environment))
    return planned(environment, Action.UPDATE, Reason.WEBHOOKS_CHANGED, wave=wave, changed=changed)


WHERE = Where(
    "git:origin/reconciler-state",
    8,
    (ApiUse("www.plugchat.com.br", 7, sandbox=False), ApiUse("127.0.0.1:8787", 1, sandbox=True)),
)
HOSTILE_WHERE = Where(HOSTILE, 1, (ApiUse(HOSTILE, 1, sandbox=False),), is_new=True, near=HOSTILE)


def plan_of(
    *environments: EnvironmentPlan,
    warnings: tuple[str, ...] = (),
    new_hosts: tuple[str, ...] = (),
    where: Where | None = None,
) -> Plan:
    ordered = tuple(sorted(environments, key=lambda one: (one.wave, one.environment)))
    return Plan(NOW, DIGEST, DIGEST, DIGEST, ordered, warnings=warnings, new_hosts=new_hosts, where=where)


def filled() -> tuple[Plan, dict[str, dict[str, str]]]:
    """A plan with a group, and the vars that its URLs were filled from. Two values are of one environment alone."""
    names = [f"cliente-{number}" for number in range(8)]
    zaps = ["b7", "b7", HOSTILE, "o1", "b7", "b7", "b7", "b7"]
    variables = {name: {"zap": zap, "unused": name} for name, zap in zip(names, zaps, strict=True)}
    environments = [
        update(name, "old.com.br", f"shared.com.br/{variables[name]['zap']}/r{at // 4}")
        for at, name in enumerate(names)
    ]
    for at, name in enumerate(names):
        variables[name]["region"] = f"r{at // 4}"
    return plan_of(*environments), variables


def moved() -> Plan:
    """A plan with changed destinations: alone, with webhooks, in a group, and of a create; and with notes."""
    app = replace(DESTINATION, endpoint="https://app.plugchat.com.br/api/integrations/update-webhooks")
    own = replace(DESTINATION, auth_scheme=AuthScheme.BEARER, token_env="PLUG_TOKEN_OTHER")
    both = replace(app, body=BodyForm.VALUE)
    names = [f"cliente-{number}" for number in range(7)]
    changed = update("production", "v1.acme.com.br", "v2.acme.com.br").changes[:1]
    why, parts = Reason.ENDPOINT_CHANGED, DestinationPart
    return plan_of(
        *(planned(name, Action.UPDATE, why, destination=app, unchanged=("hooks.acme.com.br",)) for name in names),
        planned("production", Action.UPDATE, Reason.WEBHOOKS_CHANGED, why, changed=changed, destination=both),
        replace(create("novo"), destination=app, overrides=frozenset({parts.ENDPOINT})),
        planned("same", Action.NOOP, destination=own, overrides=frozenset({parts.AUTH_SCHEME, parts.TOKEN_ENV})),
    )


def _receive(before: str, after: str, environment: str) -> tuple[Change, ...]:
    return (Change(Event.RECEIVE_MESSAGE, before, after, Location(f"manifests/{environment}.yaml", 12, 3)),)


def plans() -> dict[str, Plan]:
    secret = "?key={secret:PLUG_SECRET_RECEIVE}"
    mixed = plan_of(
        create("novo"),
        planned(
            "production",
            Action.UPDATE,
            Reason.WEBHOOKS_CHANGED,
            Reason.SECRET_CHANGED,
            wave=1,
            unchecked=("account",),
            unchanged=("hooks.acme.com.br", "status.acme.com.br:8443"),
            changed=_receive(
                f"https://hooks.acme.com.br/plug/receive{secret}",
                f"https://hooks2.acme.com.br/plug/receive{secret}",
                "production",
            ),
        ),
        planned("staging", Action.REASSERT, Reason.UNCERTAIN, Reason.EXPIRED, unchanged=("hooks.acme.com.br",)),
        planned(
            "live",
            Action.REASSERT,
            Reason.LIVE_DRIFT,
            live=(
                LiveDifference(
                    Event.MESSAGE_STATUS,
                    "https://somewhere.else.com.br/status",
                    "https://hooks.acme.com.br/plug/live/messageStatus",
                ),
                LiveDifference(Event.SENDING_MESSAGE, None, "https://hooks.acme.com.br/plug/live/sendingMessage"),
                LiveDifference(
                    Event.RECEIVE_MESSAGE, "https://hooks.acme.com.br/…", f"https://hooks.acme.com.br/r{secret}"
                ),
            ),
        ),
        planned(
            "live-too",
            Action.UPDATE,
            Reason.WEBHOOKS_CHANGED,
            Reason.LIVE_DRIFT,
            unchecked=("account", "live"),
            changed=_receive("https://hooks.acme.com.br/a", "https://hooks.acme.com.br/b", "live-too"),
            live=(
                LiveDifference(
                    Event.RECEIVE_MESSAGE, "https://hooks.acme.com.br/by-hand", "https://hooks.acme.com.br/a"
                ),
            ),
        ),
        planned("same", Action.NOOP),
        planned("same-unread", Action.NOOP, unchecked=("live",)),
        planned("same-by-text", Action.NOOP, unchecked=("account", "secret:PLUG_SECRET_RECEIVE")),
        planned("gone", Action.ORPHAN),
        warnings=("max_changed: 6 of 11 applied environments would be updated, at most 5 are allowed (50%)",),
        where=WHERE,
        new_hosts=("hooks2.acme.com.br",),
    )
    names = [f"cliente-{number:03}" for number in range(60)]
    grouped = plan_of(
        *(update(name, "v1.acme.com.br", "v2.acme.com.br", wave=at % 3) for at, name in enumerate(names)),
        *(
            planned(f"r{number}", Action.REASSERT, Reason.REQUESTED, unchanged=(f"h{number // 5}.com",))
            for number in range(6)
        ),
        create("alone"),
    )
    hosts = ["hooks.acme.com.br"] * 6 + ["hooks2.acme.com.br"] * 2 + ["elsewhere.example.net"]
    receive = _receive("https://hooks.acme.com.br/a", "https://hooks.acme.com.br/b", "_defaults")
    hidden = plan_of(
        *(
            planned(f"loja-{at}", Action.UPDATE, Reason.WEBHOOKS_CHANGED, changed=receive, unchanged=(host,))
            for at, host in enumerate(hosts)
        ),
        new_hosts=("elsewhere.example.net",),
    )
    hostile = plan_of(
        planned(
            "hostile",
            Action.UPDATE,
            Reason.WEBHOOKS_CHANGED,
            Reason.ENDPOINT_CHANGED,
            unchecked=(f"secret:{HOSTILE}",),
            destination=Destination(HOSTILE, BodyForm.FLAT, AuthScheme.RAW, HOSTILE),
            overrides=frozenset({DestinationPart.TOKEN_ENV}),
            changed=_receive(f"https://a.b/{HOSTILE}", HOSTILE, HOSTILE),
            live=(LiveDifference(Event.MESSAGE_STATUS, HOSTILE),),
        ),
        planned(HOSTILE, Action.CREATE, Reason.NEVER_APPLIED, changed=_receive("", HOSTILE, HOSTILE)),
        planned(f"orphan {HOSTILE}", Action.ORPHAN),
        warnings=(HOSTILE,),
        where=HOSTILE_WHERE,
    )
    return {
        "mixed": mixed,
        "grouped": grouped,
        "grouped-hosts": hidden,
        "hostile": hostile,
        "moved": moved(),
        "nothing-to-do": plan_of(planned("a", Action.NOOP), planned("b", Action.NOOP)),
        "new-state": plan_of(
            create("staging"),
            where=Where(
                "git:origin/reconcilier-state",
                0,
                (ApiUse("www.plugchat.com.br", 1, sandbox=False),),
                is_new=True,
                near="reconciler-state",
            ),
        ),
        "empty": plan_of(),
    }


def _result(
    environment: str, outcome: Outcome, status: int | None, message: str, attempts: int = 1
) -> EnvironmentResult:
    return EnvironmentResult(environment, outcome, (Reason.WEBHOOKS_CHANGED,), attempts, status, message, 0.4321)


def resolved() -> dict[str, ResolvedEnvironment]:
    """An environment with each origin, and one of hostile values."""

    def make(name: str, text: str, file: str) -> ResolvedEnvironment:
        place = Location(file, 3, 7)
        values = (
            ResolvedValue("environment", name, Origin.FILE_NAME),
            ResolvedValue("description", text, Origin.MANIFEST, source=place),
            ResolvedValue("wave", 0, Origin.DEFAULT),
            ResolvedValue("account_id", None, Origin.DEFAULT),
            ResolvedValue("api.base_url", text, Origin.SETTING, setting=SettingPlace(file, "api.base_url")),
            ResolvedValue("api.body", "value", Origin.SETTING, setting=SettingPlace("", "--api-body")),
        )
        webhooks = (
            ResolvedWebhook(Event.RECEIVE_MESSAGE, text, "https://{host}/r", place, ("host",), ("PLUG_SECRET_A",)),
            ResolvedWebhook(Event.MESSAGE_STATUS, text, text, place, (), ()),
        )
        variables = (ResolvedVar("host", text, place, used=True), ResolvedVar("unread", "x", place, used=False))
        return ResolvedEnvironment(name, place, text, values, variables, webhooks)

    return {
        "plain": make("production", "https://hooks.acme.com.br/r", "manifests/production.yaml"),
        "hostile": make(HOSTILE, HOSTILE, HOSTILE),
    }


def items() -> dict[str, list[Item]]:
    """The items of `doctor`: all in order, each state with more items than are shown, and hostile ones."""
    good = [Item(Area.SETTINGS, "reconciler.toml", ItemState.OK, "read"), Item(Area.GIT, "git", ItemState.OK, "2.43.0")]
    tokens = [Item(Area.TOKENS, f"PLUG_TOKEN_LOJA_{number}", ItemState.OK, "is set") for number in range(12)]
    missing = [
        Item(Area.SECRETS, f"PLUG_SECRET_{number}", ItemState.MISSING, "is not set", f"set PLUG_SECRET_{number}")
        for number in range(52)
    ]
    mixed = [
        *good,
        *tokens,
        *missing,
        Item(Area.PARTNER, "PLUG_PARTNER_TOKEN", ItemState.WRONG, "has a space", "write it without the space"),
        Item(Area.GITHUB, "the rules of the state's branch", ItemState.UNKNOWN, "GitHub answered 403"),
    ]
    hostile = [Item(Area.STATE, HOSTILE, state, HOSTILE, HOSTILE) for state in ItemState]
    return {"good": good, "mixed": mixed, "hostile": hostile}


def begins() -> dict[str, tuple[list[str], Steps, str, list[str]]]:
    """The decisions of an apply run's first job: environments, steps, commit, and the labels that lift a guard."""
    first = (Job("matriz", "matriz", 0, DIGEST),)
    second = (Job("loja", "loja", 1, DIGEST), Job("norte", "norte", 3, DIGEST))
    fleet = (Job("Fleet", FLEET_ENVIRONMENT, None, DIGEST),)
    lifted = ["the label \u201creconciler: large change\u201d, set by ana on #12, lifts max_changed"]
    return {
        "waves": (["matriz", "loja", "norte"], (first, second), COMMIT, []),
        "lifted": (["loja", "matriz", "norte"], ((), fleet), COMMIT, lifted),
        "nothing": ([], ((), ()), COMMIT, []),
        "hostile": ([HOSTILE], ((Job(HOSTILE, HOSTILE, None, HOSTILE),),), HOSTILE, [HOSTILE]),
    }


def results() -> dict[str, RunResult]:
    refused = "401: Plug did not accept the token of PLUG_TOKEN_{}. Check that it is this company's current token"
    mixed = (
        *(_result(f"good-{number:02}", Outcome.APPLIED, 200, "applied") for number in range(23)),
        _result("doubtful", Outcome.UNCERTAIN, 503, "503: Plug is not available", 4),
        *(_result(f"bad-{number}", Outcome.REJECTED, 401, refused.format(f"BAD_{number}")) for number in range(7)),
        _result("bad-one", Outcome.REJECTED, 405, "405: this address does not take a PUT"),
        _result("unreached", Outcome.FAILED, None, "the name www.plugchat.com.br can't be resolved", 4),
        _result("busy", Outcome.LOCKED, None, "octocat holds it since 12:00:00 until 12:15:00", 0),
        _result("later", Outcome.SKIPPED, None, "wave 0 failed", 0),
        _result("same", Outcome.UNCHANGED, None, "", 0),
    )
    return {
        "mixed": RunResult(mixed, state_trouble=True, where=WHERE),
        "done": RunResult((_result("production", Outcome.APPLIED, 200, "applied"),)),
        "interrupted": RunResult((_result("a", Outcome.SKIPPED, None, "interrupted", 0),), interrupted=True),
        "hostile": RunResult(
            (_result(HOSTILE, Outcome.REJECTED, 400, HOSTILE), _result(HOSTILE, Outcome.APPLIED, 200, "")),
            where=HOSTILE_WHERE,
        ),
        "empty": RunResult(()),
    }


def fleet_result() -> RunResult:
    """A result of ten thousand environments: three thousand with one of three faults, and a few others."""
    outcomes: list[EnvironmentResult] = []
    for number in range(10_000):
        name = f"cliente-{number:05}"
        if number % 10 == 3:
            variable = f"PLUG_TOKEN_{name.upper().replace('-', '_')}"
            message = f"401: Plug did not accept the token of {variable}. Check that it is this company's token"
            outcomes.append(_result(name, Outcome.REJECTED, 401, message))
        elif number % 10 == 6:
            tries = number % 3 + 2
            message = f"503: Plug is not available (tried {tries} times)"
            outcomes.append(_result(name, Outcome.UNCERTAIN, 503, message, tries))
        elif number % 10 == 9:
            since = f"2026-11-23T12:{number // 200:02}:{number % 60:02}Z"
            until = f"2026-11-23T13:{number // 200:02}:{number % 60:02}Z"
            message = f"another run is at work: octocat (run 17/1), since {since}, until {until} at the latest"
            outcomes.append(_result(name, Outcome.LOCKED, None, message, 0))
        elif number in (5_000, 5_001):
            outcomes.append(_result(name, Outcome.REJECTED, 405, "405: this address does not take a PUT"))
        else:
            outcomes.append(_result(name, Outcome.APPLIED, 200, ""))
    return RunResult(tuple(outcomes))


def drifts() -> dict[str, Drift]:
    event, url = Event.RECEIVE_MESSAGE, "https://hooks.acme.com.br/plug/receive"
    every = [
        Finding("gone", FindingKind.ORPHAN, None, None, None, "in the state, but in no manifest"),
        Finding("production", FindingKind.UNAPPLIED, event, url, f"{url}-1", "the manifest differs"),
        Finding("novo", FindingKind.UNAPPLIED, event, url, None, "never applied"),
        Finding("staging", FindingKind.UNCERTAIN, None, None, None, "it is unknown whether the PUT changed Plug"),
        Finding("production", FindingKind.LIVE, event, url, "https://evil.com/…", "Plug holds something else"),
        Finding("production", FindingKind.LIVE, Event.MESSAGE_STATUS, url, None, "nothing is registered in Plug"),
        Finding("a", FindingKind.ENDPOINT, None, "https://x.com/u", "https://y.com/u", "another endpoint"),
        Finding("a", FindingKind.ACCOUNT, None, None, "org:1", "another account"),
        Finding("a", FindingKind.SECRET, None, None, None, "a secret was replaced"),
        Finding("a", FindingKind.EXPIRED, None, None, None, "applied longer ago than max_age"),
        Finding("a", FindingKind.TOKEN_EXPIRY, None, None, "2026-11-30T12:00:00Z", "it ends at 2026-11-30T12:00:00Z"),
        Finding("a", FindingKind.UNOBSERVABLE, event, None, None, "the account doesn't show it"),
        Finding("b", FindingKind.UNOBSERVABLE, None, None, None, "no account_id"),
    ]
    fleet = [
        Finding(f"c{at}", FindingKind.UNOBSERVABLE, Event.WHEN_DISCONNECTING, None, None, "never shown")
        for at in range(60)
    ]
    lojas = [f"loja-{at:03}" for at in range(30)]
    alike = [
        Finding(name, FindingKind.UNAPPLIED, one, f"https://{host}/2/{one}", f"https://{host}/1/{one}", "it differs")
        for name in lojas
        for one, host in ((event, "hooks.acme.com.br"), (Event.MESSAGE_STATUS, f"{name}.acme.com.br"))
    ]
    alike += [Finding(name, FindingKind.ACCOUNT, None, None, f"org:{name}", "another account") for name in lojas]
    alike += [
        Finding(name, FindingKind.TOKEN_EXPIRY, None, None, ends, f"the token ends at {ends}")
        for name, ends in ((name, f"2026-12-0{1 + at % 3}T00:00:00Z") for at, name in enumerate(lojas))
    ]
    return {
        "every-kind": Drift(tuple(every), WHERE, observed=2, accounts_not_compared=1, secrets_not_compared=1),
        "unobservable": Drift(tuple(every[-1:]), WHERE, observed=0),
        "fleet": Drift((every[4], *fleet, every[-1]), observed=61),
        "alike": Drift(tuple(alike), WHERE),
        "none": Drift((), replace(WHERE, is_new=True), accounts_not_compared=2),
        "hostile": Drift((Finding(HOSTILE, FindingKind.LIVE, event, HOSTILE, HOSTILE, HOSTILE),), HOSTILE_WHERE),
    }


def checked(
    path: str, event: Event = Event.MESSAGE_STATUS, host: str = "hooks.acme.com.br", **how: Any
) -> ReceiverCheck:
    values: dict[str, Any] = {
        "url": f"https://{host}/{path}",
        "event": event,
        "environments": ("production",),
        "place": f"{host}:443",
        "ok": True,
        "stage": CheckStage.POST,
        "status": 200,
        "latency_s": 0.123,
        "addresses": ("203.0.113.7", "2001:db8::7"),
        "certificate_days": 61,
    }
    return ReceiverCheck(**{**values, **how})


def checks() -> dict[str, CheckResult]:
    late: dict[str, Any] = {"certificate_days": 12, "warning": "the certificate of late.acme.com.br expires in 12 days"}
    failed: dict[str, Any] = {"ok": False, "status": None, "latency_s": None}
    gone: dict[str, Any] = {**failed, "stage": CheckStage.DNS, "addresses": (), "certificate_days": None}
    refused: dict[str, Any] = {**failed, "stage": CheckStage.CONNECT, "certificate_days": None}
    seven = tuple(
        checked(f"{event}", event, "dead.acme.com.br", environments=(f"loja-{number}",), **refused, message="refused")
        for number in range(3)
        for event in EVENTS
    )
    mixed = CheckResult(
        (
            checked(
                "plug/receive?key={secret:PLUG_SECRET_RECEIVE}",
                Event.RECEIVE_MESSAGE,
                environments=("production", "staging"),
                ok=False,
                status=500,
                message="answered 500: the receiver failed while it handled the example. Its log says why",
            ),
            checked("a", host="gone.acme.com.br", **gone, message="the name gone.acme.com.br was not found"),
            checked("a", host="late.acme.com.br", **late),
            checked("b", host="late.acme.com.br", **late),
            *seven,
            checked(
                "a",
                host="old.acme.com.br",
                **{**failed, "stage": CheckStage.TLS, "certificate_days": None},
                message="the certificate has expired",
            ),
        )
    )
    places: dict[str, Any] = {"place": HOSTILE, "addresses": (HOSTILE,), "environments": (HOSTILE,)}
    return {
        "mixed": mixed,
        "passed": CheckResult(tuple(checked(f"{event}", event) for event in EVENTS)),
        "no-post": CheckResult(
            (
                checked("a", stage=CheckStage.TLS, status=None, latency_s=0.05),
                checked("b", host="b.acme.com.br", **gone, message="the name b.acme.com.br was not found"),
            ),
            posted=False,
        ),
        "hostile": CheckResult(
            (
                checked("", **{**places, **failed}, url=HOSTILE, message=HOSTILE, warning=HOSTILE),
                checked("", **places, url=HOSTILE, warning=f"{HOSTILE}2"),
            )
        ),
        "empty": CheckResult(()),
    }


def validations() -> dict[str, tuple[list[Problem], list[Problem]]]:
    error = Problem("manifests/a.yaml", 3, 7, "wave", "a whole number is expected, not '1'", "write 1")
    warning = Problem("manifests/a.yaml", 9, 3, "webhooks.receiveMessage", "example.com is reserved")
    line = "  receiveMessage: https://hooks.acme.com.br/loja do centro/receive?key={secret:PLUG_SECRET_A}&token=***"
    quoted = Problem(
        "manifests/loja.yaml",
        12,
        19,
        "webhooks.receiveMessage",
        "holds white space or a control character, so that Plug could not call it",
        "percent-encode it, as in %20",
        109,
        Quote(line, 18, 100),
    )
    wide = Problem("manifests/a.yaml", 3, 14, "wave", "is a text", "write 1", 15, Quote("名前: 東京 x: 12", 10, 12))
    return {
        "quoted": ([quoted, wide], [replace(warning, quote=Quote("- :: x", 2, 4))]),
        "errors": (
            [error, Problem.of("RECONCILER_STAET", "unknown", "did you mean RECONCILER_STATE?")],
            [warning],
        ),
        "warnings": ([], [warning]),
        "clean": ([], []),
        "hostile": (
            [Problem(HOSTILE, 1, 1, HOSTILE, HOSTILE, HOSTILE, 9, Quote(HOSTILE, 20, 200))],
            [Problem.of("", HOSTILE)],
        ),
    }


def documents() -> dict[str, Document]:
    by = By("octocat", "0123456789abcdef0123456789abcdef01234567", "17-1")
    urls = webhooks("hooks.acme.com.br", "production")
    applied = Applied(
        "https://www.plugchat.com.br/u",
        "org:42",
        urls,
        {"PLUG_SECRET_RECEIVE": "hmac-sha256:00"},
        NOW,
        by,
        False,
        BodyForm.FLAT,
        NOW,
    )
    history = (
        HistoryEntry(NOW, By("maria"), {}, adopted=True),
        HistoryEntry(NOW, by, {}, False, "https://plug.acme.com.br/u", None, BodyForm.VALUE),
        HistoryEntry(NOW, by, {Event.RECEIVE_MESSAGE: urls[Event.RECEIVE_MESSAGE]}),
    )
    live = Intent("i1", urls, False, NOW, NOW.replace(minute=15), by, "https://www.plugchat.com.br/u", "org:42")
    last = LastTry(Outcome.REJECTED, 401, "401: Plug did not accept the token of PLUG_TOKEN_STAGING", NOW, by)
    dead = Intent("i2", urls, True, NOW, None, By())
    foul = By(HOSTILE, HOSTILE, HOSTILE)
    bad = dict.fromkeys(EVENTS, HOSTILE)
    return {
        "settled": Document("production", "l1", 4, applied, None, history),
        "locked": Document("staging", "l2", 5, applied, live, history, last),
        "in-doubt": Document("novo", "l3", 1, None, dead, ()),
        "hostile": Document(
            HOSTILE,
            HOSTILE,
            2,
            Applied(HOSTILE, HOSTILE, bad, {HOSTILE: HOSTILE}, NOW, foul, adopted=True),
            Intent(HOSTILE, bad, True, NOW, None, foul, HOSTILE, HOSTILE),
            (HistoryEntry(NOW, foul, bad), HistoryEntry(NOW, foul, bad, False, f"{HOSTILE}2", HOSTILE)),
            LastTry(Outcome.FAILED, None, HOSTILE, NOW, foul),
        ),
    }


# --- the workflows -----------------------------------------------------------------------------------


def run_results() -> dict[str, tuple[list[EndReport], RunText]]:
    """The ends of apply runs."""
    url = "https://github.com/acme/plug/actions/runs/7001"
    run = RunText(url, COMMIT)
    job = RunJob("Step 1 / loja-7", "failure", f"{url}/job/1")
    ours, before = By("ana", COMMIT, "7001/1"), By("github-actions[bot]", "b" * 40, "6999/2")
    doubt = "it is unknown whether the PUT of 2026-11-23T12:00:00Z changed Plug: uncertain (status 502): 502"
    rejected = "rejected (status 401): PLUG_TOKEN_{} was not accepted"
    stopped = "its job did not begin, as Step 1 / loja-7 did not succeed"
    mixed = [
        EndReport("loja-8", Ending.IN_DOUBT, doubt, ours, NOW, job),
        EndReport("loja-7", Ending.NOT_APPLIED, rejected.format("LOJA_7"), ours, NOW, job),
        *(EndReport(f"loja-1{n}", Ending.NOT_APPLIED, rejected.format(f"LOJA_1{n}"), ours, NOW) for n in range(6)),
        EndReport("matriz", Ending.NOT_TRIED, stopped),
        EndReport("velha", Ending.UNKNOWN, "its state can't be read: .reconciler/state/velha.json is not valid JSON"),
        *(EndReport(f"filial-{n}", Ending.APPLIED, "", ours, NOW + timedelta(minutes=n)) for n in range(3)),
        EndReport("centro", Ending.AS_WANTED, "", before, NOW),
        EndReport("norte", Ending.AS_WANTED, "", before, NOW, adopted=True),
        EndReport("sul", Ending.SUPERSEDED, commit="c" * 40),
        EndReport("leste", Ending.REMOVED),
    ]
    foul = [
        EndReport(
            HOSTILE, ending, HOSTILE, By(HOSTILE, HOSTILE, HOSTILE), NOW, RunJob(HOSTILE, HOSTILE), commit=HOSTILE
        )
        for ending in Ending
    ]
    refused = "max_changed: 12 of 12 environments change, and 10 % may\nnew_state: nothing was ever applied"
    left = [EndReport("loja", Ending.NOT_TRIED, "the first job ended the whole run, so no job of an environment began")]
    return {
        "mixed": (mixed, run),
        "refused": (left, replace(run, refused=refused)),
        "lifted": (
            [EndReport("loja", Ending.APPLIED, "", ours, NOW)],
            replace(run, lifted="the label \u201creconciler: large change\u201d, set by ana on #12, lifts its guard"),
        ),
        "nothing": (
            [],
            replace(run, notes=("no pull request got a comment (GitHub answered 500)",)),
        ),
        "hostile": (foul, replace(run, refused=HOSTILE, lifted=HOSTILE, notes=(HOSTILE,))),
    }


def issues() -> dict[str, Issue]:
    """The issues that the schedule keeps."""
    url = "https://github.com/acme/plug/actions/runs/7100"
    run = ApplyRun(7001, COMMIT, "waiting", None, NOW, whole=True, url="https://github.com/acme/plug/actions/runs/7001")
    notes = [describe_begun(Begin.REASSERT), describe_left(3, 7001), describe_left(1, None), describe_sending(2)]
    return {
        "drift": make_drift_issue(["loja"], "## Drift\n", notes, url),
        "waiting": make_waiting_issue(run, url),
        "queued": make_waiting_issue(replace(run, status="queued", url=""), url),
        "failed": make_failed_issue(replace(run, status="completed", conclusion="timed_out")),
    }


def unshown(text: str) -> tuple[EnvironmentChange, ...]:
    """Changes that a plan does not show: one environment, and a group of six with a value each."""
    parts = (PartChange("wave", "0", "1"), PartChange("token_env", text, None))
    values = {f"e{at}": f"{at}{text}" for at in range(6)}
    alike = [
        EnvironmentChange(name, (PartChange("messageStatus", None, f"https://a.com.br/{value}"),), {"zap": value})
        for name, value in values.items()
    ]
    return EnvironmentChange("loja", parts, {}), *alike


def reviews() -> dict[str, Review]:
    """Reviews of a merge: refused for every reason at once, lifted, without a plan, and hostile."""
    two = plan_of(create("novo"), update("loja", "v1.acme.com.br", "v2.acme.com.br"), where=replace(WHERE, is_new=True))
    planned = Planned(two, {}, {})
    large = Problem.of("max_changed", "12 of 12 applied environments would be updated", "set the label")
    label = LabelSetting(Label.LARGE_CHANGE, "ana", counts=True)
    first = LabelSetting(Label.FIRST_APPLY, None, counts=False)
    commits: dict[str, Any] = {"base": "b" * 40, "head": "a" * 40}
    settings = (SettingChange("max_changed", "50%", "100%"), SettingChange("state", "git:origin/a", "git:origin/b"))
    loosening = Loosening(settings, ("loja", "novo"), (".github/CODEOWNERS", ".github/workflows/apply.yml"))
    pins = (PinChange("loja", "org-1", None), PinChange("novo", "org-1", "org-2"))
    hostile_pins = (PinChange(HOSTILE, HOSTILE, None), PinChange(HOSTILE, HOSTILE, HOSTILE))
    return {
        "red": Review(
            **commits,
            change=MergeChange(("loja",), ("antiga",)),
            loosening=replace(loosening, pins=pins, unknown=("policy",)),
            unshown=unshown("PLUG_TOKEN_X"),
            base_fault="manifests/loja.yaml:1:7: wave: is a text",
            planned=planned,
            refused=(large,),
            labels=(replace(label, set_by="bob", counts=False), first),
            combined=("loja",),
            checked=checks()["mixed"],
        ),
        "lifted": Review(
            **commits,
            change=MergeChange(("loja", "novo")),
            planned=planned,
            lifted=(large,),
            labels=(label, replace(first, set_by="eva", counts=True)),
        ),
        "waiting": Review(
            **commits,
            change=MergeChange(("novo",)),
            planned=planned,
            later=large,
            label_fault="GitHub answered 500",
            advice=(
                Advice("apply-wave.yml has no line. Add it", "PLUG_SECRET_NOVO: ${{ secrets.PLUG_SECRET_NOVO }}"),
                Advice("New: novo. Create the GitHub Environment", "reconciler github setup -e novo"),
            ),
        ),
        "errors": Review(**commits, errors=tuple(validations()["errors"][0]), loosening=loosening),
        "fork": Review(**commits, change=MergeChange(("loja",)), unplanned="state: s3://a/b can't be reached: no key"),
        "hostile": Review(
            base="b" * 40,
            head=None,
            change=MergeChange((HOSTILE,), (HOSTILE,)),
            loosening=Loosening(
                (SettingChange(HOSTILE, HOSTILE, HOSTILE),), (HOSTILE,), (HOSTILE,) * 30, hostile_pins, ("policy",)
            ),
            unshown=unshown(HOSTILE),
            base_fault=HOSTILE,
            failed=HOSTILE,
            refused=(Problem(HOSTILE, 1, 1, HOSTILE, HOSTILE, HOSTILE),),
            labels=(replace(label, set_by=HOSTILE, counts=False),),
            label_fault=HOSTILE,
            combined=(HOSTILE,),
            advice=(Advice(HOSTILE, HOSTILE),),
        ),
    }
