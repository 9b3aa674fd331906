"""Measure whole commands beside floors and peers, and show each goal beside its figure."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from tests.benchmarks.applying import measure_apply, measure_stores
from tests.benchmarks.bench import Bench
from tests.benchmarks.measure import compile_bytecode
from tests.benchmarks.reading import measure_reading, measure_start_up, measure_views
from tests.benchmarks.report import (
    Figures,
    Section,
    compare_figures,
    describe_goals,
    describe_machine,
    figures_of,
    read_figures,
    render,
    write_figures,
)

WORTH = 0.05  # A difference from an earlier run is reported if it is at least this share.


@dataclass(frozen=True, slots=True)
class Figure:
    """A part of the measurements, for the help. `duration`: of all, and with --quick, on two cores."""

    measure: Callable[[Bench], Iterable[Section]]
    what: str
    duration: str


FIGURES = {
    "startup": Figure(
        measure_start_up,
        "what a process costs before it does any work: --version, --help, schema, Tab key, validate and plan of two "
        "environments, against an empty Python and the imports that can't be avoided",
        "2 min, 10 s",
    ),
    "read": Figure(
        measure_reading,
        "plan (none changed, 10 % changed, and fleets that could cost more), validate and drift, against CSafeLoader "
        "and json.loads in one process, and against yq | jq | comm",
        "6 min, 1 min",
    ),
    "apply": Figure(
        measure_apply,
        "the first apply at 50 ms and at 0 ms a PUT, 16 at a time, durable, against the ideal, prebuilt PUTs over "
        "sockets, and yq | jq | curl --parallel",
        "9 min, 2 min",
    ),
    "stores": Figure(
        measure_stores,
        "apply and plan of 1,000 environments or more on a git branch and on an object store with 20 ms a request, "
        "against the folder",
        "8 min, 2 min",
    ),
    "views": Figure(measure_views, "plan as text, Markdown and JSON, and the page of a whole fleet", "1 min, 10 s"),
}


def _parse_sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(size) for size in text.split(",")}))


def _make_parser() -> argparse.ArgumentParser:
    shown = {
        name: fill(figure.what, 90, initial_indent=" " * 12, subsequent_indent=" " * 12).lstrip()
        for name, figure in FIGURES.items()
    }
    parts = [f"  {name:<10}{shown[name]} ({figure.duration})" for name, figure in FIGURES.items()]
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog="\n".join(["figures (and about how long they take: all, --quick):", *parts]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="three runs of each, fleets of 1 and 1,000")
    parser.add_argument("--only", action="append", choices=FIGURES, help="one figure; repeatable")
    parser.add_argument("--sizes", type=_parse_sizes, help="environments of the fleets; 1,1000,10000")
    parser.add_argument("--folder", type=Path, help="where the files are put: the disk that is measured")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, for --against")
    parser.add_argument("--against", type=Path, help="a stored run of the same machine: show what differs")
    return parser


def main() -> None:
    """Measure what was requested and print it."""
    given = _make_parser().parse_args()
    stored = None if given.against is None else read_figures(given.against)
    compile_bytecode()
    sizes = given.sizes or ((1, 1000) if given.quick else (1, 1000, 10_000))
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), sizes, given.quick)
        machine = describe_machine(bench.folder)
        print(machine, flush=True)
        figures: Figures = {}
        for name in given.only or FIGURES:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            # Each is printed as soon as it is measured, so that an interrupted run has shown its results.
            for section in FIGURES[name].measure(bench):
                print("", render(section), sep="\n", end="", flush=True)
                figures |= figures_of(section)
                if given.out is not None:
                    write_figures(given.out, machine, figures)
    if goals := list(describe_goals(figures)):
        print("\nthe goals", *goals, sep="\n  ")
    if stored is not None:
        print(f"\nagainst {given.against}, measured on: {stored[0].splitlines()[0]}")
        print("\n".join(compare_figures(figures, stored[1], worth=WORTH)) or "no figure differs")


if __name__ == "__main__":
    main()
