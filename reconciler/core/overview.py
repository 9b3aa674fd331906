"""The standing of an environment and of each of its seven events, for the page that shows the whole fleet.

An event that was not compared is never called in sync: if `--observe` could not see it, it is unknown
(docs/contract.md#drift).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

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
    """The standings of an environment, the most serious first. It may have several; `sync` only with `failing`."""

    DOUBT = "doubt"
    DRIFT = "drift"
    FAILING = "failing"  # a receiver that `check` found failing
    NEVER = "never"
    ORPHAN = "orphan"
    LOCKED = "locked"
    UNKNOWN = "unknown"  # --observe saw none of its events
    SYNC = "sync"


class Cell(StrEnum):
    """The standing of one event: the most serious that applies, in the order of `_find_cells`."""

    LIVE = "live"  # Plug holds another URL than the applied one
    DRIFT = "drift"  # the manifest has another URL than the applied one
    NEVER = "never"
    DOUBT = "doubt"
    BESIDE = "beside"  # the URL is the applied one, but account, endpoint, secret or age are not right
    ORPHAN = "orphan"
    LOCKED = "locked"
    UNKNOWN = "unknown"
    SYNC = "sync"


class Overview(Struct, frozen=True):
    """The standings of an environment, one or more, the most serious first. `cells` has the order of `EVENTS`."""

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
    """Return the standings of one environment at `now`, from its findings. `desired` is None for an orphan."""
    locked = document is not None and document.is_locked(now)
    doubt = document is not None and document.is_in_doubt(now)
    orphan = planned.action is Action.ORPHAN
    never = not orphan and (document is None or document.applied is None)
    cells = tuple(_find_cells(findings, desired, never=never, doubt=doubt, orphan=orphan, locked=locked))
    applies = {
        Standing.DOUBT: doubt,
        Standing.DRIFT: any(cell in (Cell.LIVE, Cell.DRIFT) for cell in cells) or _drifts_beside(findings),
        Standing.NEVER: never,
        Standing.ORPHAN: orphan,
        Standing.LOCKED: locked,
        Standing.UNKNOWN: _is_unseen(findings),
    }
    applies[Standing.SYNC] = not any(applies.values())
    applies[Standing.FAILING] = failing
    return Overview(tuple(standing for standing in Standing if applies[standing]), cells)


def _drifts_beside(findings: Iterable[Finding]) -> bool:
    beside = BESIDE_THE_TEXT | {FindingKind.SECRET, FindingKind.TOKEN_EXPIRY}
    return any(finding.kind in beside for finding in findings)


def _is_unseen(findings: Iterable[Finding]) -> bool:
    """Return whether none of the events was seen. No account shows all seven (docs/plug-api.md#the-partner-api)."""
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
        yield next((cell for cell, applies in choices if applies), Cell.SYNC)


def find_failing(checked: Iterable[ReceiverCheck]) -> Collection[str]:
    """Return the environments that have a failing receiver."""
    return frozenset(name for one in checked if not one.ok for name in one.environments)
