"""The stored figures of the benchmarks, and what is said of two runs."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measure import Measured, Sample
from tests.benchmarks.report import Figures, Line, Section, compare_figures, figures_of, read_figures, write_figures


def run(*, floor_s: float, plan_s: float, peak_mib: float = 40.0, name: str = "plan") -> Figures:
    """The figures of a run with a floor and one case above it."""
    floor = Measured("floor", (Sample(1.0, floor_s, 10.0),))
    plan = Measured(name, (Sample(2.0, plan_s, peak_mib), Sample(2.0, plan_s, peak_mib)))
    return figures_of([Section("read", [Line(floor), Line(plan, floor, goal="1.5")])])


def test_figures_are_stored_and_read(tmp_path: Path) -> None:
    figures = run(floor_s=1.0, plan_s=2.0)
    write_figures(tmp_path / "build" / "bench.json", "a machine", figures)
    machine, stored = read_figures(tmp_path / "build" / "bench.json")
    assert machine == "a machine"
    assert list(compare_figures(figures, stored, worth=0.05)) == []


def test_a_slower_machine_is_no_change() -> None:
    """Only the floor itself, which has none, shows it."""
    found = compare_figures(run(floor_s=2.0, plan_s=4.0), run(floor_s=1.0, plan_s=2.0), worth=0.05)
    assert list(found) == ["MORE: read / floor: least CPU s 1.000 -> 2.000"]


def test_a_cost_that_rose_or_fell_is_named() -> None:
    now, before = run(floor_s=1.0, plan_s=2.2, peak_mib=30.0), run(floor_s=1.0, plan_s=2.0)
    assert list(compare_figures(now, before, worth=0.05)) == [
        "MORE: read / plan: CPU against floor 2.000 -> 2.200",
        "less: read / plan: peak MiB 40.000 -> 30.000",
    ]


def test_a_case_without_a_pair_is_named() -> None:
    """A case that nobody measures any more would hide what it costs now."""
    now, before = run(floor_s=1.0, plan_s=2.0, name="drift"), run(floor_s=1.0, plan_s=2.0)
    assert list(compare_figures(now, before, worth=0.05)) == ["new: read / drift", "not measured now: read / plan"]
