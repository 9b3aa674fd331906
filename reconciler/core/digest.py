"""Digests of what was decided (docs/contract.md#plan), over canonical JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable

from reconciler.model import EVENTS, Action, Desired, Destination, EnvironmentPlan

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether the text has the form of a digest, in the letters in which plans show it."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(value: object) -> str:
    """`sha256:` and the hex digest of the value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def manifests_digest(desired: Iterable[Desired]) -> str:
    """Return the digest of what these environments shall be.

    A comment, a description or a moved line doesn't change it, nor does the state.
    """
    return digest_of(
        [
            [
                one.environment,
                one.wave,
                _destination_out(one.destination),
                one.account_id,
                one.organization_id,
                [one.webhooks[event] for event in EVENTS],
            ]
            for one in sorted(desired, key=lambda one: one.environment)
        ]
    )


def plan_digest(planned: Iterable[EnvironmentPlan]) -> str:
    """Return the digest of the creates and updates.

    Reasserts send again what was approved before, and depend on tokens and the clock. They are left out, so that the
    plan of a pull request and the plan on merge that would change the same have the same digest.
    """
    return digest_of(
        [
            [
                one.environment,
                [[change.event, change.before, change.after] for change in one.changes],
                None if one.destination is None else _destination_out(one.destination),
                one.endpoint_before,
                one.body_before,
            ]
            for one in sorted(planned, key=lambda one: one.environment)
            if one.action in (Action.CREATE, Action.UPDATE)
        ]
    )


def _destination_out(destination: Destination) -> list[str]:
    return [destination.endpoint, destination.body, destination.auth_scheme, destination.token_env]
