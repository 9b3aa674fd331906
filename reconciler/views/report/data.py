"""The data for the page's script. Every text in it is escaped as the page shows it.

{"format", "made" (seconds since the epoch), "tool", "store", "observed", "checked", "events": the seven names,
 "standings" and "cells": [[name, word, glyph]], "kinds": {kind: what to do},
 "checks": [[event, url, ok, stage, status, latency_s, addresses, certificate_days, message, warning]],
 "environments": [row]}

A row: [name, description, wave, source, standings, cells, events whose receiver fails, applied, URLs, findings,
        intent, history, checks, unchecked, serial, last try]
 an event is its index in `events`, a check its index in `checks`; URLs are seven texts; a missing value is null
 standings and cells are texts of digits, each an index into the table of that name; cells have a digit for each event
 applied: [at, by, adopted]          finding: [kind, event, expected, actual, message, span]
 intent:  [at, lease until, doubt, by, delta from applied]      history: [[at, by, adopted, delta, moves]]
 moves:   [[name, value]] of endpoint, account and body      last try: [outcome, status, message, at, by]
 by:      [actor, commit, run, commit's address, run's address]      delta: [[event, URL]]
 span:    [start, end, start, end] of the differing part of actual and expected, in characters

For an environment that was never applied, the findings `unapplied` are left out, as they only repeat the URLs. The
finding `uncertain` is left out while a run is applying the environment.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

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
EVENT_INDEX = {event: index for index, event in enumerate(EVENTS)}

# A word and a glyph, so that nothing is shown by colour alone. Every system's fonts have these glyphs.
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
_STANDING_DIGITS = {standing: str(index) for index, standing in enumerate(Standing)}
_CELL_DIGITS = {cell: str(index) for index, cell in enumerate(Cell)}
_COMMIT = re.compile(r"([0-9a-f]{7,64})\+?")
_RUN = re.compile(r"([0-9]+)(?:[/-]([0-9]+))?")


class Report(Struct, frozen=True):
    """The input of the page. `plan` was made without --reassert; `checked` is None if no results were given."""

    plan: Plan
    desired: Mapping[str, Desired]
    documents: Mapping[str, Document]
    findings: Sequence[Finding]
    store: str  # the `state` setting
    repository: str | None = None  # https://github.com/OWNER/NAME, for the links to commits and runs
    checked: Sequence[ReceiverCheck] | None = None

    @property
    def made_at(self) -> datetime:
        return self.plan.created_at


class ReportedEnvironment(Struct, frozen=True):
    """One environment with its findings and its overview."""

    planned: EnvironmentPlan
    desired: Desired | None
    document: Document | None
    findings: Sequence[Finding]
    overview: Overview


def collect_environments(report: Report) -> list[ReportedEnvironment]:
    """Return every environment of the plan, in the plan's order."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        findings[finding.environment].append(finding)
    failing = find_failing(report.checked or ())
    collected = []
    for planned in report.plan.environments:
        name = planned.environment
        desired, document = report.desired.get(name), report.documents.get(name)
        overview = summarize_environment(
            planned, desired, document, findings[name], report.made_at, failing=name in failing
        )
        shown = findings[name]
        if Standing.DOUBT not in overview.standings:
            # Drift reports every unfinished intent as uncertain. On the page it is locked while its lease is live.
            shown = [finding for finding in shown if finding.kind is not FindingKind.UNCERTAIN]
        collected.append(ReportedEnvironment(planned, desired, document, shown, overview))
    return collected


def count_standings(reported: Sequence[ReportedEnvironment]) -> Counter[Standing]:
    """Return how many environments have each standing."""
    return Counter(standing for one in reported for standing in one.overview.standings)


def make_data(report: Report) -> dict[str, Any]:
    """Return the data that this module's docstring describes, without the rows, ready for `json.dumps`."""
    return {
        "format": FORMAT,
        "made": _seconds(report.made_at),
        "tool": f"reconciler {__version__}",
        "store": for_page(report.store),
        "observed": report.plan.observed,
        "checked": report.checked is not None,
        "events": [event.value for event in EVENTS],
        "standings": [(standing.value, *STANDINGS[standing]) for standing in Standing],
        "cells": [(cell.value, *CELLS[cell]) for cell in Cell],
        "kinds": {kind.value: words.NEXT_FOR_KIND[kind].partition(": ")[2] for kind in FindingKind},
        "checks": [_check(one) for one in report.checked or ()],
    }


def make_rows(report: Report, reported: Sequence[ReportedEnvironment]) -> Iterator[list[Any]]:
    """Yield the rows one at a time: all rows of a large fleet take as much memory as everything else together."""
    checks: dict[str, list[int]] = defaultdict(list)
    for number, checked in enumerate(report.checked or ()):
        for name in checked.environments:
            checks[name].append(number)
    failing = _find_failing_events(report.checked or ())
    for one in reported:
        yield _row(one, report.repository, failing.get(one.planned.environment, ()), checks)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _find_failing_events(checked: Sequence[ReceiverCheck]) -> Mapping[str, Sequence[int]]:
    failing: dict[str, set[int]] = defaultdict(set)
    for one in checked:
        if not one.ok:
            for name in one.environments:
                failing[name].add(EVENT_INDEX[one.event])
    return {name: sorted(events) for name, events in failing.items()}


def _check(one: ReceiverCheck) -> list[Any]:
    return [
        EVENT_INDEX[one.event],
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
    """Return the addresses of a commit and of a run on GitHub; None for a value that is not of that form."""
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


def _row(
    one: ReportedEnvironment, repository: str | None, failing: Sequence[int], checks: Mapping[str, Sequence[int]]
) -> list[Any]:
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
        [for_page(item) for item in words.not_compared(planned)],
        planned.serial,
        _last(document.last, repository) if document and document.last else None,
    ]


def _moves(moved: Mapping[str, str]) -> list[list[str]]:
    return [[name, for_page(value)] for name, value in moved.items()]


def _last(last: LastTry, repository: str | None) -> list[Any]:
    return [last.outcome.value, last.status, for_page(last.message), _seconds(last.at), _by(repository, last.by)]


def _delta(webhooks: Webhooks) -> list[list[Any]]:
    return [[EVENT_INDEX[event], for_page(webhooks[event])] for event in EVENTS if event in webhooks]


def _intent(stored: Document, shown: Document, repository: str | None) -> list[Any] | None:
    """Return the intent of a document. `shown` is `stored` with its URLs masked.

    The changed events are found in `stored`, as two different URLs may be masked to the same text.
    """
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


def _findings(one: ReportedEnvironment) -> Iterator[list[Any]]:
    never = Standing.NEVER in one.overview.standings
    for finding in one.findings:
        if never and finding.kind is FindingKind.UNAPPLIED:
            continue
        expected, actual = _shown(finding.expected), _shown(finding.actual)
        row: list[Any] = [
            finding.kind.value,
            None if finding.event is None else EVENT_INDEX[finding.event],
            expected,
            actual,
            for_page(finding.message),
        ]
        if expected is not None and actual is not None:
            row.append(_span(actual, expected))
        yield row


def _span(actual: str, expected: str) -> list[int]:
    """Return the span in which the two differ. Behind the host of a masked URL nothing is marked."""
    if actual.endswith("/…"):
        actual = actual.removesuffix("/…")
        scheme, separator, rest = expected.partition("://")
        expected = f"{scheme}{separator}{rest.replace('?', '/').partition('/')[0]}"
    found = find_difference(actual, expected)
    return [*found.before, *found.after]


def describe(finding: Finding) -> str:
    """Return a finding with its expected and actual URL, for the table without JavaScript."""
    event = f"{finding.event.value}: " if finding.event else ""
    sides = (("expected", finding.expected), ("actual", finding.actual))
    urls = [f"{side} {url}" for side, url in sides if url is not None]
    return f"{event}{finding.message}" + (f" ({'; '.join(urls)})" if urls else "")
