"""The differences between manifests, state and Plug, as findings (docs/contract.md#drift)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from reconciler.core.accounts import ORGANIZATION, find_pin_contradiction
from reconciler.core.masking import find_secretive, mask_url
from reconciler.core.observe import Observation, find_live_findings
from reconciler.model import (
    FINDING_ORDER,
    Action,
    Desired,
    DestinationPart,
    EnvironmentPlan,
    Finding,
    FindingKind,
    Fingerprint,
    Head,
    Reason,
)
from reconciler.text.instants import instant


class TokenWatch(Struct, frozen=True):
    """The data to find tokens that end soon: a token that ends up to `warning_s` seconds after `now` is a finding."""

    now: datetime
    warning_s: float
    fingerprint_of: Callable[[Desired], Fingerprint]


_MOVED = {
    DestinationPart.ENDPOINT: "applied through another endpoint than the one configured",
    DestinationPart.BODY: "applied with another form of body than the one configured",
}


def find_drift(
    planned: Iterable[EnvironmentPlan],
    desired: Mapping[str, Desired],
    documents: Mapping[str, Head],
    observations: Mapping[str, Observation] | None = None,
    tokens: TokenWatch | None = None,
) -> list[Finding]:
    """Return the findings of a plan without --reassert, the most important kind first, then by name.

    `observations` are those of --observe; without them there are no findings about Plug. Without `tokens` there are no
    findings about tokens that end, or about companies that contradict the manifest.
    """
    findings = [
        finding
        for one in planned
        for finding in _findings_of(one, desired.get(one.environment), documents.get(one.environment))
    ]
    for name, observation in (observations or {}).items():
        findings.extend(find_live_findings(name, observation, desired.get(name), documents.get(name)))
    if tokens is not None:
        findings.extend(_find_pins(desired.values(), documents, tokens.fingerprint_of))
        findings.extend(_find_ending_tokens(desired.values(), documents, tokens))
    return sorted(findings, key=lambda finding: (FINDING_ORDER[finding.kind], finding.environment))


def _findings_of(planned: EnvironmentPlan, desired: Desired | None, document: Head | None) -> Iterable[Finding]:
    name = planned.environment
    if planned.action is Action.ORPHAN:
        yield Finding(name, FindingKind.ORPHAN, None, None, None, "in the state, but in no manifest")
        return
    never = Reason.NEVER_APPLIED in planned.reasons
    secretive = find_secretive(desired, document) if planned.changes else frozenset()
    for change in planned.changes:
        message = "never applied" if never else "the manifest differs from what was last applied"
        actual = mask_url(change.before) if change.before and change.event in secretive else change.before
        yield Finding(name, FindingKind.UNAPPLIED, change.event, change.after, actual, message)
    for moved in planned.destination_changes:
        if moved.before is not None:
            message = _MOVED[moved.part]
            yield Finding(name, FindingKind.ENDPOINT, None, moved.after, moved.before, message)
    for reason in planned.reasons:
        finding = _finding_of_reason(reason, name, document)
        if finding is not None:
            yield finding


def _finding_of_reason(reason: Reason, name: str, document: Head | None) -> Finding | None:
    applied = document.applied if document else None
    if reason is Reason.UNCERTAIN:
        assert document is not None and document.intent is not None, "the intent is the reason"
        message = f"it is unknown whether the PUT of {instant(document.intent.at)} changed Plug"
        return Finding(name, FindingKind.UNCERTAIN, None, None, None, message)
    if applied is None:
        return None
    if reason is Reason.ACCOUNT_CHANGED:
        message = "the available token belongs to another account, or was replaced"
        return Finding(name, FindingKind.ACCOUNT, None, None, applied.account, message)
    if reason is Reason.SECRET_CHANGED:
        message = "a secret of a webhook URL, or the token it is recorded under, was replaced"
        return Finding(name, FindingKind.SECRET, None, None, None, message)
    if reason is Reason.EXPIRED:
        message = f"last applied at {instant(applied.at)}, longer ago than max_age"
        return Finding(name, FindingKind.EXPIRED, None, None, None, message)
    return None


def _find_pins(
    desired: Iterable[Desired], documents: Mapping[str, Head], fingerprint_of: Callable[[Desired], Fingerprint]
) -> Iterable[Finding]:
    """Find the environments whose manifest names another company than the available token or the applied record."""
    for one in desired:
        if one.organization_id is None:
            continue
        name, available = one.environment, fingerprint_of(one).account
        head = documents.get(name)
        fault = find_pin_contradiction(one, head, available)
        if fault is not None:
            actual = available or (head.applied.account if head and head.applied else None)
            wanted = ORGANIZATION + one.organization_id
            yield Finding(name, FindingKind.ACCOUNT, None, wanted, actual, fault.message)


def _find_ending_tokens(
    desired: Iterable[Desired], documents: Mapping[str, Head], tokens: TokenWatch
) -> Iterable[Finding]:
    """Find the tokens of applied environments that end soon, or have ended. An available token decides, if any."""
    latest = tokens.now + timedelta(seconds=tokens.warning_s)
    for one in desired:
        head = documents.get(one.environment)
        if head is None or head.applied is None:
            continue
        available = tokens.fingerprint_of(one)
        known = available.account is not None
        ends_at = available.token_expires_at if known else head.applied.token_expires_at
        if ends_at is None or ends_at > latest:
            continue
        which = "the available token" if known else "the token of the last apply"
        message = (
            f"{which} {'ended' if ends_at <= tokens.now else 'ends'} at {instant(ends_at)}: only a PUT with a new "
            "token changes that"
        )
        yield Finding(one.environment, FindingKind.TOKEN_EXPIRY, None, None, instant(ends_at), message)
