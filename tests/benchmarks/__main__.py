"""Measure and print: `python -m tests.benchmarks [--quick] [--only NAME] [--out FILE] [--against FILE]`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from reconciler.cli.main import COMMANDS
from tests.benchmarks.fleet import SECRETS, TOKENS_FILE, Fleet, make_fleet
from tests.benchmarks.measure import (
    Case,
    Measured,
    clean_environ,
    compile_bytecode,
    measure,
    measure_sync_s,
    reconciler,
)
from tests.benchmarks.report import (
    Figures,
    Line,
    Section,
    compare_figures,
    describe_machine,
    figures_of,
    read_figures,
    render,
    write_figures,
)
from tests.benchmarks.stores import measure_stores
from tests.contract.remotes import git, make_clone, make_remote

CONCURRENCY = 16
LATENCY_S = 0.05
FLOORS = Path(__file__).with_name("floors.py")
LARGEST_OFTEN = 1000  # Larger fleets are measured fewer times.
# What a shell user would write: yq and jq turn every file into a line, and the lines are compared; nothing is merged,
# filled in, checked or located, so it finds all of them different.
READ_TOOLS = ("yq", "jq", "comm")
READ_SCRIPT = """\
set -eu
grep '[.]yaml$' files | xargs yq -c '{environment, webhooks}' > desired.lines
grep '[.]json$' files | xargs jq -c '{environment, webhooks: .applied.webhooks}' > applied.lines
sort -o desired.lines desired.lines; sort -o applied.lines applied.lines
comm -13 applied.lines desired.lines | wc -l
"""
# The same for an apply: the defaults are filled in, and one curl sends every PUT; nothing is checked, recorded or
# retried.
APPLY_TOOLS = ("yq", "jq", "curl")
APPLY_SCRIPT = r"""set -eu
yq . tokens.yaml > tokens.json
yq .webhooks manifests/_defaults.yaml > defaults.json
grep -v _defaults manifests.list | xargs yq -c '{environment, vars}' > desired.lines
jq -r --slurpfile tokens tokens.json --slurpfile defaults defaults.json '
  . as $one
  | ({environment, base: "plug", "secret:PLUG_SECRET_RECEIVE": env.PLUG_SECRET_RECEIVE} + .vars | to_entries) as $vars
  | ($defaults[0] | map_values(reduce $vars[] as $var (.; split("{\($var.key)}") | join($var.value)))) as $body
  | "next", "url = \"\(env.BENCH_URL)/api/integrations/update-webhooks\"", "request = PUT", "fail", "silent",
    "header = \"Authorization: \($tokens[0][$one.environment])\"", "header = \"Content-Type: application/json\"",
    "data = \($body | tojson | tojson)", "output = /dev/null"
' desired.lines | tail -n +2 > curl.conf
curl --parallel --parallel-max "$BENCH_CONCURRENCY" --config curl.conf
"""
WORTH = 0.05  # A difference from an earlier run is reported if it is at least this share.


@dataclass(frozen=True, slots=True)
class Bench:
    """The amount of measurements, and the folder for them."""

    folder: Path
    sizes: tuple[int, ...]
    quick: bool

    def runs(self, usual: int, size: int = 0) -> int:
        """Return the number of runs: fewer with --quick, and for slow cases."""
        runs = min(3, usual) if self.quick else usual
        return max(1, runs // 2) if size > LARGEST_OFTEN else runs

    def fleet(self, name: str, count: int) -> Fleet:
        """Write new manifests in a separate folder."""
        return make_fleet(self.folder / f"{name}-{count}", count)


def python(name: str, code: str, folder: Path, *arguments: str) -> Case:
    """Return a process that only runs `code`."""
    return Case(name, [sys.executable, "-c", code, *arguments], folder)


def start_up(bench: Bench) -> Iterator[Section]:
    """Measure what a process costs before it does any work."""
    fleet = bench.fleet("two", 2)
    fleet.record_applied()
    nothing = python("python -c pass", "pass", fleet.folder)
    click = python("import click", "import click", fleet.folder)
    imports = python("import pydantic_settings, yaml, click", "import pydantic_settings, yaml, click", fleet.folder)
    tab = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler pl", "COMP_CWORD": "1"}
    ours = [
        Case("--version", reconciler("--version"), fleet.folder),
        Case("--help", reconciler("--help"), fleet.folder),
        Case("plan --help", reconciler("plan", "--help"), fleet.folder),
        Case("schema", reconciler("schema"), fleet.folder),
        Case("Tab key", reconciler(), fleet.folder, environ=tab),
        Case("validate, two environments", reconciler("validate", *fleet.flags()), fleet.folder),
        Case("plan, two environments", reconciler("plan", *fleet.flags(tokens=True)), fleet.folder, environ=SECRETS),
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
            Line(version, empty, goal="2"),
            *(Line(one, clicks, goal="1.3") for one in listing),
            Line(validated, libraries),
            Line(planned, libraries, goal="1.15"),
        ],
    )


def floor(name: str, folder: Path, *arguments: str) -> Case:
    """Return a process of `floors.py`."""
    return Case(name, [sys.executable, str(FLOORS), *arguments], folder)


def reading(bench: Bench) -> Iterator[Section]:
    """Measure commands that only read: plan, validate and drift for all sizes, in turns on the same files."""
    each: dict[str, dict[int, float]] = {}
    for size in bench.sizes:
        section, cpu_s = _read_one(bench, size)
        yield section
        for name, seconds in cpu_s.items():
            each.setdefault(name, {})[size] = seconds
    yield Section("linear: CPU of one more environment", [], list(_describe_linear(each)))


def _read_one(bench: Bench, size: int) -> tuple[Section, dict[str, float]]:
    same, changed, aged = (bench.fleet(name, size) for name in ("same", "changed", "aged"))
    same.record_applied()
    aged.record_applied(records=10)
    changed.record_applied()
    changed.change_every(10)
    listing = same.folder / "files"
    files = [*same.manifests, *sorted(same.state.glob("*.json"))]
    listing.write_text("".join(f"{path}\n" for path in files), encoding="utf-8")
    tokens = same.flags(tokens=True)
    cases = [
        floor("floor: bytes read and hashed", same.folder, "hash", "files"),
        floor("floor: CSafeLoader, JSON, compare", same.folder, "compare", "files"),
        Case("plan, none changed", reconciler("plan", *same.flags()), same.folder),
        Case("plan, none changed, all tokens", reconciler("plan", *tokens), same.folder, environ=SECRETS),
        Case("plan, none changed, ten records each", reconciler("plan", *aged.flags()), aged.folder),
        Case("plan, 10 % changed", reconciler("plan", *changed.flags()), changed.folder),
        Case("validate", reconciler("validate", *same.flags()), same.folder),
        Case("drift", reconciler("drift", *same.flags()), same.folder),
    ]
    measured = measure(cases, bench.runs(11, size))
    floor_, with_tokens = measured[1], measured[3]
    lines = [Line(measured[0]), *(Line(one, floor_, goal="1.5" if one is with_tokens else "") for one in measured[1:])]
    notes = [
        _each(measured[2], size),
        f"{with_tokens.name}: peak memory {with_tokens.peak_mib / floor_.peak_mib:.2f} times the floor's; goal 2.5",
    ]
    if size >= LARGEST_OFTEN:
        missing = _find_missing(READ_TOOLS)
        script = Case("script: yq | jq | comm, only compares", ["/bin/sh", "-c", READ_SCRIPT], same.folder)
        lines += [] if missing else [Line(one, floor_) for one in measure([script], 1, warm=False)]
        notes += [f"the script was not measured: there is no {missing} here"] if missing else []
    section = Section(f"read: {size:,} environments", lines, notes)
    return section, {one.name: one.cpu_s.median for one in measured}


def _find_missing(tools: Iterable[str]) -> str:
    """Return the tools of a peer that are missing; empty if there are none."""
    return ", ".join(tool for tool in tools if shutil.which(tool) is None)


def _describe_linear(each: Mapping[str, Mapping[int, float]]) -> Iterator[str]:
    """Yield what one more environment costs between two sizes; from one environment on, it is mostly the start."""
    for name, cpu_s in each.items():
        costs = [
            (f"{larger:,}", (cpu_s[larger] - cpu_s[smaller]) * 1e6 / (larger - smaller))
            for smaller, larger in pairwise(sorted(size for size in cpu_s if size >= 100))
        ]
        shown = ", ".join(f"{cost:.0f} us up to {size}" for size, cost in costs)
        if len(costs) > 1 and costs[0][1] > 0:
            yield f"{name}: {shown}; last to first {costs[-1][1] / costs[0][1]:.2f}"


def apply(bench: Bench) -> Iterator[Section]:
    """Measure the first PUT of all environments, each with its token, with the state durable on disk."""
    for size in bench.sizes:
        yield _apply_one(bench, size)


def _apply_one(bench: Bench, size: int) -> Section:
    fleet = bench.fleet("apply", size)
    before_s = measure_sync_s(bench.folder)
    missing = _find_missing(APPLY_TOOLS)
    lines: list[Line] = []
    notes: list[str] = []
    plan = Case("plan of the same (all created)", reconciler("plan", *fleet.flags(tokens=True)), fleet.folder)
    plan = replace(plan, prepare=fleet.forget, environ=SECRETS)
    for latency_s in (LATENCY_S, 0.0):
        with run_sandbox(latency_s) as url:
            shown = f"latency {latency_s * 1000:.0f} ms"
            sockets = floor(f"floor: sockets, {shown}", fleet.folder, "put", url, TOKENS_FILE, str(CONCURRENCY))
            cases = [sockets, _applying(f"apply, {shown}", fleet, url), plan]
            cases += [] if missing else [_script(f"script: yq | jq | curl --parallel, {shown}", fleet, url)]
            floor_, applied, planned, *script = measure(cases, bench.runs(4, size), warm=size <= LARGEST_OFTEN)
        ideal_s = max(latency_s, size * latency_s / CONCURRENCY)
        if ideal_s:
            ideal = f"ideal {size:,} x {latency_s:g} s / {min(size, CONCURRENCY)} = {ideal_s:.3f} s"
            goal = {LARGEST_OFTEN: "1.15", 10 * LARGEST_OFTEN: "1.05"}.get(size, "")
            lines += [
                *(Line(one, ideal_s=ideal_s, ideal=ideal) for one in (floor_, *script)),
                Line(applied, ideal_s=ideal_s, ideal=ideal, goal=goal),
                *(Line(applied, one) for one in script),
            ]
            sending_s = applied.wall_s.median - planned.wall_s.median
            notes.append(f"{shown}, beyond the plan: {sending_s:.2f} s, {sending_s / ideal_s:.3f} times the ideal")
        else:
            lines += [*map(Line, (floor_, *script)), Line(applied, floor_), Line(planned)]
            beyond_ms = (applied.cpu_s.median - planned.cpu_s.median) * 1000 / size
            notes.append(f"{shown}, beyond the plan: {beyond_ms:.3f} ms of CPU an environment; goal 1.2")
    after_s = measure_sync_s(bench.folder)
    notes += [f"the script was not measured: there is no {missing} here"] if missing else []
    notes += [
        f"a synced write of 2 kB to a new file took {before_s * 1000:.2f} ms before, {after_s * 1000:.2f} ms after; "
        f"an environment has two",
        "the sandbox is a process of its own on the same cores; each run begins without a state",
    ]
    return Section(f"apply: {size:,} environments, concurrency {CONCURRENCY}, folder", lines, notes)


def _applying(name: str, fleet: Fleet, url: str) -> Case:
    command = reconciler("apply", "--yes", "--concurrency", str(CONCURRENCY), *fleet.flags(url, tokens=True))
    return Case(name, command, fleet.folder, prepare=fleet.forget, environ=SECRETS)


def _script(name: str, fleet: Fleet, url: str) -> Case:
    listing = "".join(f"{path}\n" for path in fleet.manifests)
    (fleet.folder / "manifests.list").write_text(listing, encoding="utf-8")
    environ = {**SECRETS, "BENCH_URL": url, "BENCH_CONCURRENCY": str(CONCURRENCY)}
    return Case(name, ["/bin/sh", "-c", APPLY_SCRIPT], fleet.folder, environ=environ)


def apply_git(bench: Bench) -> Iterator[Section]:
    """The same with the state on a branch of a bare repository on this disk; for large fleets, round trips count."""
    for size in bench.sizes:
        if size >= min(LARGEST_OFTEN, max(bench.sizes)):
            yield _apply_git_one(bench, size)


def _apply_git_one(bench: Bench, size: int) -> Section:
    folder = bench.folder / f"git-{size}"
    folder.mkdir()
    remote = make_remote(folder)
    clone = make_clone(remote, folder / "clone")
    fleet = make_fleet(clone / "fleet", size)
    state = ["--state", "git:origin/state"]

    def forget() -> None:
        with suppress(subprocess.CalledProcessError):
            git(remote, "update-ref", "-d", "refs/heads/state")

    lines: list[Line] = []
    for latency_s in (LATENCY_S, 0.0):
        with run_sandbox(latency_s) as url:
            case = _applying(f"apply, latency {latency_s * 1000:.0f} ms", fleet, url)
            case = replace(case, argv=[*case.argv, *state], prepare=forget)
            [applied] = measure([case], bench.runs(3, size), warm=size <= LARGEST_OFTEN)
        ideal_s = size * latency_s / CONCURRENCY
        ideal = f"ideal {ideal_s:.3f} s" if ideal_s else ""
        lines.append(Line(applied, ideal_s=ideal_s or None, ideal=ideal))
    pushes = git(remote, "rev-list", "--count", "state").strip()
    plan = Case("plan, none changed", reconciler("plan", *fleet.flags(url, tokens=True), *state), fleet.folder)
    lines += [Line(one) for one in measure([replace(plan, environ=SECRETS)], bench.runs(3, size))]
    return Section(f"git: {size:,} environments, concurrency {CONCURRENCY}", lines, [f"{pushes} pushes for the apply"])


def views(bench: Bench) -> Iterator[Section]:
    """Measure large results: the Markdown of many changes, and the page of a whole fleet."""
    fleet = bench.fleet("views", 300 if bench.quick else 3000)
    fleet.record_applied()
    fleet.change_every(1)
    cases = [
        Case("plan, text", reconciler("plan", *fleet.flags()), fleet.folder),
        Case("plan, Markdown", reconciler("plan", "--format", "markdown", *fleet.flags()), fleet.folder),
        Case("plan, JSON", reconciler("plan", "--format", "json", *fleet.flags()), fleet.folder),
    ]
    text, *others = measure(cases, bench.runs(7))
    yield Section(f"views: {fleet.count:,} changes", [Line(text), *(Line(one, text) for one in others)])
    if "report" not in COMMANDS:
        return
    whole = bench.fleet("report", max(bench.sizes))
    whole.record_applied()
    cases = [
        Case("plan, text", reconciler("plan", *whole.flags()), whole.folder),
        Case("report, HTML", reconciler("report", "--out", "report.html", *whole.flags()), whole.folder),
    ]
    text, page = measure(cases, bench.runs(5))
    size_mib = (whole.folder / "report.html").stat().st_size / 2**20
    yield Section(f"report: {whole.count:,} environments", [Line(text), Line(page, text)], [f"{size_mib:.1f} MiB"])


def _each(measured: Measured, size: int) -> str:
    wall_ms, cpu_ms = measured.wall_s.median * 1000 / size, measured.cpu_s.median * 1000 / size
    return f"{measured.name}: {wall_ms:.3f} ms of wall and {cpu_ms:.3f} ms of CPU an environment"


@contextmanager
def run_sandbox(latency_s: float) -> Iterator[str]:
    """Yield the base URL of a sandbox in a separate process."""
    command = reconciler("sandbox", "--port", "0", "--latency", str(latency_s))
    with subprocess.Popen(command, env=clean_environ(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the sandbox did not start")
            yield url
        finally:
            process.terminate()


FIGURES: dict[str, Callable[[Bench], Iterable[Section]]] = {
    "startup": start_up,
    "read": reading,
    "apply": apply,
    "git": apply_git,
    "views": views,
    "stores": lambda bench: [
        measure_stores(bench.folder / "stores", min(LARGEST_OFTEN, max(bench.sizes)), bench.runs(5))
    ],
}


def _parse_sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(size) for size in text.split(",")}))


def main() -> None:
    """Measure what was requested and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three runs of each, fleets up to 1,000")
    parser.add_argument("--only", action="append", choices=FIGURES, help="one figure; repeatable")
    parser.add_argument("--sizes", type=_parse_sizes, help="environments of the fleets; 1,100,1000,10000")
    parser.add_argument("--folder", type=Path, help="where the files are put: the disk that is measured")
    parser.add_argument("--out", type=Path, help="the figures as JSON, for --against")
    parser.add_argument("--against", type=Path, help="a stored run of the same machine: says what differs")
    given = parser.parse_args()
    stored = None if given.against is None else read_figures(given.against)
    compile_bytecode()
    sizes = given.sizes or ((1, 100, 1000) if given.quick else (1, 100, 1000, 10_000))
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), sizes, given.quick)
        machine = describe_machine(bench.folder)
        print(machine, flush=True)
        figures: Figures = {}
        for name in given.only or FIGURES:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            # Each is printed as soon as it is measured, so that an interrupted run has shown its results.
            for section in FIGURES[name](bench):
                print("", render([section]), sep="\n", end="", flush=True)
                figures |= figures_of([section])
                if given.out is not None:
                    write_figures(given.out, machine, figures)
    if stored is not None:
        print(f"\nagainst {given.against}, measured on: {stored[0].splitlines()[0]}")
        print("\n".join(compare_figures(figures, stored[1], worth=WORTH)) or "no figure differs")


if __name__ == "__main__":
    main()
