"""The drift of all planned environments (docs/contract.md#drift)."""

from __future__ import annotations

from reconciler.core.drift import TokenWatch, find_drift
from reconciler.core.planner import ACCOUNT, SECRET_PREFIX, Planned
from reconciler.model import Drift
from reconciler.ports import Fingerprinter


def find_all_drift(planned: Planned, credentials: Fingerprinter, *, token_warning_s: float) -> Drift:
    """Return the drift that a plan shows. The plan was made without --reassert.

    A token that ends within `token_warning_s` of the plan's time is drift too.
    """
    plan = planned.plan
    tokens = TokenWatch(plan.created_at, token_warning_s, credentials.fingerprint)
    read = [one for one in planned.observations.values() if one.observable and not one.failure]
    return Drift(
        findings=tuple(find_drift(plan.environments, planned.desired, planned.heads, planned.observations, tokens)),
        where=plan.where,
        observed=len(read) if plan.observed else None,
        accounts_not_compared=sum(1 for one in plan.environments if ACCOUNT in one.unchecked),
        secrets_not_compared=sum(
            1 for one in plan.environments if any(item.startswith(SECRET_PREFIX) for item in one.unchecked)
        ),
        failed=any(one.faults for one in planned.observations.values()),
    )
