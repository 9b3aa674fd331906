"""What the page's script reads, every text of it as the page shows it.

{"format", "made" (seconds since the epoch), "tool", "store", "observed", "checked", "events": the seven names,
 "standings" and "cells": [[name, word, glyph]], "kinds": {kind: what to do},
 "checks": [[event, url, ok, stage, status, latency_s, addresses, certificate_days, message, warning]],
 "environments": [row]}

A row: [name, description, wave, source, standings, cells, events whose receiver fails, applied, URLs, findings,
        intent, history, checks, unchecked, serial, last try]
 an event is its number in the table of their names, a check its number in the table of checks; URLs are seven texts;
 what isn't there is null
 standings and cells are texts of one digit each, into the tables of their names; a digit of cells for each event
 applied: [at, by, adopted]          finding: [kind, event, expected, actual, message, span]
 intent:  [at, lease until, doubt, by, delta from applied]      history: [[at, by, adopted, delta, moves]]
 moves:   [[name, value]] of endpoint, account and body      last try: [outcome, status, message, at, by]
 by:      [actor, commit, run, commit's address, run's address]      delta: [[event, URL]]
 span:    [start, end, start, end] of the differing part of actual and expected, in characters

The findings `unapplied` of what was never applied are left out: they are the URLs; so is `uncertain` where a run is
still at work.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler import __version__
from reconciler.core.masking import show_document
from reconciler.core.overview import Cell, Overview, Standing, find_failing, summarize_environment
from reconciler.model import (
    EVENTS,
    By,
    Desired,
    Document,
    EnvironmentPlan,
    Finding,
    FindingKind,
    LastTry,
    Plan,
    ReceiverCheck,
    Webhooks,
)
from reconciler.text.escape import for_page
from reconciler.views import words
from reconciler.views.style import find_difference

FORMAT = "reconciler.report/1"
PLACE = {event: place for place, event in enumerate(EVENTS)}

# word and glyph: never colour alone. The glyphs are ones that every system's fonts have.
STANDINGS: Mapping[Standing, tuple[str, str]] = {
    Standing.DOUBT: ("In doubt", "?"),
    Standing.DRIFT: ("Drift", "≠"),
    Standing.FAILING: ("Check fails", "✗"),
    Standing.NEVER: ("Never applied", "+"),
    Standing.ORPHAN: ("Orphan", "×"),
    Standing.LOCKED: ("Locked", "◆"),
    Standing.UNKNOWN: ("Unknown", "○"),
    Standing.SYNC: ("In sync", "✓"),
}
CELLS: Mapping[Cell, tuple[str, str]] = {
    Cell.LIVE: ("Plug holds something else", "!"),
    Cell.DRIFT: ("the manifest differs from what was applied", "≠"),
    Cell.NEVER: ("never applied", "+"),
    Cell.DOUBT: ("in doubt", "?"),
    Cell.BESIDE: ("the text is as applied, other drift beside it", "≈"),
    Cell.ORPHAN: ("in no manifest", "×"),
    Cell.LOCKED: ("a run is at work", "◆"),
    Cell.UNKNOWN: ("unknown, not observable", "○"),
    Cell.SYNC: ("in sync", "✓"),
}
_STANDING_DIGITS = {standing: str(place) for place, standing in enumerate(Standing)}
_CELL_DIGITS = {cell: str(place) for place, cell in enumerate(Cell)}
_COMMIT = re.compile(r"([0-9a-f]{7,64})\+?")
_RUN = re.compile(r"([0-9]+)(?:[/-]([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows. `plan` was made without --reassert; `checked` is None where no results were given."""

    plan: Plan
    desired: Mapping[str, Desired]
    documents: Mapping[str, Document]
    findings: Sequence[Finding]
    store: str  # the `state` setting
    repository: str | None = None  # https://github.com/OWNER/NAME, which commits are linked to
    checked: Sequence[ReceiverCheck] | None = None

    @property
    def made_at(self) -> datetime:
        return self.plan.created_at

    @property
    def observed(self) -> bool:
        """Whether anybody looked at Plug itself: --observe always leaves a finding, as not all seven can be seen."""
        return any(finding.kind in (FindingKind.LIVE, FindingKind.UNOBSERVABLE) for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Seen:
    """One environment, and how it stands."""

    planned: EnvironmentPlan
    desired: Desired | None
    document: Document | None
    findings: Sequence[Finding]
    overview: Overview


def look_at(report: Report) -> list[Seen]:
    """Every environment of the plan, in its order."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        findings[finding.environment].append(finding)
    failing = find_failing(report.checked or ())
    seen = []
    for planned in report.plan.environments:
        name = planned.environment
        desired, document = report.desired.get(name), report.documents.get(name)
        overview = summarize_environment(
            planned, desired, document, findings[name], report.made_at, failing=name in failing
        )
        told = findings[name]
        if Standing.DOUBT not in overview.standings:
            # drift calls every unfinished intent uncertain; here a run at work is locked, and in doubt once it died
            told = [finding for finding in told if finding.kind is not FindingKind.UNCERTAIN]
        seen.append(Seen(planned, desired, document, told, overview))
    return seen


def count_standings(seen: Sequence[Seen]) -> Counter[Standing]:
    return Counter(standing for one in seen for standing in one.overview.standings)


def make_data(report: Report, seen: Sequence[Seen]) -> dict[str, Any]:
    """The data as this module's docstring shows it, but for the rows; what `json.dumps` takes."""
    return {
        "format": FORMAT,
        "made": _seconds(report.made_at),
        "tool": f"reconciler {__version__}",
        "store": for_page(report.store),
        "observed": report.observed,
        "checked": report.checked is not None,
        "events": [event.value for event in EVENTS],
        "standings": [(standing.value, *STANDINGS[standing]) for standing in Standing],
        "cells": [(cell.value, *CELLS[cell]) for cell in Cell],
        "kinds": {kind.value: words.NEXT_FOR_KIND[kind].partition(": ")[2] for kind in FindingKind},
        "checks": [_check(one) for one in report.checked or ()],
    }


def make_rows(report: Report, seen: Sequence[Seen]) -> Iterator[list[Any]]:
    """The rows, one at a time: those of a large fleet together take as much memory as all the rest."""
    checks: dict[str, list[int]] = defaultdict(list)
    for number, checked in enumerate(report.checked or ()):
        for name in checked.environments:
            checks[name].append(number)
    failing = _find_failing_events(report.checked or ())
    for one in seen:
        yield _row(one, report.repository, failing.get(one.planned.environment, ()), checks)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _find_failing_events(checked: Sequence[ReceiverCheck]) -> Mapping[str, Sequence[int]]:
    failing: dict[str, set[int]] = defaultdict(set)
    for one in checked:
        if not one.ok:
            for name in one.environments:
                failing[name].add(PLACE[one.event])
    return {name: sorted(events) for name, events in failing.items()}


def _check(one: ReceiverCheck) -> list[Any]:
    return [
        PLACE[one.event],
        for_page(one.url),
        one.ok,
        one.stage.value,
        one.status,
        one.latency_s,
        for_page(", ".join(one.addresses)),
        one.certificate_days,
        for_page(one.message),
        for_page(one.warning),
    ]


def _by(repository: str | None, by: By) -> list[str | None]:
    return [*map(_shown, (by.actor, by.commit, by.run)), *find_addresses(repository, by)]


def _shown(text: str | None) -> str | None:
    return None if text is None else for_page(text)


def find_addresses(repository: str | None, by: By) -> tuple[str | None, str | None]:
    """Where a commit and a run can be looked at: only what is a commit or a run by its looks, and only on GitHub."""
    commit = run = None
    if repository is not None:
        match = _COMMIT.fullmatch(by.commit) if by.commit is not None else None
        if match is not None:
            commit = f"{repository}/commit/{match[1]}"
        match = _RUN.fullmatch(by.run) if by.run is not None else None
        if match is not None:
            run = f"{repository}/actions/runs/{match[1]}" + (f"/attempts/{match[2]}" if match[2] else "")
    return commit, run


# --- one environment ---------------------------------------------------------------------------------


def _row(one: Seen, repository: str | None, failing: Sequence[int], checks: Mapping[str, Sequence[int]]) -> list[Any]:
    planned, desired = one.planned, one.desired
    document = show_document(one.document, desired) if one.document else None
    applied = document.applied if document else None
    webhooks: Webhooks = desired.webhooks if desired else applied.webhooks if applied else {}
    return [
        for_page(planned.environment),
        _shown(desired.description or None) if desired else None,
        planned.wave,
        for_page(f"{planned.source.file}:{planned.source.line}") if planned.source else None,
        "".join(_STANDING_DIGITS[standing] for standing in one.overview.standings),
        "".join(_CELL_DIGITS[cell] for cell in one.overview.cells),
        list(failing),
        [_seconds(applied.at), _by(repository, applied.by), applied.adopted] if applied else None,
        [_shown(webhooks.get(event)) for event in EVENTS],
        list(_findings(one)),
        _intent(one.document, document, repository) if one.document and document else None,
        [
            [_seconds(entry.at), _by(repository, entry.by), entry.adopted, _delta(entry.webhooks), _moves(moved)]
            for entry, moved in zip(document.history, words.find_moves(document), strict=True)
        ]
        if document
        else [],
        list(checks.get(planned.environment, ())),
        [for_page(item) for item in planned.unchecked],
        planned.serial,
        _last(document.last, repository) if document and document.last else None,
    ]


def _moves(moved: Mapping[str, str]) -> list[list[str]]:
    return [[name, for_page(value)] for name, value in moved.items()]


def _last(last: LastTry, repository: str | None) -> list[Any]:
    return [last.outcome.value, last.status, for_page(last.message), _seconds(last.at), _by(repository, last.by)]


def _delta(webhooks: Webhooks) -> list[list[Any]]:
    return [[PLACE[event], for_page(webhooks[event])] for event in EVENTS if event in webhooks]


def _intent(stored: Document, shown: Document, repository: str | None) -> list[Any] | None:
    """`shown` is `stored` with its URLs as they may be shown. What an intent changes is found in what is stored."""
    if stored.intent is None or shown.intent is None:
        return None
    intent = shown.intent
    applied: Webhooks = stored.applied.webhooks if stored.applied else {}
    changed = {
        event: url for event, url in intent.webhooks.items() if applied.get(event) != stored.intent.webhooks[event]
    }
    return [
        _seconds(intent.at),
        None if intent.lease_until is None else _seconds(intent.lease_until),
        intent.doubt,
        _by(repository, intent.by),
        _delta(changed),
    ]


def _findings(one: Seen) -> Iterator[list[Any]]:
    never = Standing.NEVER in one.overview.standings
    for finding in one.findings:
        if never and finding.kind is FindingKind.UNAPPLIED:
            continue
        expected, actual = _shown(finding.expected), _shown(finding.actual)
        row: list[Any] = [
            finding.kind.value,
            None if finding.event is None else PLACE[finding.event],
            expected,
            actual,
            for_page(finding.message),
        ]
        if expected is not None and actual is not None:
            row.append(_span(actual, expected))
        yield row


def _span(actual: str, expected: str) -> list[int]:
    """Where the two differ; of a masked one nothing is known beyond its host, so nothing is marked there."""
    if actual.endswith("/…"):
        actual = actual.removesuffix("/…")
        scheme, separator, rest = expected.partition("://")
        expected = f"{scheme}{separator}{rest.replace('?', '/').partition('/')[0]}"
    found = find_difference(actual, expected)
    return [*found.before, *found.after]


def describe(finding: Finding) -> str:
    """For the table without JavaScript: what, and the two sides."""
    event = f"{finding.event.value}: " if finding.event else ""
    sides = (("expected", finding.expected), ("actual", finding.actual))
    told = [f"{side} {url}" for side, url in sides if url is not None]
    return f"{event}{finding.message}" + (f" ({'; '.join(told)})" if told else "")
