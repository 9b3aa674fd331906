"""The parts of environments that a merge changes, and those of them that the plan does not show.

A plan compares the manifests with the state, and shows what an apply would send again. So it does not show the change
of a wave or a pin, nor a URL that the state holds already: a user who may write the state could hide a change there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from reconciler.model import EVENTS, Action, Desired, DestinationPart, EnvironmentPlan, Plan
from reconciler.text.alike import Filled, Rewrite, fold, list_values

PIN = "organization_id"


class PartChange(Struct, frozen=True):
    """One part that differs. A side is None if the environment has no such value there."""

    part: str
    before: str | None
    after: str | None


class EnvironmentChange(Struct, frozen=True):
    """The parts of one environment that differ. `vars` are those of the merge."""

    environment: str
    parts: tuple[PartChange, ...]
    vars: Mapping[str, str]


class PinChange(Struct, frozen=True):
    """An environment whose `organization_id` a merge changes, or removes (`after` is None)."""

    environment: str
    before: str
    after: str | None


class ChangeGroup(Struct, frozen=True):
    """One environment, or more than five whose parts differ in the same way.

    In a group of several, `{environment}` and `{NAME}` are written for the values that differ, which `values` has.
    """

    environments: tuple[str, ...]
    parts: tuple[PartChange, ...]
    values: tuple[Filled, ...] = ()


def list_parts(one: Desired) -> dict[str, str | None]:
    """Return everything that is wanted of an environment, by its name. It is what `manifests_digest` is made of."""
    return {
        **{event.value: one.webhooks[event] for event in EVENTS},
        DestinationPart.ENDPOINT.value: one.endpoint,
        DestinationPart.BODY.value: one.body.value,
        DestinationPart.AUTH_SCHEME.value: one.auth_scheme.value,
        DestinationPart.TOKEN_ENV.value: one.token_env,
        "wave": str(one.wave),
        "account_id": one.account_id,
        PIN: one.organization_id,
    }


def find_unshown(
    before: Iterable[Desired], after: Iterable[Desired], names: Sequence[str], plan: Plan | None
) -> tuple[EnvironmentChange, ...]:
    """Return the parts of the environments `names` that a merge changes, and that the plan does not show.

    Without a plan these are all.
    """
    old, new = ({one.environment: one for one in side} for side in (before, after))
    planned = {} if plan is None else {one.environment: one for one in plan.environments}
    found = []
    for name in names:
        parts = _compare(old.get(name), new[name], planned.get(name))
        if parts:
            found.append(EnvironmentChange(name, parts, new[name].vars))
    return tuple(found)


def _compare(before: Desired | None, after: Desired, planned: EnvironmentPlan | None) -> tuple[PartChange, ...]:
    if before is None and planned is not None and planned.action is Action.CREATE:
        return ()
    old: Mapping[str, str | None] = {} if before is None else list_parts(before)
    shown = _list_shown(planned)
    return tuple(
        PartChange(part, old.get(part), value)
        for part, value in list_parts(after).items()
        if part not in shown and old.get(part) != value
    )


def _list_shown(planned: EnvironmentPlan | None) -> frozenset[str]:
    """Return the parts that the plan of an environment shows: what an apply would change."""
    if planned is None or not planned.action.changes:
        return frozenset()
    shown = [change.event.value for change in planned.changes]
    return frozenset([*shown, *(moved.part.value for moved in planned.destination_changes)])


def find_pin_changes(before: Iterable[Desired], after: Iterable[Desired]) -> tuple[PinChange, ...]:
    """Return the environments that lose the company that they are pinned to, or are pinned to another one, sorted."""
    pins = {one.environment: one.organization_id for one in before}
    changes = []
    for one in sorted(after, key=lambda one: one.environment):
        pin = pins.get(one.environment)
        if pin is not None and pin != one.organization_id:
            changes.append(PinChange(one.environment, pin, one.organization_id))
    return tuple(changes)


def group_changes(changes: Sequence[EnvironmentChange]) -> list[ChangeGroup]:
    """Return every change once, those that are alike as one group."""
    variables = {one.environment: one.vars for one in changes}
    groups = []
    for alike in fold(changes, lambda one: one.environment, _find_likeness, variables):
        names = tuple(sorted(one.environment for one in alike.members))
        first = alike.members[0].parts
        parts = first if len(names) == 1 else tuple(_rewrite(part, alike.rewrite) for part in first)
        texts = [text for part in parts for text in (part.before, part.after) if text is not None]
        groups.append(ChangeGroup(names, parts, list_values(names, texts, variables) if len(names) > 1 else ()))
    return groups


def _find_likeness(change: EnvironmentChange, rewrite: Rewrite) -> tuple[PartChange, ...]:
    return tuple(_rewrite(part, rewrite) for part in change.parts)


def _rewrite(change: PartChange, rewrite: Rewrite) -> PartChange:
    before, after = (None if text is None else rewrite.filled(text) for text in (change.before, change.after))
    return PartChange(change.part, before, after)
