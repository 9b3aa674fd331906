"""The page: template, style, script and data in one file that fetches nothing (docs/contract.md#what-no-output-does).

Its policy allows this very style and this very script, by their hashes, and nothing else. The data is packed, and
no script: it is read as JSON and shown with `textContent`; trusted types keep the script from doing it in any other
way.
The page is ASCII, so that no encoding of whatever stdout leads to can garble it.
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
from reconciler.model import EVENTS, FindingKind
from reconciler.text.counts import counted, environments, number
from reconciler.text.escape import for_html
from reconciler.text.instants import age, instant
from reconciler.text.new_state import describe_new_state
from reconciler.views.report.data import (
    CELLS,
    STANDINGS,
    Report,
    Seen,
    count_standings,
    describe,
    look_at,
    make_data,
    make_rows,
)
from reconciler.views.where_words import describe_apis, describe_state

if TYPE_CHECKING:
    from jinja2 import Template

SMALL_FLEET = 200  # up to here the table without JavaScript shows all
MAX_LISTED = 500  # of a larger fleet's problems in it; the others are counted
MAX_WARNINGS = 50
FINDINGS_LISTED = 12  # of one environment in it
BAR_WIDTH = 1000
_GRAVITY = {standing: place for place, standing in enumerate(Standing)}


def render_report(report: Report) -> str:
    """The whole page."""
    seen = look_at(report)
    count = count_standings(seen)
    style, script = _read("page.css"), _read("page.js")
    listed = seen if len(seen) <= SMALL_FLEET else [one for one in seen if one.overview.standings != (Standing.SYNC,)]
    listed = sorted(listed, key=lambda one: _GRAVITY[one.overview.standings[0]])
    where = report.plan.where
    page = _template().render(
        policy=make_policy(style, script),
        style=_as_is(style),
        script=_as_is(script),
        data=_as_is(_pack(make_data(report, seen), make_rows(report, seen))),
        headline=_headline(count, len(seen)),
        made=instant(report.made_at),
        made_shown=f"{report.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        state=report.store if where is None else describe_state(where, str),
        apis=None if where is None or not where.apis else describe_apis(where.apis, str),
        tool=f"reconciler {__version__}",
        selection=report.plan.selection,
        total=len(seen),
        tiles=[(standing, *STANDINGS[standing], count[standing]) for standing in _tiles(report)],
        overlap=_describe_overlap(seen),
        bar=list(_bar(Counter(one.overview.standings[0] for one in seen))),
        notes=list(_notes(report, seen)),
        warnings=report.plan.warnings[:MAX_WARNINGS],
        warning_count=len(report.plan.warnings),
        events=EVENTS,
        signs=[(cell, *CELLS[cell]) for cell in Cell],
        failing_glyph=STANDINGS[Standing.FAILING][1],
        rows=[_listed(one, report) for one in listed[:MAX_LISTED]],
        rows_left=len(listed) - MAX_LISTED,
        rows_are_all=len(listed) == len(seen),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode() + "\n"


def make_policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style, this script, no request to anywhere."""
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
    """Every value that the template shows comes through here; what is marked as safe is ours."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else Markup(for_html(str(value)))  # noqa: S704 - for_html escaped it


def _as_is(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own style and script, and base64


def _pack(data: Mapping[str, Any], rows: Iterable[Sequence[Any]]) -> str:
    """The data as the script unpacks it: JSON, zlib, base64. As it is, that of a large fleet would be 60 MB."""
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    packer = zlib.compressobj()
    parts = [packer.compress(f'{encode(data)[:-1]},"environments":['.encode())]
    for place, row in enumerate(rows):
        parts.append(packer.compress(("," * (place > 0) + encode(row)).encode()))
    parts += (packer.compress(b"]}"), packer.flush())
    return base64.encodebytes(b"".join(parts)).decode()


# --- the head ----------------------------------------------------------------------------------------


def _headline(count: Counter[Standing], total: int) -> str:
    """For the tab: what is wrong, else that nothing is."""
    grave = (Standing.DOUBT, Standing.DRIFT, Standing.FAILING, Standing.NEVER)
    parts = [f"{number(count[one])} {STANDINGS[one][0].lower()}" for one in grave if count[one]]
    return f"{', '.join(parts) or 'no drift'} · {environments(total)}"


def _tiles(report: Report) -> Iterator[Standing]:
    """In sync first, then the gravest; what nobody looked for has no tile, as a nought would say that all is well."""
    yield Standing.SYNC
    for standing in Standing:
        looked_for = {Standing.FAILING: report.checked is not None, Standing.UNKNOWN: report.observed}
        if standing is not Standing.SYNC and looked_for.get(standing, True):
            yield standing


def _describe_overlap(seen: Sequence[Seen]) -> str:
    """Return that the totals overlap, where an environment counts in more than one; else nothing."""
    several = sum(1 for one in seen if len(one.overview.standings) > 1)
    verb = "is" if several == 1 else "are"
    return f"The totals overlap: {environments(several)} {verb} counted in more than one." if several else ""


def _bar(count: Counter[Standing]) -> Iterator[tuple[Standing, float, float]]:
    """Each standing's start and width of `BAR_WIDTH`; what occurs at all is at least 4 wide."""
    order = [Standing.SYNC, *(one for one in Standing if one is not Standing.SYNC)]
    shares = {one: count[one] for one in order if count[one]}
    total = sum(shares.values())
    widths = {one: max(4.0, BAR_WIDTH * share / total) for one, share in shares.items()}
    scale = BAR_WIDTH / sum(widths.values()) if widths else 1.0
    start = 0.0
    for one, width in widths.items():
        yield one, round(start, 2), round(width * scale, 2)
        start += width * scale


def _notes(report: Report, seen: Sequence[Seen]) -> Iterator[str]:
    """What the page rests on: nobody must take it for more than was looked at."""
    where = report.plan.where
    if where is not None and where.is_new:
        yield f"New state: {describe_new_state(where)}"
    if report.observed:
        yield (
            "Manifests are compared with what was last applied, and that with what Plug holds. What Plug doesn't "
            "show is unknown, not in sync."
        )
    else:
        yield (
            "Manifests are compared with what was last applied. What Plug itself holds was not read: a change made "
            "in its dashboard does not show here."
        )
    by_text = sum(1 for one in seen if one.planned.unchecked)
    if by_text:
        yield (f"{environments(by_text)} compared by text alone: the token or a secret was not available.")
    if report.checked is not None:
        failing = sum(1 for one in report.checked if not one.ok)
        yield f"{counted(len(report.checked), 'receiver')} checked, {number(failing)} failing."


# --- without JavaScript ------------------------------------------------------------------------------


def _listed(one: Seen, report: Report) -> dict[str, Any]:
    applied = one.document.applied if one.document else None
    name = one.planned.environment
    told = [describe(finding) for finding in one.findings if finding.kind is not FindingKind.UNOBSERVABLE]
    told += [
        f"{checked.event.value}: its receiver fails: {checked.message or checked.stage}"
        for checked in report.checked or ()
        if not checked.ok and name in checked.environments
    ]
    return {
        "name": name,
        "description": (one.desired.description if one.desired else None) or "",
        "wave": one.planned.wave,
        "standings": [(standing, *STANDINGS[standing]) for standing in one.overview.standings],
        "findings": told[:FINDINGS_LISTED],
        "findings_left": len(told) - FINDINGS_LISTED,
        "day": f"{applied.at:%Y-%m-%d %H:%M}" if applied else "never",
        "age": age(applied.at if applied else None, report.made_at),
        "by": (applied.by.actor if applied else None) or "-",
    }
