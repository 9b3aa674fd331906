"""A saved or expected plan against the one made now (docs/contract.md#plan)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.planner import CHANGING, LIVE
from reconciler.errors import StalePlan
from reconciler.model import Action, BodyForm, Destination, EnvironmentPlan, Plan, Reason, Where
from reconciler.text.escape import for_terminal

# These depend on the available tokens and secrets, which may differ between the plan and the apply.
CREDENTIAL_REASONS = frozenset({Reason.ACCOUNT_CHANGED, Reason.SECRET_CHANGED})


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The plan of a plan file, without the data that only manifests have."""

    plan: Plan
    intact: bool  # its checksum fits, so it was not edited


def recall_observations(plan: Plan) -> Mapping[str, Observation] | None:
    """Return what was observed when the plan was made, so that it can be made again with it (docs/contract.md#plan)."""
    if not plan.observed:
        return None
    return {
        one.environment: Observation(
            tuple(EventComparison(seen.event, Verdict.DIFFERENT, seen.actual) for seen in one.live),
            failure="it could not be read when the plan was made" if LIVE in one.unchecked else "",
        )
        for one in plan.environments
    }


def check_saved_plan(saved: SavedPlan, fresh: Plan) -> Plan:
    """Return `fresh`, which was made with the saved plan's time, selection and observation, with its decisions.

    Raises StalePlan with each difference.
    """
    moved: list[str] = []
    if not saved.intact:
        moved.append("the plan file was edited after it was saved")
    if saved.plan.manifests_digest != fresh.manifests_digest:
        moved.append("the manifests have changed")
    other_state = _find_other_state(saved.plan.where, fresh.where)
    then = {one.environment: one for one in saved.plan.environments}
    now = {one.environment: one for one in fresh.environments}
    if other_state:
        moved.append(other_state)
    else:  # of another state, each environment would only say the same again
        for name in sorted(then.keys() | now.keys()):
            moved.extend(_find_moves(name, then.get(name), now.get(name)))
    if not moved and saved.plan.digest != fresh.digest:
        moved.append("the plan file was edited: its digest is another")
    if moved:
        listed = "\n".join(f"  {line}" for line in moved[:20])
        more = f"\n  … and {len(moved) - 20} more" if len(moved) > 20 else ""
        raise StalePlan(f"this plan is stale; nothing was sent. Since it was made:\n{listed}{more}\nPlan again.", moved)
    return replace(fresh, environments=tuple(_decided(then, one) for one in fresh.environments))


def _find_other_state(then: Where | None, now: Where | None) -> str | None:
    """Return that the plan was made with another state, which may lack the same documents; both are named."""
    if (then and then.state_id) == (now and now.state_id):
        return None
    was, uses = (for_terminal(one.location) if one else "none" for one in (then, now))
    beside = " in another folder" if was == uses else ""
    return f"the state is another: the plan was made with {was}, this run uses {uses}{beside}"


def _find_moves(name: str, then: EnvironmentPlan | None, now: EnvironmentPlan | None) -> list[str]:
    if then is None:
        return [f"{name}: appeared"]
    if now is None:
        return [f"{name}: is gone"]
    if then.lineage is None and now.lineage is not None:
        return [f"{name}: its state was written for the first time"]
    if then.lineage is not None and now.lineage is None:
        return [f"{name}: its state was forgotten"]
    if then.lineage != now.lineage:
        return [f"{name}: its state was forgotten and made anew (another lineage)"]
    if then.serial != now.serial:
        return [f"{name}: its state was written (serial {then.serial} then, {now.serial} now)"]
    if _destination(then) != _destination(now):
        return [f"{name}: its destination is another"]
    if _urls(then) != _urls(now) or (then.action is Action.ORPHAN) != (now.action is Action.ORPHAN):
        return [f"{name}: its changes are others"]
    changed = set(then.reasons) ^ set(now.reasons)
    if changed - CREDENTIAL_REASONS or not _is_sound(then):
        return [f"{name}: its reasons are others: was it planned with another max_age, or the plan file edited?"]
    return []


def _urls(one: EnvironmentPlan) -> list[tuple[str, str | None, str]]:
    return [(change.event, change.before, change.after) for change in one.changes]


def _destination(one: EnvironmentPlan) -> tuple[Destination | None, str | None, BodyForm | None]:
    return one.destination, one.endpoint_before, one.body_before


def _is_sound(one: EnvironmentPlan) -> bool:
    """Whether action and reasons fit together, which they may not in an edited file."""
    if one.action in (Action.NOOP, Action.ORPHAN):
        return not one.reasons
    expected = Action.REASSERT
    if Reason.NEVER_APPLIED in one.reasons:
        expected = Action.CREATE
    elif not CHANGING.isdisjoint(one.reasons):
        expected = Action.UPDATE
    return bool(one.reasons) and one.action is expected


def _decided(then: Mapping[str, EnvironmentPlan], now: EnvironmentPlan) -> EnvironmentPlan:
    saved = then[now.environment]
    return replace(now, action=saved.action, reasons=saved.reasons, unchecked=saved.unchecked)


def check_expected(digest: str, fresh: Plan) -> None:
    """Check that the plan is the reviewed one (`--expect`): `digest` is its digest, or the fleet's. Raises StalePlan.

    A plan without a create or an update passes, as a reassert only sends again what was approved before; with
    --reassert it passes only where it reasserts nothing.
    """
    changing = (Action.CREATE, Action.UPDATE, *((Action.REASSERT,) if fresh.requested else ()))
    if digest in (fresh.digest, fresh.fleet_digest) or not any(one.action in changing for one in fresh.environments):
        return
    raise StalePlan(
        f"the plan is not the one expected ({digest}): its digest is {fresh.digest}, its fleet_digest "
        f"{fresh.fleet_digest}; nothing was sent. Review the plan above, then run apply with its digest"
    )
