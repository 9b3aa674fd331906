"""Digests of what was decided (CONTRACT §5), over canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from reconciler.model import EVENTS, Action, Desired, EnvironmentPlan


def digest_of(value: object) -> str:
    """`sha256:` and the hex digest of the value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def manifests_digest(desired: Iterable[Desired]) -> str:
    """Over the resolved desired: a comment, a description or a moved line doesn't make a plan stale."""
    return digest_of(
        [
            [
                one.environment,
                one.wave,
                one.endpoint,
                one.auth_scheme,
                one.token_env,
                one.account_id,
                [one.webhooks[event] for event in EVENTS],
            ]
            for one in sorted(desired, key=lambda one: one.environment)
        ]
    )


def plan_digest(planned: Iterable[EnvironmentPlan]) -> str:
    """Over the creates and updates alone.

    Reasserts put again what was approved before and depend on tokens and the clock; left out, the plan of
    a pull request and the one on merge that would change the same have the same digest.
    """
    return digest_of(
        [
            [one.environment, [[change.event, change.before, change.after] for change in one.changes]]
            for one in sorted(planned, key=lambda one: one.environment)
            if one.action in (Action.CREATE, Action.UPDATE)
        ]
    )
