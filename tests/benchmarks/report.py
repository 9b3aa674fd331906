"""Render the figures as an aligned table or JSON, and compare them with an earlier run."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, assert_never

from tests.benchmarks.measure import Measured, Sample, Spread

HEADINGS = ("", "wall ms", "min-max", "CPU ms", "min-max", "peak MiB", "runs", "wall x", "CPU x", "peak x", "against")


class Cost(StrEnum):
    """The costs of a process. A goal limits the ratio of one of them."""

    WALL = "wall"
    CPU = "CPU"
    PEAK = "peak"

    def of(self, sample: Sample) -> float:
        """Return this cost of one process, in seconds or MiB."""
        match self:
            case Cost.WALL:
                return sample.wall_s
            case Cost.CPU:
                return sample.cpu_s
            case Cost.PEAK:
                return sample.peak_mib
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class Ideal:
    """A cost that no process was measured for: the time that all must wait, or a unit such as 1 ms an environment."""

    name: str
    costs_s: Mapping[Cost, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a case, what it is compared with, and the ratios that it should not pass."""

    measured: Measured
    against: Measured | Ideal | None = None
    goals: Mapping[Cost, float] = field(default_factory=dict)

    def ratios(self) -> dict[Cost, float]:
        """Return the ratios to what it is compared with: one for each cost that both have."""
        if self.against is None:
            return {}
        if isinstance(self.against, Measured):
            return {cost: self.measured.ratio(self.against, cost.of) for cost in Cost}
        costs_s = self.against.costs_s.items()
        return {cost: median(map(cost.of, self.measured.samples)) / ideal_s for cost, ideal_s in costs_s}


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one figure, and their explanation."""

    title: str
    lines: Sequence[Line]
    notes: Sequence[str] = ()


def describe_machine(folder: Path) -> str:
    """Describe what the figures depend on."""
    return (
        f"Python {platform.python_version()} ({sys.implementation.name}, {platform.system()} {platform.machine()}), "
        f"{os.cpu_count()} cores; files in {folder.parent} ({_filesystem(folder)})\n"
        "Whole commands with every token in the environment, bytecode compiled before, one unmeasured run of each (of\n"
        "slow ones none), then medians. The cases of a section take turns; a ratio (x) is the median of the rounds'\n"
        "ratios. CPU is user + system of the process and its children. Other work on the machine lengthens the wall\n"
        "time, so a goal of work that computes is judged by CPU, and a goal of work that mostly waits by wall time."
    )


def _filesystem(folder: Path) -> str:
    """Return the type of the folder's file system: on tmpfs, durable writes cost nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown file system"


def render(section: Section) -> str:
    """Render the rows as an aligned table. A case that is compared with several others has its figures once."""
    rows: list[Sequence[str]] = [HEADINGS] if section.lines else []
    before: Measured | None = None
    for line in section.lines:
        figures = [""] * 7 if line.measured is before else _figures_cells(line.measured)
        rows.append((*figures, *_ratio_cells(line)))
        before = line.measured
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return (
        "\n".join([section.title, *(_align(row, widths) for row in rows), *(f"  {note}" for note in section.notes)])
        + "\n"
    )


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    parts = [
        cell.ljust(width) if at in (0, last) else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _figures_cells(measured: Measured) -> list[str]:
    wall, cpu = measured.wall_s, measured.cpu_s
    return [
        f"  {measured.name}",
        _milliseconds(wall.median),
        _range(wall),
        _milliseconds(cpu.median),
        _range(cpu),
        f"{measured.peak_mib:.1f}",
        str(len(measured.samples)),
    ]


def _ratio_cells(line: Line) -> list[str]:
    ratios = line.ratios()
    against = "" if line.against is None else line.against.name
    goals = [f"goal {_describe_goal(cost, ratios[cost], most)}" for cost, most in line.goals.items()]
    return [*(f"{ratios[cost]:.2f}" if cost in ratios else "" for cost in Cost), "; ".join([against, *goals])]


def _describe_goal(cost: Cost | str, ratio: float, most: float) -> str:
    return f"{cost} {most:g}: {'met' if ratio <= most else 'MISSED'}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}" if seconds < 1 else f"{seconds * 1000:,.0f}"


def _range(spread: Spread) -> str:
    return f"{_milliseconds(spread.least)}-{_milliseconds(spread.most)}"


# --- stored figures ----------------------------------------------------------------------------------


Figures = dict[tuple[str, str], dict[str, Any]]
"""By section and case: medians and least values of the seconds, peak memory, the ratios and their goals."""


def figures_of(section: Section) -> Figures:
    """Return the figures of all rows. A case that is compared with several others is kept once, with all ratios."""
    found: Figures = {}
    for line in section.lines:
        kept = found.setdefault((section.title, line.measured.name), _figures_of(line.measured))
        if line.against is not None:
            kept["ratios"][line.against.name] = {str(cost): ratio for cost, ratio in line.ratios().items()}
            kept["goals"][line.against.name] = {str(cost): most for cost, most in line.goals.items()}
    return found


def _figures_of(measured: Measured) -> dict[str, Any]:
    wall, cpu = measured.wall_s, measured.cpu_s
    return {
        "wall_s": wall.median,
        "wall_least_s": wall.least,
        "cpu_s": cpu.median,
        "cpu_least_s": cpu.least,
        "peak_mib": measured.peak_mib,
        "runs": len(measured.samples),
        "ratios": {},
        "goals": {},
    }


def describe_goals(figures: Figures) -> Iterator[str]:
    """Yield each goal with its figure."""
    for (section, case), values in figures.items():
        for against, goals in values["goals"].items():
            for cost, most in goals.items():
                ratio = values["ratios"][against][cost]
                yield f"{section} / {case}: {ratio:.2f} x {against}; goal {_describe_goal(cost, ratio, most)}"


def write_figures(path: Path, machine: str, figures: Figures) -> None:
    """Write the figures of a run as JSON, for a later `--against`."""
    rows = [{"section": section, "case": case, **values} for (section, case), values in figures.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "figures": rows}, indent=2) + "\n", encoding="utf-8")


def read_figures(path: Path) -> tuple[str, Figures]:
    """Return the machine and the figures of a stored run."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = {(row["section"], row["case"]): row for row in stored["figures"]}
    return stored["machine"], rows


def compare_figures(now: Figures, before: Figures, *, worth: float) -> Iterator[str]:
    """Name each case whose cost changed by more than the share `worth`, and those without a pair.

    The ratios to other processes' CPU are compared, as both were measured side by side, and the ratios that have a
    goal. For a case without them, it is the least CPU, to which other work on the machine only adds.
    """
    for key, values in now.items():
        name = " / ".join(key)
        if key not in before:
            yield f"new: {name}"
            continue
        old, new = _costs_of(before[key]), _costs_of(values)
        for what in sorted(old.keys() & new.keys()):
            ratio = new[what] / old[what] if old[what] else 1.0
            if abs(ratio - 1) > worth:
                yield f"{'MORE' if ratio > 1 else 'less'}: {name}: {what} {old[what]:.3f} -> {new[what]:.3f}"
    for key in sorted(before.keys() - now.keys()):
        yield f"not measured now: {' / '.join(key)}"


def _costs_of(values: Mapping[str, Any]) -> dict[str, float]:
    costs = {
        f"{cost} against {against}": ratio
        for against, ratios in values["ratios"].items()
        for cost, ratio in ratios.items()
        if cost == Cost.CPU or (cost == Cost.WALL and cost in values["goals"][against])
    }
    return {**(costs or {"least CPU s": values["cpu_least_s"]}), "peak MiB": values["peak_mib"]}
