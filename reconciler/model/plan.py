"""Plans: the changes that an apply would make, and the reasons (docs/contract.md#plan)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from reconciler.model.manifest import BodyForm, Destination, DestinationPart, Event
from reconciler.model.problem import Location
from reconciler.model.where import Where


class Action(StrEnum):
    """The decision for one environment."""

    CREATE = "create"
    UPDATE = "update"
    REASSERT = "reassert"
    NOOP = "noop"
    ORPHAN = "orphan"

    @property
    def puts(self) -> bool:
        """Return whether `apply` PUTs an environment with this action."""
        return self.changes or self is Action.REASSERT

    @property
    def changes(self) -> bool:
        """Return whether a PUT with this action sends something else than what was applied; a reassert does not."""
        return self in (Action.CREATE, Action.UPDATE)


class Reason(StrEnum):
    """The reasons to plan an environment, in the order in which they are listed."""

    NEVER_APPLIED = "never-applied"
    WEBHOOKS_CHANGED = "webhooks-changed"
    UNCERTAIN = "uncertain"
    ENDPOINT_CHANGED = "endpoint-changed"
    ACCOUNT_CHANGED = "account-changed"
    SECRET_CHANGED = "secret-changed"  # noqa: S105 - a reason's name
    EXPIRED = "expired"
    LIVE_DRIFT = "live-drift"
    REQUESTED = "requested"


class Change(Struct, frozen=True):
    """One event whose desired URL differs from the applied one. `before` is None if nothing was applied."""

    event: Event
    before: str | None
    after: str
    source: Location


class DestinationChange(Struct, frozen=True):
    """An endpoint or body form that differs from the applied one. `before` is None if nothing was applied."""

    part: DestinationPart
    before: str | None
    after: str


class LiveDifference(Struct, frozen=True):
    """An event for which Plug holds another URL than the applied one."""

    event: Event
    actual: str | None  # masked if the URL contains a secret; None: nothing is registered
    expected: str | None = None  # what was applied; not part of the saved plan


class EnvironmentPlan(Struct, frozen=True):
    """The plan of one environment."""

    environment: str
    action: Action
    wave: int  # 0 for an orphan
    reasons: tuple[Reason, ...]
    unchecked: tuple[str, ...]  # not compared: "account", "secret:NAME", "live" (a read of --observe that failed)
    source: Location | None  # None for an orphan
    changes: tuple[Change, ...]
    serial: int  # 0 if nothing is stored
    lineage: str | None
    live: tuple[LiveDifference, ...] = ()
    hosts: tuple[str, ...] = ()  # of all seven webhooks that an apply would send, with the port if a URL has one
    destination: Destination | None = None  # None for an orphan
    endpoint_before: str | None = None  # the applied one; None if nothing was applied
    body_before: BodyForm | None = None  # like `endpoint_before`
    overrides: frozenset[DestinationPart] = frozenset()  # those of `Desired`; not part of the saved plan

    @property
    def destination_changes(self) -> tuple[DestinationChange, ...]:
        """The parts of the destination that an update changes; for a create, those that differ from the settings."""
        if self.destination is None:
            return ()
        parts = (
            (DestinationPart.ENDPOINT, self.endpoint_before, self.destination.endpoint),
            (DestinationPart.BODY, self.body_before, self.destination.body),
        )
        return tuple(
            DestinationChange(part, before, after)
            for part, before, after in parts
            if (part in self.overrides if before is None else before != after)
        )


class Shard(Struct, frozen=True):
    """One of `of` parts of the selected environments, by a hash of their names. `number` counts from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Plan(Struct, frozen=True):
    """The plan of all selected environments, sorted by wave and name. `warnings` are shown but never compared.

    `manifests_digest` is over the planned environments, `fleet_digest` over all environments of the manifests,
    selected or not; `digest` is over the creates and updates.
    """

    created_at: datetime
    manifests_digest: str
    fleet_digest: str
    digest: str
    environments: tuple[EnvironmentPlan, ...]
    selection: tuple[str, ...] = ()  # the globs of -e
    requested: bool = False  # --reassert
    observed: bool = False  # --observe
    shard: Shard | None = None  # --shard
    warnings: tuple[str, ...] = ()
    where: Where | None = None  # None only if no state was read
    new_hosts: tuple[str, ...] = ()  # those of `hosts` that no applied record has; empty if nothing was ever applied

    def count_actions(self) -> Counter[Action]:
        return Counter(planned.action for planned in self.environments)


def has_work(plan: Plan) -> bool:
    """Return whether `apply` would PUT anything."""
    return any(planned.action.puts for planned in plan.environments)
