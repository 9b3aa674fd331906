"""What is remembered of each environment (CONTRACT §7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.manifest import Webhooks


@dataclass(frozen=True, slots=True)
class By:
    """Who did it: GITHUB_ACTOR, GITHUB_SHA, run id and attempt, else the login name and git."""

    actor: str | None = None
    commit: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a complete 2xx confirmed, or what a person adopted."""

    endpoint: str
    account: str | None  # "org:…" or "token:…"; None: adopted without the token at hand
    webhooks: Webhooks
    secrets: Mapping[str, str]  # name -> "hmac-sha256:…"
    at: datetime
    by: By
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before a PUT. Live while `now < lease_until`; otherwise nobody knows what its PUT did."""

    id: str
    webhooks: Webhooks
    doubt: bool
    at: datetime
    lease_until: datetime | None
    by: By

    def is_live(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until

    def is_in_doubt(self, now: datetime) -> bool:
        """Whether nobody knows what its PUT did. One whose lease has run out is in doubt too: its run died."""
        return self.doubt or not self.is_live(now)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One applied record of the past (the latest included), with only the events it changed."""

    at: datetime
    by: By
    webhooks: Webhooks
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What decides of an environment's state: all but its past. `lineage` is made once; `serial` grows by one with
    every write."""

    environment: str
    lineage: str
    serial: int
    applied: Applied | None = None
    intent: Intent | None = None

    def is_locked(self, now: datetime) -> bool:
        """Whether another run's live intent keeps further runs away."""
        return self.intent is not None and self.intent.is_live(now)

    def is_in_doubt(self, now: datetime) -> bool:
        return self.intent is not None and self.intent.is_in_doubt(now)


@dataclass(frozen=True, slots=True)
class Document(Head):
    """The state of one environment, whole, as it is written."""

    history: tuple[HistoryEntry, ...] = ()  # newest first, at most 10


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as read, with the store's own version of it: what a compare-and-swap compares."""

    document: Document
    version: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a token and secrets at hand look like in the state: nothing can be guessed back from it.

    `account` is None when no token is at hand; `secrets` holds those whose value and token are.
    """

    account: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
