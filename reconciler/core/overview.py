"""How an environment stands, and each of its seven events: what a page of the fleet shows at a glance.

Nothing is called in sync that wasn't compared: what `--observe` could not see is unknown (docs/contract.md#drift).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.core.fill import secret_names
from reconciler.model import (
    EVENTS,
    Action,
    Desired,
    Document,
    EnvironmentPlan,
    Event,
    Finding,
    FindingKind,
    ReceiverCheck,
)


class Standing(StrEnum):
    """Gravest first; several may hold. `failing` says nothing of the others, `sync` goes with it alone."""

    DOUBT = "doubt"
    DRIFT = "drift"
    FAILING = "failing"  # a receiver that `check` found failing
    NEVER = "never"
    ORPHAN = "orphan"
    LOCKED = "locked"
    UNKNOWN = "unknown"  # --observe saw nothing of it
    SYNC = "sync"


class Cell(StrEnum):
    """How one event stands; the gravest counts."""

    LIVE = "live"  # Plug holds something else than was applied
    DRIFT = "drift"  # the manifest says something else than was applied
    NEVER = "never"
    DOUBT = "doubt"
    BESIDE = "beside"  # the text is as applied, but account, endpoint, secret or age are not
    ORPHAN = "orphan"
    LOCKED = "locked"
    UNKNOWN = "unknown"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Overview:
    """`standings` holds at least one, gravest first; `cells` has the order of `EVENTS`."""

    standings: tuple[Standing, ...]
    cells: tuple[Cell, ...]


BESIDE_THE_TEXT = frozenset({FindingKind.ACCOUNT, FindingKind.ENDPOINT, FindingKind.EXPIRED})


def summarize_environment(
    planned: EnvironmentPlan,
    desired: Desired | None,
    document: Document | None,
    findings: Sequence[Finding],
    now: datetime,
    *,
    failing: bool = False,
) -> Overview:
    """How one environment stands at `now`; `findings` are its own, `desired` is None for an orphan."""
    intent = document.intent if document else None
    locked = intent is not None and intent.is_live(now)
    doubt = intent is not None and (intent.doubt or not locked)
    orphan = planned.action is Action.ORPHAN
    never = not orphan and (document is None or document.applied is None)
    cells = tuple(_find_cells(findings, desired, never=never, doubt=doubt, orphan=orphan, locked=locked))
    holding = {
        Standing.DOUBT: doubt,
        Standing.DRIFT: any(cell in (Cell.LIVE, Cell.DRIFT) for cell in cells) or _drifts_beside(findings),
        Standing.NEVER: never,
        Standing.ORPHAN: orphan,
        Standing.LOCKED: locked,
        Standing.UNKNOWN: _is_unseen(findings),
    }
    holding[Standing.SYNC] = not any(holding.values())
    holding[Standing.FAILING] = failing
    return Overview(tuple(standing for standing in Standing if holding[standing]), cells)


def _drifts_beside(findings: Iterable[Finding]) -> bool:
    beside = BESIDE_THE_TEXT | {FindingKind.SECRET, FindingKind.TOKEN_EXPIRY}
    return any(finding.kind in beside for finding in findings)


def _is_unseen(findings: Iterable[Finding]) -> bool:
    """Whether not one of its events was seen. One of the seven never is (docs/plug-api.md#the-partner-api)."""
    unseen = {finding.event for finding in findings if finding.kind is FindingKind.UNOBSERVABLE}
    return None in unseen or unseen >= set(EVENTS)


def _find_cells(
    findings: Sequence[Finding], desired: Desired | None, *, never: bool, doubt: bool, orphan: bool, locked: bool
) -> Iterable[Cell]:
    of_all = {finding.kind for finding in findings if finding.event is None}
    of_event: dict[Event, set[FindingKind]] = {event: set() for event in EVENTS}
    for finding in findings:
        if finding.event is not None:
            of_event[finding.event].add(finding.kind)
    webhooks: Mapping[Event, str] = desired.webhooks if desired else {}
    for event, kinds in of_event.items():
        beside = bool(of_all & BESIDE_THE_TEXT) or (
            FindingKind.SECRET in of_all and bool(secret_names(webhooks.get(event, "")))
        )
        choices = (
            (Cell.LIVE, FindingKind.LIVE in kinds),
            (Cell.DRIFT, FindingKind.UNAPPLIED in kinds and not never),
            (Cell.NEVER, never),
            (Cell.DOUBT, doubt),
            (Cell.BESIDE, beside),
            (Cell.ORPHAN, orphan),
            (Cell.LOCKED, locked),
            (Cell.UNKNOWN, FindingKind.UNOBSERVABLE in kinds | of_all),
        )
        yield next((cell for cell, holds in choices if holds), Cell.SYNC)


def find_failing(checked: Iterable[ReceiverCheck]) -> Collection[str]:
    """The environments of which a receiver fails."""
    return frozenset(name for one in checked if not one.ok for name in one.environments)
