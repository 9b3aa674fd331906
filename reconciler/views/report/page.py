"""The page: template, style, script and data in one file that fetches nothing (docs/contract.md#what-no-output-does).

Its Content-Security-Policy allows only this style and this script, by their hashes. The data is not a script: it is
packed JSON, which the script shows with `textContent`; trusted types forbid the script any other way. The page is
ASCII, so that every encoding of stdout leaves it intact.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.core.overview import Cell, Standing
from reconciler.model import EVENTS
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_html
from reconciler.text.instants import age, instant
from reconciler.text.new_state import describe_new_state
from reconciler.views import words
from reconciler.views.report.data import (
    CELLS,
    STANDINGS,
    Report,
    ReportedEnvironment,
    collect_environments,
    count_standings,
    describe,
    make_data,
    make_rows,
)
from reconciler.views.where_words import describe_apis, describe_state

if TYPE_CHECKING:
    from jinja2 import Template

SMALL_FLEET = 200  # environments; the table without JavaScript shows all of a fleet that is not larger
MAX_LISTED = 500  # environments in that table; the others are counted
MAX_WARNINGS = 50
FINDINGS_LISTED = 12  # of one environment in that table
BAR_WIDTH = 1000
_GRAVITY = {standing: index for index, standing in enumerate(Standing)}


def render_report(report: Report) -> str:
    """Return the whole page."""
    reported = collect_environments(report)
    count = count_standings(reported)
    style, script = _read("page.css"), _read("page.js")
    is_small = len(reported) <= SMALL_FLEET
    listed = [one for one in reported if is_small or one.overview.standings != (Standing.SYNC,)]
    listed.sort(key=lambda one: _GRAVITY[one.overview.standings[0]])
    where = report.plan.where
    page = _template().render(
        policy=make_policy(style, script),
        style=_as_is(style),
        script=_as_is(script),
        data=_as_is(_pack(make_data(report), make_rows(report, reported))),
        headline=_headline(count, len(reported)),
        made=instant(report.made_at),
        made_shown=f"{report.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        state=report.store if where is None else describe_state(where, str),
        apis=None if where is None or not where.apis else describe_apis(where.apis, str),
        tool=f"reconciler {__version__}",
        selection=report.plan.selection,
        total=len(reported),
        tiles=[(standing, *STANDINGS[standing], count[standing]) for standing in _tiles(report)],
        overlap=_describe_overlap(reported),
        bar=list(_bar(Counter(one.overview.standings[0] for one in reported))),
        notes=list(_notes(report, reported)),
        warnings=report.plan.warnings[:MAX_WARNINGS],
        warning_count=len(report.plan.warnings),
        events=EVENTS,
        signs=[(cell, *CELLS[cell]) for cell in Cell],
        failing_glyph=STANDINGS[Standing.FAILING][1],
        rows=[_listed(one, report) for one in listed[:MAX_LISTED]],
        rows_left=len(listed) - MAX_LISTED,
        rows_are_all=len(listed) == len(reported),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode() + "\n"


def make_policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: only this style and this script, and no requests."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=8)
def _read(name: str) -> str:
    return files("reconciler.views.report").joinpath(name).read_text(encoding="utf-8").strip("\n")


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # late: no other command needs it

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_escape
    )
    return environment.from_string(_read("page.html.jinja"))


def _escape(value: Any) -> Any:
    """Escape a value of the template, unless it is marked as safe, which only our own texts are."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else Markup(for_html(str(value)))  # noqa: S704 - for_html escaped it


def _as_is(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own style and script, and base64


def _pack(data: Mapping[str, Any], rows: Iterable[Sequence[Any]]) -> str:
    """Return the data as JSON, packed with zlib, as base64. Unpacked, that of a large fleet would be 60 MB."""
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    packer = zlib.compressobj()
    parts = [packer.compress(f'{encode(data)[:-1]},"environments":['.encode())]
    for index, row in enumerate(rows):
        parts.append(packer.compress(("," * (index > 0) + encode(row)).encode()))
    parts += (packer.compress(b"]}"), packer.flush())
    return base64.encodebytes(b"".join(parts)).decode()


# --- the head ----------------------------------------------------------------------------------------


def _headline(count: Counter[Standing], total: int) -> str:
    """Return the title of the browser's tab: the numbers of what is wrong, or `no drift`."""
    grave = (Standing.DOUBT, Standing.DRIFT, Standing.FAILING, Standing.NEVER)
    parts = [f"{number(count[one])} {STANDINGS[one][0].lower()}" for one in grave if count[one]]
    return f"{', '.join(parts) or 'no drift'} · {environments(total)}"


def _tiles(report: Report) -> Iterator[Standing]:
    """Yield `in sync`, then the others, the gravest first.

    A standing that was not searched for has no tile, because a zero would say that all is well.
    """
    yield Standing.SYNC
    for standing in Standing:
        searched = {Standing.FAILING: report.checked is not None, Standing.UNKNOWN: report.plan.observed}
        if standing is not Standing.SYNC and searched.get(standing, True):
            yield standing


def _describe_overlap(reported: Sequence[ReportedEnvironment]) -> str:
    """Return a sentence if an environment counts in more than one total; empty otherwise."""
    several = sum(1 for one in reported if len(one.overview.standings) > 1)
    verb = "is" if several == 1 else "are"
    return f"The totals overlap: {environments(several)} {verb} counted in more than one." if several else ""


def _bar(count: Counter[Standing]) -> Iterator[tuple[Standing, float, float]]:
    """Yield the start and the width of each standing in the bar; one that occurs is at least 4 wide."""
    order = [Standing.SYNC, *(one for one in Standing if one is not Standing.SYNC)]
    shares = {one: count[one] for one in order if count[one]}
    total = sum(shares.values())
    widths = {one: max(4.0, BAR_WIDTH * share / total) for one, share in shares.items()}
    scale = BAR_WIDTH / sum(widths.values()) if widths else 1.0
    start = 0.0
    for one, width in widths.items():
        yield one, round(start, 2), round(width * scale, 2)
        start += width * scale


def _notes(report: Report, reported: Sequence[ReportedEnvironment]) -> Iterator[str]:
    """Yield notes that say what was compared, so that no reader takes the page for more than that."""
    where = report.plan.where
    if where is not None and where.is_new:
        yield f"New state: {describe_new_state(where)}"
    if report.plan.observed:
        yield (
            "Manifests are compared with what was last applied, and that with what Plug holds. What Plug doesn't "
            "show is unknown, not in sync."
        )
    else:
        yield (
            "Manifests are compared with what was last applied. What Plug itself holds was not read: a change made "
            "in its dashboard does not show here."
        )
    by_text = sum(1 for one in reported if words.not_compared(one.planned))
    if by_text:
        yield f"{environments(by_text)} compared by text alone: the token or a secret was not available."
    if report.checked is not None:
        failing = sum(1 for one in report.checked if not one.ok)
        yield f"{counted(len(report.checked), 'receiver')} checked, {number(failing)} failing."


# --- without JavaScript ------------------------------------------------------------------------------


def _listed(one: ReportedEnvironment, report: Report) -> dict[str, Any]:
    applied = one.document.applied if one.document else None
    name = one.planned.environment
    problems = [describe(finding) for finding in one.findings if finding.kind.is_drift]
    problems += [
        f"{checked.event.value}: its receiver fails: {checked.message or checked.stage}"
        for checked in report.checked or ()
        if not checked.ok and name in checked.environments
    ]
    return {
        "name": name,
        "description": (one.desired.description if one.desired else None) or "",
        "wave": one.planned.wave,
        "standings": [(standing, *STANDINGS[standing]) for standing in one.overview.standings],
        "findings": problems[:FINDINGS_LISTED],
        "findings_left": len(problems) - FINDINGS_LISTED,
        "day": f"{applied.at:%Y-%m-%d %H:%M}" if applied else "never",
        "age": age(applied.at if applied else None, report.made_at),
        "by": (applied.by.actor if applied else None) or "-",
    }
