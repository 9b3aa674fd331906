"""Drift: each difference between manifests, state and Plug (docs/contract.md#drift)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from reconciler.model.manifest import Event
from reconciler.model.where import Where


class FindingKind(StrEnum):
    """The kinds of drift, the most important first."""

    LIVE = "live"
    UNCERTAIN = "uncertain"
    UNAPPLIED = "unapplied"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    SECRET = "secret"  # noqa: S105 - a kind's name
    EXPIRED = "expired"
    TOKEN_EXPIRY = "token-expiry"  # noqa: S105 - a kind's name
    ORPHAN = "orphan"
    UNOBSERVABLE = "unobservable"

    @property
    def is_drift(self) -> bool:
        """Return whether it is a difference: `unobservable` only says that what Plug holds is not known."""
        return self is not FindingKind.UNOBSERVABLE


FINDING_ORDER = {kind: index for index, kind in enumerate(FindingKind)}


class Finding(Struct, frozen=True):
    """One difference. `expected` and `actual` are URLs or other values, as they may be shown."""

    environment: str
    kind: FindingKind
    event: Event | None
    expected: str | None
    actual: str | None
    message: str


class Drift(Struct, frozen=True):
    """The drift of the planned environments, and how much was compared.

    `observed` counts the accounts that --observe read; None: Plug was not read. `accounts_not_compared` counts the
    environments whose token was not available, `secrets_not_compared` those with a secret that was not. `failed`: a
    read of --observe failed.
    """

    findings: tuple[Finding, ...]
    where: Where | None = None
    observed: int | None = None
    accounts_not_compared: int = 0
    secrets_not_compared: int = 0
    failed: bool = False
