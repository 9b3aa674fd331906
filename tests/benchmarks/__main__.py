"""Measure and print: `python -m tests.benchmarks [--quick] [--only NAME]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fleet import SECRETS, Fleet, make_fleet
from tests.benchmarks.measure import (
    Case,
    Measured,
    clean_environ,
    compile_bytecode,
    measure,
    measure_sync_s,
    reconciler,
)
from tests.benchmarks.report import Line, Section, describe_machine, render
from tests.benchmarks.stores import measure_stores

CONCURRENCY = 16
LATENCY_S = 0.05
READ_ONLY = """\
import sys, yaml
for path in open(sys.argv[1], encoding="utf-8").read().splitlines():
    with open(path, encoding="utf-8") as file:
        yaml.load(file.read(), Loader=yaml.CSafeLoader)
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """How much is measured, and where."""

    folder: Path
    size: int
    quick: bool

    def runs(self, usual: int) -> int:
        """Fewer of them with --quick."""
        return min(3, usual) if self.quick else usual

    def fleet(self, name: str, count: int) -> Fleet:
        """Fresh manifests in a folder of their own."""
        return make_fleet(self.folder / name, count)


def python(name: str, code: str, folder: Path, *arguments: str) -> Case:
    """A process that runs `code` alone."""
    return Case(name, [sys.executable, "-c", code, *arguments], folder)


def start_up(bench: Bench) -> Section:
    """What a process costs before it has anything to do."""
    fleet = bench.fleet("two", 2)
    fleet.record_applied()
    nothing = python("python -c pass", "pass", fleet.folder)
    imports = python("import pydantic_settings, yaml", "import pydantic_settings, yaml", fleet.folder)
    version = Case("reconciler --version", reconciler("--version"), fleet.folder)
    plan = Case("plan, two environments", reconciler("plan", *fleet.flags()), fleet.folder)
    floor, libraries, shown, planned = measure([nothing, imports, version, plan], bench.runs(31))
    return Section(
        "startup: before there is anything to do",
        [
            Line(floor),
            Line(libraries, floor),
            Line(shown, floor),
            Line(shown, libraries),
            Line(planned, floor),
            Line(planned, libraries),
        ],
    )


def _reading(fleet: Fleet) -> Case:
    """PyYAML alone, in C, on the files that a plan reads."""
    listing = fleet.folder / "files"
    listing.write_text("".join(f"{path}\n" for path in fleet.manifests), encoding="utf-8")
    return python("yaml.load, CSafeLoader, same files", READ_ONLY, fleet.folder, str(listing))


def plan_unchanged(bench: Bench) -> Section:
    """A plan of a whole fleet in which nothing has changed."""
    fleet = bench.fleet("unchanged", bench.size)
    fleet.record_applied()
    cases = [
        _reading(fleet),
        Case("plan, no token at hand", reconciler("plan", *fleet.flags()), fleet.folder),
        Case("plan, all tokens", reconciler("plan", *fleet.flags(tokens=True)), fleet.folder, environ=SECRETS),
    ]
    read, bare, full = measure(cases, bench.runs(11))
    notes = [_each(bare, bench.size)]
    return Section(
        f"plan: {bench.size:,} environments, none changed", [Line(read), Line(bare, read), Line(full, read)], notes
    )


def validate(bench: Bench) -> Section:
    """All manifests loaded and checked, no state."""
    fleet = bench.fleet("validate", bench.size)
    read, checked = measure(
        [_reading(fleet), Case("validate", reconciler("validate", *fleet.flags()), fleet.folder)], bench.runs(11)
    )
    return Section(
        f"validate: {bench.size:,} environments", [Line(read), Line(checked, read)], [_each(checked, bench.size)]
    )


def plan_changed(bench: Bench) -> Section:
    """A plan in which every tenth environment has one webhook changed."""
    fleet = bench.fleet("changed", bench.size)
    fleet.record_applied()
    fleet.change_every(10)
    unchanged = bench.fleet("as-before", bench.size)
    unchanged.record_applied()
    cases = [
        Case("plan, none changed", reconciler("plan", *unchanged.flags()), unchanged.folder),
        Case("plan, 10 % changed", reconciler("plan", *fleet.flags()), fleet.folder),
        Case("plan, 10 % changed, JSON", reconciler("plan", "--format", "json", *fleet.flags()), fleet.folder),
    ]
    before, text, json = measure(cases, bench.runs(11))
    lines = [Line(before), Line(text, before), Line(json, before)]
    return Section(f"changed: {bench.size:,} environments, every tenth with one webhook changed", lines)


def apply(bench: Bench) -> Section:
    """All environments put for the first time, each with its token, the state durable on disk."""
    fleet = bench.fleet("apply", bench.size)
    before_s = measure_sync_s(bench.folder)
    with run_sandbox(LATENCY_S) as slow, run_sandbox(0) as fast:
        flags = ["--yes", "--concurrency", str(CONCURRENCY)]
        cases = [
            Case(
                f"apply, latency {latency * 1000:.0f} ms",
                reconciler("apply", *flags, *fleet.flags(url, tokens=True)),
                fleet.folder,
                prepare=fleet.forget,
                environ=SECRETS,
            )
            for latency, url in ((LATENCY_S, slow), (0, fast))
        ]
        cases.append(
            Case(
                "plan of the same (all created)",
                reconciler("plan", *fleet.flags(tokens=True)),
                fleet.folder,
                prepare=fleet.forget,
                environ=SECRETS,
            )
        )
        waiting, busy, planned = measure(cases, bench.runs(5))
    after_s = measure_sync_s(bench.folder)
    ideal_s = bench.size * LATENCY_S / CONCURRENCY
    ideal = f"ideal {bench.size:,} x {LATENCY_S:g} s / {CONCURRENCY} = {ideal_s:.3f} s"
    lines = [Line(waiting, ideal_s=ideal_s, ideal=ideal), Line(busy), Line(planned)]
    beyond_ms = (busy.cpu_s.median - planned.cpu_s.median) * 1000 / bench.size
    notes = [
        _each(waiting, bench.size),
        _each(busy, bench.size),
        f"beyond the plan: {beyond_ms:.3f} ms of CPU an environment at latency 0",
        f"a synced write of 2 kB to a new file took {before_s * 1000:.2f} ms before, {after_s * 1000:.2f} ms after; "
        f"an environment has two",
        "the sandbox is a process of its own on the same cores; each run begins without a state",
    ]
    return Section(f"apply: {bench.size:,} environments, concurrency {CONCURRENCY}", lines, notes)


def _each(measured: Measured, size: int) -> str:
    wall_ms, cpu_ms = measured.wall_s.median * 1000 / size, measured.cpu_s.median * 1000 / size
    return f"{measured.name}: {wall_ms:.3f} ms of wall and {cpu_ms:.3f} ms of CPU an environment"


@contextmanager
def run_sandbox(latency_s: float) -> Iterator[str]:
    """The base URL of a sandbox in a process of its own."""
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


FIGURES: dict[str, Callable[[Bench], Section]] = {
    "startup": start_up,
    "plan": plan_unchanged,
    "validate": validate,
    "changed": plan_changed,
    "apply": apply,
    "stores": lambda bench: measure_stores(bench.folder / "stores", bench.size, bench.runs(5)),
}


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three runs of each")
    parser.add_argument("--only", action="append", choices=FIGURES, help="one figure; repeatable")
    parser.add_argument("--size", type=int, default=1000, help="environments of the large fleet; 1000")
    parser.add_argument("--folder", type=Path, help="where the files are put: the disk that is measured")
    given = parser.parse_args()
    compile_bytecode()
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), given.size, given.quick)
        machine = describe_machine(bench.folder)
        sections = []
        for name in given.only or FIGURES:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            sections.append(FIGURES[name](bench))
    print(machine, render(sections), sep="\n\n", end="")


if __name__ == "__main__":
    main()
