"""The state of each environment (docs/state.md). `state/document.py` writes it as JSON."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime

from msgspec import Struct, field

from reconciler.model.manifest import BodyForm, Webhooks
from reconciler.model.result import Outcome


class By(Struct, frozen=True):
    """The user, commit and run of a change. `commit` is a full hash, with a `+` if a file differed from the commit."""

    actor: str | None = None
    commit: str | None = None
    run: str | None = None


class Applied(Struct, frozen=True):
    """The applied record: webhooks that a complete 2xx confirmed, or that the user adopted."""

    endpoint: str
    account: str | None  # "org:…" or "token:…"; None: adopted without the token
    webhooks: Webhooks
    secrets: Mapping[str, str]  # name -> "hmac-sha256:…"
    at: datetime
    by: By
    adopted: bool = False
    body: BodyForm = BodyForm.FLAT
    token_expires_at: datetime | None = None  # None: the token does not say, or it is not known


class Intent(Struct, frozen=True):
    """The note that is written before a PUT. It is live while `now < lease_until`; after that it is in doubt."""

    id: str
    webhooks: Webhooks
    doubt: bool
    at: datetime
    lease_until: datetime | None
    by: By
    endpoint: str | None = None  # None: written by a version that did not record it
    account: str | None = None  # of the token that the PUT is sent with

    def is_live(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until

    def is_in_doubt(self, now: datetime) -> bool:
        """Return whether the effect of its PUT is unknown.

        After its lease an intent is in doubt too, as its run has ended without an outcome.
        """
        return self.doubt or not self.is_live(now)


class HistoryEntry(Struct, frozen=True):
    """An applied record of the history, which includes the latest one, with only the events that it changed.

    `endpoint` and `account` are set if they differ from those of the next newer record. If `endpoint` is None, both
    are those of the next newer record; for the newest entry, those of `applied`. The same rule applies to `body`.
    """

    at: datetime
    by: By
    webhooks: Webhooks
    adopted: bool = False
    endpoint: str | None = None
    account: str | None = None
    body: BodyForm | None = None


class LastTry(Struct, frozen=True):
    """The outcome of the last run that wrote an intent. `message` is in the program's own words."""

    outcome: Outcome
    status: int | None  # of the last answer
    message: str
    at: datetime
    by: By


class Head(Struct, frozen=True):
    """A state document without its history and its last try.

    `lineage` is made once; `serial` grows by one with every write.
    """

    environment: str
    lineage: str
    serial: int
    applied: Applied | None = None
    intent: Intent | None = None

    def is_locked(self, now: datetime) -> bool:
        """Return whether another run's live intent keeps further runs away."""
        return self.intent is not None and self.intent.is_live(now)

    def is_in_doubt(self, now: datetime) -> bool:
        return self.intent is not None and self.intent.is_in_doubt(now)


class Document(Head, frozen=True):
    """The whole state of one environment, as it is written."""

    history: tuple[HistoryEntry, ...] = ()  # newest first, at most 10
    last: LastTry | None = None


class Snapshot(Struct, frozen=True):
    """The versions of all documents of a store at one moment. Only the store that made it can compare it."""

    marks: Mapping[str, Hashable] = field(default_factory=dict)  # by document
    epoch: int | None = None  # changes once another process may have written; None: only the marks show that


class Stored(Struct, frozen=True):
    """A document as it was read. `version` is the store's, which a compare-and-swap compares."""

    document: Document
    version: str


class Original(Struct, frozen=True):
    """A document with its bytes as they are stored, for a copy of it."""

    document: Document
    data: bytes


class Fingerprint(Struct, frozen=True):
    """The available token and secrets in the form that the state may contain: no value can be derived from it.

    `account` is None without a token. `secrets` has those whose value and token are available.
    """

    account: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    token_expires_at: datetime | None = None
