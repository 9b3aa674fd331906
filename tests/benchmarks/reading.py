"""The commands that only read: their start, whole fleets, and large results."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from reconciler.text.counts import environments
from tests.benchmarks.bench import Bench, floor, run
from tests.benchmarks.fleet import make_fleet, make_jwt, make_look_alike
from tests.benchmarks.measure import Case, measure
from tests.benchmarks.peers import READ_PEER, READ_SCRIPT, READ_TOOLS, describe_missing, find_missing
from tests.benchmarks.report import Cost, Line, Section

PLAN_GOALS = {10_000: {Cost.CPU: 1.5, Cost.PEAK: 2.5}}  # by size, against the floor


def measure_start_up(bench: Bench) -> Iterator[Section]:
    """Measure what a process costs before it does any work."""
    fleet = bench.fleet("two", 2)
    fleet.record_applied()
    nothing, click, imports = (
        Case(name, [sys.executable, "-c", code], fleet.folder, environ=fleet.environ)
        for name, code in (
            ("python -c pass", "pass"),
            ("import click", "import click"),
            ("import pydantic_settings, yaml, click", "import pydantic_settings, yaml, click"),
        )
    )
    tab = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler pl", "COMP_CWORD": "1"}
    ours = [
        run("--version", fleet, "--version"),
        run("--help", fleet, "--help"),
        run("plan --help", fleet, "plan", "--help"),
        run("schema", fleet, "schema"),
        replace(run("Tab key", fleet), environ={**fleet.environ, **tab}),
        run("validate, two environments", fleet, "validate", *fleet.flags()),
        run("plan, two environments, none changed", fleet, "plan", *fleet.flags()),
    ]
    empty, clicks, libraries, version, *listing, validated, planned = measure(
        [nothing, click, imports, *ours], bench.runs(31)
    )
    yield Section(
        "startup: before there is anything to do",
        [
            Line(empty),
            Line(clicks, empty),
            Line(libraries, empty),
            Line(version, empty, {Cost.CPU: 2}),
            *(Line(one, clicks, {Cost.CPU: 1.3}) for one in listing),
            Line(validated, libraries),
            Line(planned, libraries, {Cost.CPU: 1.15}),
        ],
    )


def measure_reading(bench: Bench) -> Iterator[Section]:
    """Measure plan, validate and drift for all sizes, and the floor and the script in turns with them."""
    each: dict[str, dict[int, float]] = {}
    for size in bench.sizes:
        section = _measure_size(bench, size)
        yield section
        for line in section.lines:
            each.setdefault(line.measured.name, {})[size] = line.measured.cpu_s.median
    if len(bench.sizes) > 1:
        yield Section("linear: CPU of one more environment", [], list(_describe_linear(each)))


def _measure_size(bench: Bench, size: int) -> Section:
    same, changed, aged = (bench.fleet(name, size) for name in ("same", "changed", "aged"))
    alike = make_fleet(bench.folder / f"alike-{size}", size, make_look_alike)
    inherited = make_fleet(bench.folder / f"inherited-{size}", size, make_jwt, defaults=True)
    aged.record_applied(records=10)
    for fleet in (same, changed, alike, inherited):
        fleet.record_applied()
    changed.change_every(10)
    cases = [
        floor("floor: CSafeLoader, JSON, compare", same, "compare", "files"),
        run("plan, none changed", same, "plan", *same.flags()),
        run("plan, 10 % changed", changed, "plan", *changed.flags()),
        run("plan, none changed, ten records each", aged, "plan", *aged.flags()),
        run("plan, none changed, tokens like the text", alike, "plan", *alike.flags()),
        run("plan, none changed, from _defaults.yaml", inherited, "plan", *inherited.flags()),
        run("validate", same, "validate", *same.flags()),
        run("drift", same, "drift", *same.flags()),
    ]
    missing = find_missing(READ_TOOLS)
    if not missing:
        cases.append(Case(READ_PEER, ["/bin/sh", "-c", READ_SCRIPT], same.folder, environ=same.environ))
    floor_, plan, *others = measure(cases, bench.runs(11, size))
    peer = [] if missing else [others.pop()]
    lines = [
        Line(floor_),
        *(Line(one, floor_) for one in peer),
        Line(plan, floor_, PLAN_GOALS.get(size, {})),
        *(Line(plan, one) for one in peer),
        *(Line(one, floor_) for one in others),
    ]
    notes = ["the floor and the script check nothing; the script finds which environments differ, not how"]
    notes += [describe_missing(READ_PEER, missing)] if missing else []
    return Section(f"read: {environments(size)}, state in a folder", lines, notes)


def _describe_linear(each: Mapping[str, Mapping[int, float]]) -> Iterator[str]:
    """Yield what one more environment costs between two sizes: a figure that grows is a cost that is not linear."""
    for name, cpu_s in each.items():
        costs = [
            (f"{larger:,}", (cpu_s[larger] - cpu_s[smaller]) * 1e6 / (larger - smaller))
            for smaller, larger in pairwise(sorted(cpu_s))
        ]
        shown = ", ".join(f"{cost:.0f} us up to {size}" for size, cost in costs)
        growth = f"; last to first {costs[-1][1] / costs[0][1]:.2f}" if len(costs) > 1 and costs[0][1] > 0 else ""
        yield f"{name}: {shown}{growth}"


def measure_views(bench: Bench) -> Iterator[Section]:
    """Measure large results: the Markdown of many changes, and the page of a whole fleet."""
    fleet = bench.fleet("views", 300 if bench.quick else 3000)
    fleet.record_applied()
    fleet.change_every(1)
    cases = [
        run("plan, text", fleet, "plan", *fleet.flags()),
        run("plan, Markdown", fleet, "plan", "--format", "markdown", *fleet.flags()),
        run("plan, JSON", fleet, "plan", "--format", "json", *fleet.flags()),
    ]
    text, *others = measure(cases, bench.runs(7))
    yield Section(f"views: {fleet.count:,} changes", [Line(text), *(Line(one, text) for one in others)])
    whole = bench.fleet("report", max(bench.sizes))
    whole.record_applied()
    cases = [
        run("plan, text", whole, "plan", *whole.flags()),
        run("report, HTML", whole, "report", "--out", "report.html", *whole.flags()),
    ]
    text, page = measure(cases, bench.runs(5, whole.count))
    size_mib = (whole.folder / "report.html").stat().st_size / 2**20
    yield Section(f"report: {environments(whole.count)}", [Line(text), Line(page, text)], [f"{size_mib:.1f} MiB"])
