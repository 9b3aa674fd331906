"""The words that all views share: reasons, counts, summaries, and advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.finding_groups import FindingGroup
from reconciler.core.groups import Group, find_unchanged_hosts
from reconciler.core.host_uses import HostUse
from reconciler.core.planner import LIVE
from reconciler.model import (
    Action,
    CheckResult,
    CheckStage,
    DestinationPart,
    Document,
    Drift,
    EnvironmentPlan,
    EnvironmentResult,
    Finding,
    FindingKind,
    LastTry,
    Outcome,
    Plan,
    Problem,
    Reason,
    ReceiverCheck,
    Remedy,
    RunResult,
)
from reconciler.text.alike import Filled
from reconciler.text.counts import counted, environments, name_some, number
from reconciler.text.groups import group_failures
from reconciler.text.instants import instant

ORPHANS_LIVE = "Plug keeps calling their webhooks."
ORPHANS_RETIRE = (
    "Bring the manifest back; or if it was only renamed: reconciler state rename OLD NEW; or retire the company: point "
    "it at a host that drops everything, apply, forget"
)
NAMES_SHOWN = 50  # of a group or list; the others are counted
EVERY_NAME = 1_000_000
NAMES_OF_A_HOST = (EVERY_NAME, 500, NAMES_SHOWN, 10, 1, 0)  # the most names; the first with which everything fits
MASKED = "…"  # replaces a part of a URL that is not shown
NOTE_LENGTH = 100  # characters of a value in a note
NOTHING = "nothing"  # shown if no webhook is registered in Plug

HostRow: TypeAlias = tuple[str, HostUse]  # the kind of the host, such as "expected"; "" if there is only one kind

STATE_TROUBLE = "State trouble: not everything could be recorded or begun. First fix what the messages name."

REASONS = {
    Reason.NEVER_APPLIED: "never applied",
    Reason.WEBHOOKS_CHANGED: "webhooks changed",
    Reason.UNCERTAIN: "an earlier PUT is in doubt",
    Reason.ENDPOINT_CHANGED: "endpoint or body form changed",
    Reason.ACCOUNT_CHANGED: "the token's account changed",
    Reason.SECRET_CHANGED: "a secret changed",
    Reason.EXPIRED: "applied longer ago than max_age",
    Reason.LIVE_DRIFT: "live drift",
    Reason.REQUESTED: "requested with --reassert",
}

NOT_USUAL = {
    DestinationPart.TOKEN_ENV: "the name's default",
    DestinationPart.AUTH_SCHEME: "the setting's",
}

# the gravest first: what is unknown, then what Plug or the network refused, then what was not tried
NOT_APPLIED = (Outcome.UNCERTAIN, Outcome.REJECTED, Outcome.FAILED, Outcome.LOCKED, Outcome.SKIPPED)

NEXT_FOR_OUTCOME = {
    Outcome.UNCERTAIN: "uncertain: run apply again: it sends the desired webhooks again.",
    Outcome.REJECTED: "rejected: Plug was not changed. Fix what the message names, then run apply again.",
    Outcome.FAILED: "failed: nothing reached Plug. Fix what the message names, then run apply again.",
    Outcome.LOCKED: (
        "locked: wait for the other run. Only if it is dead: reconciler state unlock ENVIRONMENT, then apply again."
    ),
    Outcome.SKIPPED: "skipped: not begun, nothing was sent. The next apply takes them up.",
}

NEXT_FOR_REMEDY = {
    Remedy.UNLOCK: (
        "still locked by this run: fix what the message names, then reconciler state unlock ENVIRONMENT, and apply "
        "again."
    ),
    Remedy.REASSERT: "not in the state: fix what the message names, then reconciler apply --reassert -e ENVIRONMENT.",
}

NEXT_FOR_KIND = {
    FindingKind.LIVE: (
        "live: Plug itself was changed. To keep that, write it into the manifest; to undo it, run reconciler apply "
        "--observe. Where a PUT changes nothing although Plug answers 200, try the other api.body."
    ),
    FindingKind.UNCERTAIN: (
        "uncertain: wait if a run is under way (state list shows its lock), then run reconciler apply, which sends the "
        "desired webhooks again."
    ),
    FindingKind.UNAPPLIED: "unapplied: see it with reconciler plan, then run reconciler apply.",
    FindingKind.ACCOUNT: (
        "account: is it the right company's token? If so: correct organization_id where the manifest has one, else "
        "reconciler apply --accept-account-change ENVIRONMENT."
    ),
    FindingKind.ENDPOINT: "endpoint: check api.base_url and api.body, then run reconciler apply.",
    FindingKind.SECRET: "secret: run reconciler apply, so that Plug sends the new value.",
    FindingKind.EXPIRED: "expired: run reconciler apply, which sends the desired webhooks again.",
    FindingKind.TOKEN_EXPIRY: (
        "token-expiry: get a new token from Plug and store it where the old one is. The next PUT with it records when "
        "it ends; reconciler apply --reassert sends one."
    ),
    FindingKind.ORPHAN: f"orphan: {ORPHANS_LIVE} {ORPHANS_RETIRE}: reconciler state forget ENVIRONMENT.",
    FindingKind.UNOBSERVABLE: (
        "unobservable: this is not drift, but what Plug holds there is unknown. After a failed read: fix what its "
        "message names, then run reconciler drift --observe again."
    ),
}

# an issue or a summary on GitHub, where the team's workflows apply: these kinds need other words there
NEXT_ON_GITHUB = {
    FindingKind.LIVE: (
        "live: Plug itself was changed. To keep that, write it into the manifest; to undo it, run the workflow Apply "
        "with reassert. Where a PUT changes nothing although Plug answers 200, try the other api.body."
    ),
    FindingKind.UNCERTAIN: "uncertain: run the workflow Apply, which sends the desired webhooks again.",
    FindingKind.UNAPPLIED: "unapplied: run the workflow Apply.",
    FindingKind.ACCOUNT: (
        "account: is it the right company's token? If so: correct organization_id where the manifest has one, else run "
        "the workflow Apply with the environment in accept_account_change."
    ),
    FindingKind.ENDPOINT: "endpoint: check api.base_url and api.body, then run the workflow Apply.",
    FindingKind.SECRET: "secret: run the workflow Apply with reassert, so that Plug sends the new value.",
    FindingKind.EXPIRED: "expired: run the workflow Apply, which sends the desired webhooks again.",
    FindingKind.TOKEN_EXPIRY: (
        "token-expiry: get a new token from Plug and store it where the old one is: as a secret on GitHub. The next "
        "PUT with it records when it ends; the workflow Apply with reassert sends one."
    ),
    FindingKind.UNOBSERVABLE: (
        "unobservable: this is not drift, but what Plug holds there is unknown. After a failed read: fix what its "
        "message names, then run the workflow Drift again."
    ),
}


def next_for_kind(kind: FindingKind, *, on_github: bool) -> str:
    """Return what to do about findings of a kind, in a terminal or with the team's workflows."""
    return NEXT_ON_GITHUB.get(kind, NEXT_FOR_KIND[kind]) if on_github else NEXT_FOR_KIND[kind]


def list_next(result: RunResult) -> list[str]:
    """Return what to do about everything that was not applied, the gravest first."""
    texts = [STATE_TROUBLE] if result.state_trouble else []
    for outcome in NOT_APPLIED:
        for remedy in sorted({one.remedy for one in result.environments if one.outcome is outcome}):
            texts.append(NEXT_FOR_REMEDY.get(remedy) or NEXT_FOR_OUTCOME[outcome])
    return list(dict.fromkeys(texts))


def shown_digest(plan: Plan) -> str | None:
    """Return the digest; None if the plan has no create and no update, because the digest is over those."""
    return plan.digest if any(planned.action.changes for planned in plan.environments) else None


def reasons(planned: EnvironmentPlan) -> str:
    """Return why an environment is planned, such as `webhooks changed, a secret changed`."""
    return ", ".join(REASONS[reason] for reason in planned.reasons)


class DestinationNote(Struct, frozen=True):
    """The unusual values of one part of the destinations.

    `rows` has each value with its environments, the rarest value first.
    """

    part: DestinationPart
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def heading(self) -> str:
        count = sum(len(names) for _, names in self.rows)
        return f"{self.part} is not {NOT_USUAL[self.part]} in {environments(count)}"


def destination_notes(plan: Plan) -> list[DestinationNote]:
    """Return a note about unusual variables of tokens, and one about unusual forms of the header.

    A change of these sends nothing again, so such an environment may be unchanged in the plan.
    """
    notes = []
    for part in NOT_USUAL:
        members: dict[str, list[str]] = {}
        for planned in plan.environments:
            if part in planned.overrides:
                members.setdefault(getattr(planned.destination, part), []).append(planned.environment)
        rows = sorted((len(names), value, tuple(names)) for value, names in members.items())
        if rows:
            notes.append(DestinationNote(part, tuple((value, names) for _, value, names in rows)))
    return notes


def shorten(text: str) -> str:
    return text if len(text) <= NOTE_LENGTH else text[: NOTE_LENGTH - 1] + "…"


def placeholders(values: Sequence[Filled]) -> list[str]:
    """Return the placeholders in the texts of a group, such as `{NAME}`, whose values differ."""
    return [f"{{{name}}}" for name, _ in values[0].values] if values else []


def filled(one: Filled, show: Callable[[str], str]) -> str:
    """Return each name with its value. `show` escapes a text."""
    return ", ".join(f"{show(name)} {show(value)}" for name, value in one.values)


def waves(members: Sequence[EnvironmentPlan]) -> str:
    """Return such as `wave 1` or `waves 0 to 3`; empty if all are in wave 0."""
    first, last = min(member.wave for member in members), max(member.wave for member in members)
    if first != last:
        return f"waves {first} to {last}"
    return f"wave {first}" if first else ""


def plan_summary(plan: Plan) -> str:
    """Return such as `Plan: 1 to create, 1 to update, 0 to reassert, 3 unchanged, 1 orphan.`, with the shard if any."""
    count = plan.count_actions()
    of_shard = f" of shard {plan.shard}" if plan.shard else ""
    text = (
        f"Plan{of_shard}: {number(count[Action.CREATE])} to create, {number(count[Action.UPDATE])} to update, "
        f"{number(count[Action.REASSERT])} to reassert, {number(count[Action.NOOP])} unchanged, "
        f"{counted(count[Action.ORPHAN], 'orphan')}."
    )
    return text if any(action.puts for action in count) else f"{text} Nothing to do."


def sort_by_importance(groups: Iterable[Group]) -> list[Group]:
    """Return the creates and updates, then the reasserts, each in the plan's order."""
    return sorted(groups, key=lambda group: group.representative.action is Action.REASSERT)


def unchanged_line(plan: Plan) -> str | None:
    """Return one line about all unchanged environments, with the number of those compared by text alone."""
    unchanged = [planned for planned in plan.environments if planned.action is Action.NOOP]
    if not unchanged:
        return None
    by_text = sum(1 for planned in unchanged if not_compared(planned))
    unread = sum(1 for planned in unchanged if LIVE in planned.unchecked)
    text = f"Unchanged: {environments(len(unchanged))}"
    if by_text:
        text += f", {number(by_text)} compared by text alone (no token or secret available)"
    if unread:
        text += f", {number(unread)} not observed (the read failed)"
    return text + "."


def not_compared(planned: EnvironmentPlan) -> list[str]:
    """Return what was not compared because it was not available: `account`, `secret:NAME`."""
    return [item for item in planned.unchecked if item != LIVE]


def host_notes(group: Group, escape: Callable[[str], str]) -> list[str]:
    """Return what the changes of one environment don't show: `new host: a.com`, `unchanged webhooks at b.com`."""
    new = [use.host for use in group.hosts if use.is_new]
    unchanged = find_unchanged_hosts(group.members[0])
    notes = [f"new host{'s' if len(new) > 1 else ''}: {', '.join(map(escape, new))}"] if new else []
    return [*notes, f"unchanged webhooks at {', '.join(map(escape, unchanged))}"] if unchanged else notes


def plan_hosts(group: Group) -> list[HostRow]:
    """Return the hosts of a group of several environments: those that will be sent, then those that Plug holds."""
    if len(group.members) == 1:
        return []
    return [*(("", use) for use in group.hosts), *(("observed at Plug", use) for use in group.observed)]


def finding_hosts(group: FindingGroup) -> list[HostRow]:
    """Return the expected and the actual hosts of a group of findings, or one list if they are the same."""
    if group.expected_hosts == group.actual_hosts:
        return [("", use) for use in group.expected_hosts]
    return [
        *(("expected", use) for use in group.expected_hosts),
        *(("actual", use) for use in group.actual_hosts),
    ]


def host_label(use: HostUse, escape: Callable[[str], str]) -> str:
    """Return such as `a.com` or `b.com:8443 (new)`."""
    return f"{escape(use.host)} (new)" if use.is_new else escape(use.host)


def host_environments(use: HostUse, shown: Callable[[Sequence[str]], str]) -> str:
    """Return the environments that are named for a host: `a, b` or `all but c`; empty for the usual host."""
    if use.is_usual:
        return ""
    return f"all but {shown(use.others)}" if use.others else shown(use.environments)


def new_hosts_note(plan: Plan) -> str | None:
    """Return a note if a plan with new hosts covers a part of the fleet, as only that part's records were compared."""
    if not plan.new_hosts or not (plan.selection or plan.shard):
        return None
    return "new: no applied record of the selected environments has this host; those of others were not compared."


def new_host_count(group: Group) -> str:
    """Return such as `, 1 new host`; empty without new hosts."""
    count = sum(1 for use in group.hosts if use.is_new)
    return f", {counted(count, 'new host')}" if count else ""


def leave_out_unchecked(plan: Plan) -> tuple[Plan, str]:
    """Return the plan of a job that never has tokens, and one sentence in place of what every environment lacks.

    The sentence is empty if nothing is left out.
    """
    kept = tuple(replace(one, unchecked=tuple({LIVE} & set(one.unchecked))) for one in plan.environments)
    if kept == plan.environments:
        return plan, ""
    note = "Tokens and secrets are not available here: the job that applies compares them."
    return replace(plan, environments=kept), note


def unchecked_line(group: Group) -> str | None:
    """Return such as `not compared, as not available: account` or `not observed: the read failed`.

    For a group each item has the number of environments.
    """

    def where(count: int) -> str:
        return f" (in {number(count)} of them)" if len(group.members) > 1 else ""

    count = Counter(item for member in group.members for item in member.unchecked)
    unread = count.pop(LIVE, 0)
    parts = []
    if count:
        items = [f"{item}{where(times)}" for item, times in count.most_common()]
        parts.append(f"not compared, as not available: {name_some(items, most=NAMES_SHOWN)}")
    if unread:
        parts.append(f"not observed: the read failed{where(unread)}")
    return "; ".join(parts) or None


def group_not_applied(result: RunResult) -> list[list[EnvironmentResult]]:
    """Return the results that were not applied, the gravest outcome first, with alike ones as one group."""
    return [
        group
        for outcome in NOT_APPLIED
        for group in group_failures([one for one in result.environments if one.outcome is outcome])
    ]


def result_summary(result: RunResult) -> str:
    """Return the number of each outcome that occurs, such as `Result: 3 applied, 1 uncertain.`."""
    count = Counter(one.outcome for one in result.environments)
    parts = ", ".join(f"{number(count[outcome])} {outcome}" for outcome in Outcome if count[outcome])
    return f"{'Interrupted' if result.interrupted else 'Result'}: {parts or 'nothing to do'}."


def drift_advice(drift: Drift, *, on_github: bool) -> list[str]:
    """Return what to do about each kind of finding that occurs, the most important first."""
    occurring = {finding.kind for finding in drift.findings}
    return [next_for_kind(kind, on_github=on_github) for kind in FindingKind if kind in occurring]


def has_drift(drift: Drift) -> bool:
    """Return whether there is a finding of another kind than `unobservable`."""
    return any(finding.kind.is_drift for finding in drift.findings)


def drift_summary(drift: Drift) -> str:
    """Return such as `Drift: 3 findings in 2 environments (2 live, 1 orphan).`, or `No drift in …`."""
    found = [finding for finding in drift.findings if finding.kind.is_drift]
    unseen = _describe_unobservable(drift.findings)
    if not found:
        return f"No drift in {looked_at(drift)}{f'; unobservable: {unseen}' if unseen else ''}."
    count = Counter(finding.kind for finding in found)
    parts = [f"{number(count[kind])} {kind}" for kind in FindingKind if count[kind]]
    where = environments(len({finding.environment for finding in found}))
    beside = f" Unobservable: {unseen}." if unseen else ""
    return f"Drift: {counted(len(found), 'finding')} in {where} ({', '.join(parts)}).{beside}"


def looked_at(drift: Drift) -> str:
    """Return what was compared and what was not.

    For example `the manifests and the state; Plug was not read, accounts of 2 environments were not compared`.
    """
    if drift.observed is None:
        compared, missing = "the manifests and the state", ["Plug was not read"]
    else:
        compared, missing = f"the manifests, the state and {counted(drift.observed, 'account')} of Plug", []
    for name, left_out in (("accounts", drift.accounts_not_compared), ("secrets", drift.secrets_not_compared)):
        if left_out:
            missing.append(f"{name} of {environments(left_out)} were not compared")
    return "; ".join([compared, *([", ".join(missing)] if missing else [])])


def _describe_unobservable(findings: Iterable[Finding]) -> str:
    """Return such as `2 environments, 3 webhooks`: whole environments, and single webhooks of others."""
    unobservable = [finding for finding in findings if not finding.kind.is_drift]
    whole = sum(1 for finding in unobservable if finding.event is None)
    parts = [environments(whole)] if whole else []
    if len(unobservable) > whole:
        parts.append(counted(len(unobservable) - whole, "webhook"))
    return ", ".join(parts)


def is_masked(url: str) -> bool:
    """Return whether a part of an observed URL is not shown, so that it can't be compared by characters."""
    return MASKED in url


def actual_of(finding: Finding) -> str | None:
    """Return what Plug holds, or what was applied; for live drift also that nothing is registered.

    Returns None for a token's expiry, whose message has the time already.
    """
    if finding.actual is None and finding.kind is FindingKind.LIVE:
        return NOTHING
    return None if finding.kind is FindingKind.TOKEN_EXPIRY else finding.actual


NEXT_FOR_STAGE = {
    CheckStage.DNS: "dns: check the name in the URL and its records: Plug would not find the receiver either.",
    CheckStage.CONNECT: "connect: is the receiver running, and does its firewall let the internet in?",
    CheckStage.TLS: "tls: fix the certificate or the server's TLS: Plug calls https alone.",
    CheckStage.POST: "post: the receiver was reached. What it does with the example bodies is in its log.",
}


def check_advice(result: CheckResult) -> list[str]:
    """Return what to do about each stage at which a receiver failed."""
    failed = {receiver.stage for receiver in result.receivers if not receiver.ok}
    return [NEXT_FOR_STAGE[stage] for stage in CheckStage if stage in failed]


def check_summary(result: CheckResult) -> str:
    """Return such as `Check: 14 receivers: 13 passed, 1 failed; 2 warnings.`.

    It also says whether the check was interrupted, and whether nothing was posted.
    """
    failed = sum(1 for receiver in result.receivers if not receiver.ok)
    warnings = len(check_warnings(result))
    parts = [f"{number(len(result.receivers) - failed)} passed"] + ([f"{number(failed)} failed"] if failed else [])
    text = f"Check: {counted(len(result.receivers), 'receiver')}: {', '.join(parts)}"
    text += f"; {counted(warnings, 'warning')}" if warnings else ""
    text += f"; interrupted: {number(result.unchecked)} not checked" if result.interrupted else ""
    return text + ("." if result.posted else "; nothing was posted (--no-post).")


def check_warnings(result: CheckResult) -> list[str]:
    """Return each warning once, because all receivers of a host share its certificate."""
    return list(dict.fromkeys(receiver.warning for receiver in result.receivers if receiver.warning))


def check_figures(receiver: ReceiverCheck) -> str:
    """Return status and latency, such as `200, 0.12 s`; without an answer the stage that was reached."""
    reached = str(receiver.status) if receiver.status is not None else receiver.stage.value
    return reached if receiver.latency_s is None else f"{reached}, {receiver.latency_s:.2f} s"


def check_hosts(result: CheckResult) -> list[tuple[str, str, str]]:
    """Return each host and port once, also of failed receivers, with its addresses and its certificate's days."""
    places: dict[str, ReceiverCheck] = {}
    for receiver in result.receivers:
        places.setdefault(receiver.place, receiver)
    return [
        (
            place,
            ", ".join(receiver.addresses) or "no address",
            "" if receiver.certificate_days is None else counted(receiver.certificate_days, "day"),
        )
        for place, receiver in places.items()
    ]


def validation_summary(errors: Sequence[Problem], warnings: Sequence[Problem], *, count: int | None) -> str:
    """Return such as `Valid: 12 environments, no warnings.`.

    With errors it is such as `Invalid: 2 errors, 1 warning. 11 environments have no error.`.
    """
    warned = counted(sum(one.stands_for for one in warnings), "warning") if warnings else "no warnings"
    if errors:
        total = counted(sum(one.stands_for for one in errors), "error")
        verb = "has" if count == 1 else "have"
        valid = f" {environments(count)} {verb} no error." if count else ""
        return f"Invalid: {total}, {warned}.{valid}"
    fleet = f"{environments(count)}, " if count is not None else ""
    return f"Valid: {fleet}{warned}."


def standing(document: Document, now: datetime) -> str:
    """Return `settled`, or which of `locked until …`, `in doubt` and `adopted` apply, the most important first."""
    parts = []
    intent = document.intent
    if intent is not None and intent.is_live(now):
        parts.append(f"locked until {instant(intent.lease_until)}")
    if document.is_in_doubt(now):
        parts.append("in doubt")
    if document.applied is not None and document.applied.adopted:
        parts.append("adopted")
    return ", ".join(parts) or "settled"


def find_moves(document: Document) -> list[dict[str, str]]:
    """Return what each record of the history changed beside webhooks, newest first: `endpoint`, `account`, `body`."""
    moves: list[dict[str, str]] = [{} for _ in document.history]
    applied = document.applied
    endpoint, account = (applied.endpoint, applied.account) if applied else ("", None)
    body = applied.body if applied else None
    for index, older in enumerate(document.history[1:]):
        if older.endpoint is not None:
            if older.endpoint != endpoint:
                moves[index]["endpoint"] = _describe_move(endpoint, older.endpoint)
            if older.account != account:
                moves[index]["account"] = _describe_move(account or "not known", older.account or "not known")
            endpoint, account = older.endpoint, older.account
        if older.body is not None and body is not None:
            moves[index]["body"] = _describe_move(body.value, older.body.value)
            body = older.body
    return moves


def _describe_move(now: str, before: str) -> str:
    return f"{now} (before: {before})"


def describe_last(last: LastTry) -> str:
    """Return how the last try ended, such as `rejected at 2026-11-23T12:00:00Z, status 401`."""
    status = "" if last.status is None else f", status {last.status}"
    return f"{last.outcome} at {instant(last.at)}{status}"
