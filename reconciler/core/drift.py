"""Whatever differs between manifests, state and what Plug shows, as findings (CONTRACT §8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.core.masking import find_secretive, mask_url
from reconciler.core.observe import Observation, find_live_findings
from reconciler.model import Action, Desired, DestinationPart, EnvironmentPlan, Finding, FindingKind, Head, Reason

_MOVED = {
    DestinationPart.ENDPOINT: "applied through another endpoint than the one configured",
    DestinationPart.BODY: "applied with another form of body than the one configured",
}
ORDER = {kind: place for place, kind in enumerate(FindingKind)}


def find_drift(
    planned: Iterable[EnvironmentPlan],
    desired: Mapping[str, Desired],
    documents: Mapping[str, Head],
    observations: Mapping[str, Observation] | None = None,
) -> list[Finding]:
    """The findings of a plan that was not asked to reassert, ordered by what matters, then by name.

    `observations` are those of --observe; without them nothing is said of what Plug holds.
    """
    findings = [
        finding
        for one in planned
        for finding in _findings_of(one, desired.get(one.environment), documents.get(one.environment))
    ]
    for name, observation in (observations or {}).items():
        findings.extend(find_live_findings(name, observation, desired.get(name), documents.get(name)))
    return sorted(findings, key=lambda finding: (ORDER[finding.kind], finding.environment))


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
        since = document.intent.at.isoformat().replace("+00:00", "Z") if document and document.intent else "?"
        message = f"nobody knows whether the PUT begun at {since} changed Plug"
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
        at = applied.at.isoformat().replace("+00:00", "Z")
        return Finding(name, FindingKind.EXPIRED, None, None, None, f"last applied at {at}, longer ago than max_age")
    return None
