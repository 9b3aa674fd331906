"""Drift: each difference between manifests, state and Plug (CONTRACT §8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.manifest import Event


class FindingKind(StrEnum):
    """The kinds of drift, the most important first."""

    LIVE = "live"
    UNCERTAIN = "uncertain"
    UNAPPLIED = "unapplied"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    SECRET = "secret"  # noqa: S105 - a kind's name
    EXPIRED = "expired"
    ORPHAN = "orphan"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `expected` and `actual` are URLs or other values, as they may be shown."""

    environment: str
    kind: FindingKind
    event: Event | None
    expected: str | None
    actual: str | None
    message: str
