"""The stored figures of the benchmarks, and the comparison of two runs."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measure import Measured, Sample
from tests.benchmarks.report import (
    Cost,
    Figures,
    Ideal,
    Line,
    Section,
    compare_figures,
    describe_goals,
    figures_of,
    read_figures,
    render,
    write_figures,
)


def run(*, floor_s: float, plan_s: float, peak_mib: float = 40.0, name: str = "plan") -> Figures:
    """Return the figures of a run with a floor and one case above it."""
    floor = Measured("floor", (Sample(1.0, floor_s, 10.0),) * 2)
    plan = Measured(name, (Sample(2.0, plan_s, peak_mib),) * 2)
    return figures_of(Section("read", [Line(floor), Line(plan, floor, {Cost.CPU: 1.5})]))


def run_apply(wall_s: float, cpu_s: float) -> Section:
    """Return the rows of an apply of 1,000 environments that must wait at least 3 s."""
    apply = Measured("apply", (Sample(wall_s, cpu_s, 40.0),))
    ideal = Ideal("the ideal of 3.000 s", {Cost.WALL: 3.0})
    unit = Ideal("1 ms of CPU an environment", {Cost.CPU: 1.0})
    return Section("apply", [Line(apply, ideal, {Cost.WALL: 1.15}), Line(apply, unit, {Cost.CPU: 1.2})])


def test_figures_are_stored_and_read(tmp_path: Path) -> None:
    figures = run(floor_s=1.0, plan_s=2.0)
    write_figures(tmp_path / "build" / "bench.json", "a machine", figures)
    machine, stored = read_figures(tmp_path / "build" / "bench.json")
    assert machine == "a machine"
    assert stored == {key: {"section": key[0], "case": key[1], **values} for key, values in figures.items()}
    assert list(compare_figures(figures, stored, worth=0.05)) == []


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was twice as slow changes both."""
    floor = Measured("floor", tuple(Sample(wall_s, 1.0, 10.0) for wall_s in (1.0, 2.0, 1.0)))
    plan = Measured("plan", tuple(Sample(wall_s, 3.0, 25.0) for wall_s in (2.0, 4.0, 9.0)))
    assert Line(plan, floor).ratios() == {Cost.WALL: 2.0, Cost.CPU: 3.0, Cost.PEAK: 2.5}


def test_a_goal_is_judged_by_its_own_cost() -> None:
    assert list(describe_goals(figures_of(run_apply(wall_s=3.3, cpu_s=2.2)))) == [
        "apply / apply: 1.10 x the ideal of 3.000 s; goal wall 1.15: met",
        "apply / apply: 2.20 x 1 ms of CPU an environment; goal CPU 1.2: MISSED",
    ]


def test_a_goal_is_beside_its_figure() -> None:
    """The figures of a case are shown once, also if it is compared with two others."""
    _, _, first, second = render(run_apply(wall_s=3.3, cpu_s=2.2)).splitlines()
    assert first.split() == [
        *["apply", "3,300", "3,300-3,300", "2,200", "2,200-2,200", "40.0", "1", "1.10"],
        *["the", "ideal", "of", "3.000", "s;", "goal", "wall", "1.15:", "met"],
    ]
    assert second.split() == ["2.20", "1", "ms", "of", "CPU", "an", "environment;", "goal", "CPU", "1.2:", "MISSED"]


def test_a_ratio_with_a_goal_that_rose_is_named() -> None:
    now, before = figures_of(run_apply(wall_s=3.9, cpu_s=1.0)), figures_of(run_apply(wall_s=3.0, cpu_s=1.0))
    assert list(compare_figures(now, before, worth=0.05)) == [
        "MORE: apply / apply: wall against the ideal of 3.000 s 1.000 -> 1.300"
    ]


def test_a_slower_machine_is_not_a_change() -> None:
    """Only the floor itself, which is compared with nothing, shows it."""
    found = compare_figures(run(floor_s=2.0, plan_s=4.0), run(floor_s=1.0, plan_s=2.0), worth=0.05)
    assert list(found) == ["MORE: read / floor: least CPU s 1.000 -> 2.000"]


def test_a_cost_that_rose_or_fell_is_named() -> None:
    now, before = run(floor_s=1.0, plan_s=2.2, peak_mib=30.0), run(floor_s=1.0, plan_s=2.0)
    assert list(compare_figures(now, before, worth=0.05)) == [
        "MORE: read / plan: CPU against floor 2.000 -> 2.200",
        "less: read / plan: peak MiB 40.000 -> 30.000",
    ]


def test_a_case_without_a_pair_is_named() -> None:
    """A case that is not measured any more would hide what it costs now."""
    now, before = run(floor_s=1.0, plan_s=2.0, name="drift"), run(floor_s=1.0, plan_s=2.0)
    assert list(compare_figures(now, before, worth=0.05)) == ["new: read / drift", "not measured now: read / plan"]
