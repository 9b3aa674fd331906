"""Desired, applied and the available credentials -> a plan. Pure: the same input, the same plan.

See docs/contract.md#plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from reconciler.core.changes import make_changes
from reconciler.core.digest import manifests_digest, plan_digest
from reconciler.core.groups import find_new_hosts
from reconciler.core.host_uses import find_hosts
from reconciler.model import (
    Action,
    Applied,
    Desired,
    Document,
    EnvironmentPlan,
    Fingerprint,
    Head,
    LiveDifference,
    Plan,
    Reason,
    Shard,
    Snapshot,
)

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

CHANGING = frozenset({Reason.WEBHOOKS_CHANGED, Reason.ENDPOINT_CHANGED})  # the reasons that make an update
LIVE = "live"  # `unchecked` of an environment whose account was to be read, and could not be


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What every environment's plan is made with. `now` is the plan's clock, aware UTC."""

    now: datetime
    max_age_s: float | None = None
    requested: bool = False  # --reassert


def plan_environment(
    desired: Desired,
    document: Head | None,
    fingerprint: Fingerprint,
    given: PlanInput,
    observation: Observation | None = None,
) -> EnvironmentPlan:
    """Return what `apply` would do with one environment, and all reasons that hold, in the contract's order.

    `observation` is that of --observe. It adds a reason and removes none, as not all seven can be seen.
    """
    applied = document.applied if document else None
    live = _find_live(observation, desired, document)
    changes = make_changes(desired, applied.webhooks if applied else None)
    reasons: list[Reason] = []
    unchecked: tuple[str, ...] = ()
    if applied is None:
        reasons.append(Reason.NEVER_APPLIED)
    elif changes:
        reasons.append(Reason.WEBHOOKS_CHANGED)
    if document is not None and document.intent is not None:
        reasons.append(Reason.UNCERTAIN)
    if applied is not None:
        differing, unchecked = compare_record(desired, applied, fingerprint, given)
        reasons.extend(differing)
    if live:
        reasons.append(Reason.LIVE_DRIFT)
    if observation is not None and observation.faults:
        unchecked = (*unchecked, LIVE)
    if given.requested:
        reasons.append(Reason.REQUESTED)
    action = choose_action(applied, reasons)
    return EnvironmentPlan(
        environment=desired.environment,
        action=action,
        wave=desired.wave,
        reasons=tuple(reasons),
        unchecked=unchecked,
        source=desired.source,
        changes=changes,
        serial=document.serial if document else 0,
        lineage=document.lineage if document else None,
        live=live,
        hosts=find_hosts(desired.webhooks.values()) if action.puts else (),
        destination=desired.destination,
        endpoint_before=applied.endpoint if applied else None,
        body_before=applied.body if applied else None,
        overrides=desired.overrides,
    )


def _find_live(observation: Observation | None, desired: Desired, document: Head | None) -> tuple[LiveDifference, ...]:
    if observation is None or document is None or document.applied is None:
        return ()
    from reconciler.core.observe import find_live  # late, as few plans observe

    return find_live(observation, desired, document)


def choose_action(applied: Applied | None, reasons: Sequence[Reason]) -> Action:
    """Return `create` without an applied record, else `update` where a text or the destination differs."""
    if applied is None:
        return Action.CREATE
    if not CHANGING.isdisjoint(reasons):
        return Action.UPDATE
    return Action.REASSERT if reasons else Action.NOOP


def compare_record(
    desired: Desired, applied: Applied, fingerprint: Fingerprint, given: PlanInput
) -> tuple[list[Reason], tuple[str, ...]]:
    """The reasons beside the texts, and what could not be compared for want of a token or a secret."""
    reasons: list[Reason] = []
    unchecked: list[str] = []
    if (applied.endpoint, applied.body) != (desired.endpoint, desired.body):
        reasons.append(Reason.ENDPOINT_CHANGED)
    if fingerprint.account is None or applied.account is None:
        unchecked.append("account")
    elif fingerprint.account != applied.account:
        reasons.append(Reason.ACCOUNT_CHANGED)
    secret_changed = False
    for name in desired.secrets:
        at_hand, recorded = fingerprint.secrets.get(name), applied.secrets.get(name)
        if at_hand is None or recorded is None:
            unchecked.append(f"secret:{name}")
        elif at_hand != recorded:
            secret_changed = True
    if secret_changed:
        reasons.append(Reason.SECRET_CHANGED)
    if given.max_age_s is not None and given.now - applied.at > timedelta(seconds=given.max_age_s):
        reasons.append(Reason.EXPIRED)
    return reasons, tuple(unchecked)


def plan_orphan(document: Head) -> EnvironmentPlan:
    """In the state, in no manifest: reported, never touched."""
    return EnvironmentPlan(
        environment=document.environment,
        action=Action.ORPHAN,
        wave=0,
        reasons=(),
        unchecked=(),
        source=None,
        changes=(),
        serial=document.serial,
        lineage=document.lineage,
        endpoint_before=document.applied.endpoint if document.applied else None,
        body_before=document.applied.body if document.applied else None,
    )


def make_plan(
    desired: Iterable[Desired],
    documents: Mapping[str, Head],
    fingerprint_of: Callable[[Desired], Fingerprint],
    given: PlanInput,
    *,
    fleet: Sequence[Desired] | None = None,
    selection: tuple[str, ...] = (),
    shard: Shard | None = None,
    observations: Mapping[str, Observation] | None = None,
    warnings: tuple[str, ...] = (),
) -> Plan:
    """Return the plan of the selected environments; `documents` beyond `desired` are orphans.

    `fleet` has all environments of the manifests; None: `desired` has them. `observations` are those of --observe;
    None: it was not asked for.
    """
    wanted = tuple(desired)
    observed = observations or {}
    planned = [
        plan_environment(one, documents.get(one.environment), fingerprint_of(one), given, observed.get(one.environment))
        for one in wanted
    ]
    known = {one.environment for one in wanted}
    planned += [plan_orphan(document) for name, document in documents.items() if name not in known]
    planned.sort(key=lambda one: (one.wave, one.environment))
    digest = manifests_digest(wanted)
    return Plan(
        created_at=given.now,
        manifests_digest=digest,
        fleet_digest=digest if fleet is None or len(fleet) == len(wanted) else manifests_digest(fleet),
        digest=plan_digest(planned),
        environments=tuple(planned),
        selection=selection,
        requested=given.requested,
        observed=observations is not None,
        shard=shard,
        warnings=warnings,
        new_hosts=find_new_hosts(planned, documents.values()),
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """What guards decide over, whatever was selected: the heads of all documents, orphans included.

    `manifests` has the names of all environments in the manifests, and `unseen` says of a document beside the
    selection why it can't be read.
    """

    manifests: frozenset[str] = frozenset()
    heads: Mapping[str, Head] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    desired: Mapping[str, Desired] = field(default_factory=dict)  # of the whole manifests

    @property
    def applied_count(self) -> int:
        """How many environments of the manifests have an applied record: percentages are taken of them."""
        heads = (self.heads.get(name) for name in self.manifests)
        return sum(1 for head in heads if head is not None and head.applied is not None)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan beside what it was made from; `desired` and `heads` hold the selected environments."""

    plan: Plan
    desired: Mapping[str, Desired]
    heads: Mapping[str, Head]
    observations: Mapping[str, Observation] = field(default_factory=dict)  # of --observe
    documents: Mapping[str, Document] = field(default_factory=dict)  # the heads' whole documents, where asked for
    fleet: Fleet = field(default_factory=Fleet)

    @property
    def vars_by_environment(self) -> Mapping[str, Mapping[str, str]]:
        """What was filled into the URLs: views fold alike environments by it."""
        return {name: one.vars for name, one in self.desired.items()}
