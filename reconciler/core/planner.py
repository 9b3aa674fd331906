"""The plan, made from the desired and the applied webhooks and the available credentials.

It is pure: the same input gives the same plan.

See docs/contract.md#plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

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
from reconciler.text.counts import name_some, number
from reconciler.text.instants import is_in_future

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

_CHANGING = frozenset({Reason.WEBHOOKS_CHANGED, Reason.ENDPOINT_CHANGED})  # the reasons that make an update
# the entries of a plan's `unchecked`: an account, a secret (with its name behind the prefix), a read of --observe
ACCOUNT = "account"
SECRET_PREFIX = "secret:"  # noqa: S105 - names' beginning
LIVE = "live"


class PlanInput(Struct, frozen=True):
    """The inputs that all environments share. `now` is the time of the plan, aware UTC."""

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
    """Return what `apply` would do with one environment, and all reasons for it, in the order of `Reason`.

    `observation` is that of --observe. It may add a reason but removes none, as not all seven events can be seen.
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
        differing, unchecked = _compare_record(desired, applied, fingerprint, given)
        reasons.extend(differing)
    if live:
        reasons.append(Reason.LIVE_DRIFT)
    if observation is not None and observation.faults:
        unchecked = (*unchecked, LIVE)
    if given.requested:
        reasons.append(Reason.REQUESTED)
    action = choose_action(reasons)
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
    if observation is None:
        return ()
    from reconciler.core.observe import find_live  # late, as few plans observe

    return find_live(observation, desired, document)


def choose_action(reasons: Collection[Reason]) -> Action:
    """Return `create` if it was never applied, `update` for a changed URL or destination, else `reassert` or `noop`.

    It is `reassert` if there is any reason.
    """
    if Reason.NEVER_APPLIED in reasons:
        return Action.CREATE
    if not _CHANGING.isdisjoint(reasons):
        return Action.UPDATE
    return Action.REASSERT if reasons else Action.NOOP


def _compare_record(
    desired: Desired, applied: Applied, fingerprint: Fingerprint, given: PlanInput
) -> tuple[list[Reason], tuple[str, ...]]:
    """Return the reasons other than changed URLs, and what was not compared, as a token or secret is missing."""
    reasons: list[Reason] = []
    unchecked: list[str] = []
    if (applied.endpoint, applied.body) != (desired.endpoint, desired.body):
        reasons.append(Reason.ENDPOINT_CHANGED)
    if fingerprint.account is None or applied.account is None:
        unchecked.append(ACCOUNT)
    elif fingerprint.account != applied.account:
        reasons.append(Reason.ACCOUNT_CHANGED)
    secret_changed = False
    for name in desired.secrets:
        available, recorded = fingerprint.secrets.get(name), applied.secrets.get(name)
        if available is None or recorded is None:
            unchecked.append(f"{SECRET_PREFIX}{name}")
        elif available != recorded:
            secret_changed = True
    if secret_changed:
        reasons.append(Reason.SECRET_CHANGED)
    if given.max_age_s is not None and given.now - applied.at > timedelta(seconds=given.max_age_s):
        reasons.append(Reason.EXPIRED)
    return reasons, tuple(unchecked)


def share_texts(head: Head, desired: Desired | None) -> Head:
    """Return an equal head that has the webhooks of `desired` itself if they are applied.

    In most plans most environments are unchanged, and a large fleet's webhooks take more memory than all else.
    """
    applied = head.applied
    if desired is None or applied is None or applied.webhooks != desired.webhooks:
        return head
    endpoint = desired.endpoint if applied.endpoint == desired.endpoint else applied.endpoint
    return replace(
        head,
        environment=desired.environment,
        applied=replace(applied, webhooks=desired.webhooks, endpoint=endpoint),
    )


def describe_future_records(names: Iterable[str], heads: Mapping[str, Head], now: datetime) -> tuple[str, ...]:
    """Return a warning if records of these environments are from the future: max_age does not reach them."""
    found = ((name, heads[name].applied) for name in names if name in heads)
    future = sorted(name for name, applied in found if applied is not None and is_in_future(applied.at, now))
    if not future:
        return ()
    subject = f"{future[0]} was" if len(future) == 1 else f"{number(len(future))} environments were"
    named = "" if len(future) == 1 else f" ({name_some(future)})"
    return (
        f"{subject} last applied in the future{named}: the clock of that run was wrong, or this one is. With max_age "
        "this is not sent again before then; `reconciler apply --reassert` with -e sends it and records the time",
    )


def plan_orphan(document: Head) -> EnvironmentPlan:
    """Return the plan of an environment in the state without a manifest: it is reported and never changed."""
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
    """Return the plan of the selected environments. Documents without a `desired` environment are orphans.

    `fleet` has all environments of the manifests; None: `desired` has all of them. `observations` are those of
    --observe; None without it.
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


class Fleet(Struct, frozen=True):
    """The data of the whole fleet, selected or not, for guards. `heads` has all documents, orphans included.

    `manifests` has the names of all environments in the manifests. `unreadable` says why a document outside of the
    selection can't be read.
    """

    manifests: frozenset[str] = frozenset()
    heads: Mapping[str, Head] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    desired: Mapping[str, Desired] = field(default_factory=dict)  # of the whole manifests

    @property
    def applied_count(self) -> int:
        """The number of environments in the manifests with an applied record, the base of percentages."""
        heads = (self.heads.get(name) for name in self.manifests)
        return sum(1 for head in heads if head is not None and head.applied is not None)


class Planned(Struct, frozen=True):
    """A plan and the data that it was made from. `desired` and `heads` have the selected environments."""

    plan: Plan
    desired: Mapping[str, Desired]
    heads: Mapping[str, Head]
    observations: Mapping[str, Observation] = field(default_factory=dict)  # of --observe
    documents: Mapping[str, Document] = field(default_factory=dict)  # the heads' whole documents, if asked for
    fleet: Fleet = field(default_factory=Fleet)

    @property
    def vars_by_environment(self) -> Mapping[str, Mapping[str, str]]:
        """The values that were filled into the URLs, with which views group environments that are alike."""
        return {name: one.vars for name, one in self.desired.items()}
