"""The comparison of a saved or expected plan with the one made now (docs/contract.md#plan)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.core.planner import LIVE, choose_action
from reconciler.errors import StalePlan
from reconciler.model import Action, BodyForm, Destination, EnvironmentPlan, Plan, Reason, Where
from reconciler.text.escape import for_terminal

# these depend on the available tokens and secrets, which may differ between the plan and the apply
CREDENTIAL_REASONS = frozenset({Reason.ACCOUNT_CHANGED, Reason.SECRET_CHANGED})


class SavedPlan(Struct, frozen=True):
    """The plan of a plan file, without the data that only manifests have."""

    plan: Plan
    intact: bool  # its checksum fits, so it was not edited


def recall_observations(plan: Plan) -> Mapping[str, Observation] | None:
    """Return the observations of a saved plan, with which it can be made again (docs/contract.md#plan)."""
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
    """Return `fresh` with the decisions of the saved plan, whose time, selection and observations it was made with.

    Raises StalePlan with each difference.
    """
    differences: list[str] = []
    if not saved.intact:
        differences.append("the plan file was edited after it was saved")
    if saved.plan.manifests_digest != fresh.manifests_digest:
        differences.append("the manifests have changed")
    other_state = _find_other_state(saved.plan.where, fresh.where)
    then = {one.environment: one for one in saved.plan.environments}
    now = {one.environment: one for one in fresh.environments}
    if other_state:
        differences.append(other_state)
    else:  # with another state, every environment differs for the same reason
        for name in sorted(then.keys() | now.keys()):
            differences.extend(_find_differences(name, then.get(name), now.get(name)))
    if not differences and saved.plan.digest != fresh.digest:
        differences.append("the plan file was edited: its digest differs")
    if differences:
        listed = "\n".join(f"  {line}" for line in differences[:20])
        more = f"\n  … and {len(differences) - 20} more" if len(differences) > 20 else ""
        raise StalePlan(
            f"this plan is stale; nothing was sent. Since it was made:\n{listed}{more}\nPlan again.", differences
        )
    return replace(fresh, environments=tuple(_with_decision(then, one) for one in fresh.environments))


def _find_other_state(then: Where | None, now: Where | None) -> str | None:
    """Return a line that names both states if the plan was made with another one, even if neither has a document."""
    if (then and then.state_id) == (now and now.state_id):
        return None
    was, uses = (for_terminal(one.location) if one else "none" for one in (then, now))
    beside = " in another folder" if was == uses else ""
    return f"another state is used: the plan was made with {was}, this run uses {uses}{beside}"


def _find_differences(name: str, then: EnvironmentPlan | None, now: EnvironmentPlan | None) -> list[str]:
    if then is None:
        return [f"{name}: is new"]
    if now is None:
        return [f"{name}: is gone"]
    if then.lineage is None and now.lineage is not None:
        return [f"{name}: its state was written for the first time"]
    if then.lineage is not None and now.lineage is None:
        return [f"{name}: its state was forgotten"]
    if then.lineage != now.lineage:
        return [f"{name}: its state was forgotten and created again (another lineage)"]
    if then.serial != now.serial:
        return [f"{name}: its state was written (serial {then.serial} then, {now.serial} now)"]
    if _destination(then) != _destination(now):
        return [f"{name}: its destination differs"]
    if _urls(then) != _urls(now) or (then.action is Action.ORPHAN) != (now.action is Action.ORPHAN):
        return [f"{name}: its changes differ"]
    changed = set(then.reasons) ^ set(now.reasons)
    if changed - CREDENTIAL_REASONS or not _is_sound(then):
        return [f"{name}: its reasons differ: was it planned with another max_age, or the plan file edited?"]
    return []


def _urls(one: EnvironmentPlan) -> list[tuple[str, str | None, str]]:
    return [(change.event, change.before, change.after) for change in one.changes]


def _destination(one: EnvironmentPlan) -> tuple[Destination | None, str | None, BodyForm | None]:
    return one.destination, one.endpoint_before, one.body_before


def _is_sound(one: EnvironmentPlan) -> bool:
    """Return whether the action follows from the reasons; in an edited file it may not."""
    if one.action is Action.ORPHAN:
        return not one.reasons
    return one.action is choose_action(one.reasons)


def _with_decision(then: Mapping[str, EnvironmentPlan], now: EnvironmentPlan) -> EnvironmentPlan:
    saved = then[now.environment]
    return replace(now, action=saved.action, reasons=saved.reasons, unchecked=saved.unchecked)


def check_expected(digest: str, fresh: Plan) -> None:
    """Check that the plan is the reviewed one (`--expect`): `digest` is its digest, or the fleet's. Raises StalePlan.

    A plan without a create or an update passes, as a reassert only sends again what was approved before; with
    --reassert it passes only where it reasserts nothing.
    """
    needs_review = any(one.action.changes or (one.action.puts and fresh.requested) for one in fresh.environments)
    if digest in (fresh.digest, fresh.fleet_digest) or not needs_review:
        return
    raise StalePlan(
        f"the plan is not the one expected ({digest}): its digest is {fresh.digest}, its fleet_digest "
        f"{fresh.fleet_digest}; nothing was sent. Review the plan above, then run apply with its digest"
    )
