"""What the page's script reads: compact, every text visible and kept once.

{"format", "made" (seconds since the epoch), "tool", "store", "observed", "checked", "events": the seven names,
 "standings" and "cells": [[name, word, glyph]], "kinds": {kind: what to do},
 "texts": [template], "sets": [[seven texts]], "deltas": [[event, text, event, text, …]],
 "by": [[actor, commit, run, commit's address, run's address]],
 "checks": [[event, url, ok, stage, status, latency_s, addresses, certificate_days, message, warning]],
 "environments": [row]}

A row: [name, values of the marks, description, wave, source, standings, cells, events whose receiver fails,
        applied, set, findings, intent, history, checks, unchecked, serial]
 texts, sets, deltas, by, checks and events are numbers into their tables; what isn't there is null
 standings and cells are texts of one digit each, into the tables of their names; a digit of cells for each event
 applied: [at, by, adopted]          finding: [kind, event, expected, actual, message, span]
 intent:  [at, lease until, doubt, by, delta from applied]      history: [[at, by, adopted, delta]]
 span:    [start, end, start, end] of the differing part of actual and expected, in characters

The findings `unapplied` of what was never applied are left out: they are the set; so is `uncertain` where a run is
still at work.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    Intent,
    Plan,
    ReceiverCheck,
    Webhooks,
)
from reconciler.views import words
from reconciler.views.report.texts import EnvironmentTexts, Texts, visible
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
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
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
    """The data as this module's docstring shows it; what `json.dumps` takes."""
    tables = _Tables(report.repository)
    checks: dict[str, list[int]] = defaultdict(list)
    for checked in report.checked or ():
        number = tables.check(checked)
        for name in checked.environments:
            checks[name].append(number)
    failing = _find_failing_events(report.checked or ())
    rows = [_row(one, tables, failing.get(one.planned.environment, ()), checks) for one in seen]
    return {
        "format": FORMAT,
        "made": _seconds(report.made_at),
        "tool": f"reconciler {__version__}",
        "store": visible(report.store),
        "observed": report.observed,
        "checked": report.checked is not None,
        "events": [event.value for event in EVENTS],
        "standings": [(standing.value, *STANDINGS[standing]) for standing in Standing],
        "cells": [(cell.value, *CELLS[cell]) for cell in Cell],
        "kinds": {kind.value: words.NEXT_FOR_KIND[kind].partition(": ")[2] for kind in FindingKind},
        "texts": tables.texts.table,
        "sets": list(tables.sets),
        "deltas": list(tables.deltas),
        "by": list(tables.by),
        "checks": tables.checks,
        "environments": rows,
    }


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _find_failing_events(checked: Sequence[ReceiverCheck]) -> Mapping[str, Sequence[int]]:
    failing: dict[str, set[int]] = defaultdict(set)
    for one in checked:
        if not one.ok:
            for name in one.environments:
                failing[name].add(PLACE[one.event])
    return {name: sorted(events) for name, events in failing.items()}


@dataclass
class _Tables:
    """What many environments share."""

    repository: str | None
    texts: Texts = field(default_factory=Texts)
    sets: dict[tuple[int | None, ...], int] = field(default_factory=dict)
    deltas: dict[tuple[int, ...], int] = field(default_factory=dict)
    by: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    checks: list[list[Any]] = field(default_factory=list)

    def set(self, numbers: tuple[int | None, ...]) -> int:
        return self.sets.setdefault(numbers, len(self.sets))

    def delta(self, numbers: tuple[int, ...]) -> int:
        return self.deltas.setdefault(numbers, len(self.deltas))

    def who(self, by: By) -> int:
        commit, run = find_addresses(self.repository, by)
        shown = (*(None if text is None else visible(text) for text in (by.actor, by.commit, by.run)), commit, run)
        return self.by.setdefault(shown, len(self.by))

    def check(self, one: ReceiverCheck) -> int:
        self.checks.append(
            [
                PLACE[one.event],
                visible(one.url),
                one.ok,
                one.stage.value,
                one.status,
                one.latency_s,
                visible(", ".join(one.addresses)),
                one.certificate_days,
                visible(one.message),
                visible(one.warning),
            ]
        )
        return len(self.checks) - 1


def find_addresses(repository: str | None, by: By) -> tuple[str | None, str | None]:
    """Where a commit and a run can be looked at: only what is a commit or a run by its looks, and only on GitHub."""
    commit = run = None
    if repository is not None:
        if by.commit is not None and _COMMIT.fullmatch(by.commit):
            commit = f"{repository}/commit/{by.commit}"
        match = _RUN.fullmatch(by.run) if by.run is not None else None
        if match is not None:
            run = f"{repository}/actions/runs/{match[1]}" + (f"/attempts/{match[2]}" if match[2] else "")
    return commit, run


# --- one environment ---------------------------------------------------------------------------------


def _row(one: Seen, tables: _Tables, failing: Sequence[int], checks: Mapping[str, Sequence[int]]) -> list[Any]:
    planned, desired = one.planned, one.desired
    document = show_document(one.document, desired) if one.document else None
    name = planned.environment
    texts = tables.texts.of(name, desired.vars if desired else {})
    applied = document.applied if document else None
    webhooks: Webhooks = desired.webhooks if desired else applied.webhooks if applied else {}
    described = texts.number(desired.description) if desired is not None and desired.description else None
    source = texts.number(f"{planned.source.file}:{planned.source.line}") if planned.source else None
    chosen = tables.set(tuple(texts.number(webhooks[event]) if event in webhooks else None for event in EVENTS))
    findings = list(_findings(one, texts))
    intent = (
        _intent(one.document, document.intent, tables, texts) if one.document and document and document.intent else None
    )
    history = [
        [_seconds(entry.at), tables.who(entry.by), entry.adopted, _delta(entry.webhooks, tables, texts)]
        for entry in (document.history if document else ())
    ]
    return [
        visible(name),
        texts.values,
        described,
        planned.wave,
        source,
        "".join(_STANDING_DIGITS[standing] for standing in one.overview.standings),
        "".join(_CELL_DIGITS[cell] for cell in one.overview.cells),
        list(failing),
        [_seconds(applied.at), tables.who(applied.by), applied.adopted] if applied else None,
        chosen,
        findings,
        intent,
        history,
        list(checks.get(name, ())),
        [visible(item) for item in planned.unchecked],
        planned.serial,
    ]


def _delta(webhooks: Webhooks, tables: _Tables, texts: EnvironmentTexts) -> int:
    numbers: list[int] = []
    for event in EVENTS:
        if event in webhooks:
            numbers += (PLACE[event], texts.number(webhooks[event]))
    return tables.delta(tuple(numbers))


def _intent(document: Document, intent: Intent, tables: _Tables, texts: EnvironmentTexts) -> list[Any]:
    """`intent` is the document's as it may be shown; what it changes is told by what it holds."""
    held: Webhooks = document.intent.webhooks if document.intent else {}
    applied: Webhooks = document.applied.webhooks if document.applied else {}
    changed = {event: url for event, url in intent.webhooks.items() if applied.get(event) != held[event]}
    return [
        _seconds(intent.at),
        None if intent.lease_until is None else _seconds(intent.lease_until),
        intent.doubt,
        tables.who(intent.by),
        _delta(changed, tables, texts),
    ]


def _findings(one: Seen, texts: EnvironmentTexts) -> Iterator[list[Any]]:
    never = Standing.NEVER in one.overview.standings
    for finding in one.findings:
        if never and finding.kind is FindingKind.UNAPPLIED:
            continue
        expected, actual = finding.expected, finding.actual
        row: list[Any] = [
            finding.kind.value,
            None if finding.event is None else PLACE[finding.event],
            None if expected is None else texts.number(expected),
            None if actual is None else texts.number(actual),
            texts.number(finding.message),
        ]
        if expected is not None and actual is not None:
            row.append(_span(visible(actual), visible(expected)))
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
