"""Render the figures as an aligned table or JSON, and compare them with an earlier run."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Measured, Spread

HEADINGS = ("", "wall ms", "min-max", "CPU ms", "min-max", "peak MiB", "runs", "wall x", "CPU x", "against")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a case, and what it is compared with (another case, or an ideal in seconds of wall).

    `goal` is the ratio that it should not pass.
    """

    measured: Measured
    against: Measured | None = None
    ideal_s: float | None = None
    ideal: str = ""
    goal: str = ""


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
        "Whole processes; bytecode compiled before, one unmeasured run of each, then medians; cases of a section "
        "take turns.\nA ratio is the median of the rounds' ratios. CPU is user + system of the process alone."
    )


def _filesystem(folder: Path) -> str:
    """Return the type of the folder's file system: on tmpfs, durable writes cost nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown file system"


def render(sections: Iterable[Section]) -> str:
    """Render all sections under one heading, with columns aligned over all of them."""
    sections = list(sections)
    rows = {id(line): _cells(line) for section in sections for line in section.lines}
    widths = [max(len(row[at]) for row in (HEADINGS, *rows.values())) for at in range(len(HEADINGS))]
    out = [_align(HEADINGS, widths)]
    for section in sections:
        out += ["", section.title, *(_align(rows[id(line)], widths) for line in section.lines)]
        out += [f"  {note}" for note in section.notes]
    return "\n".join(out) + "\n"


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    parts = [
        cell.ljust(width) if at in (0, last) else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _cells(line: Line) -> tuple[str, ...]:
    measured = line.measured
    wall, cpu = measured.wall_s, measured.cpu_s
    wall_x = cpu_x = against = ""
    if line.against is not None:
        wall_x = f"{measured.wall_ratio(line.against):.2f}"
        cpu_x = f"{measured.cpu_ratio(line.against):.2f}"
        against = line.against.name.strip()
    elif line.ideal_s:
        wall_x, against = f"{wall.median / line.ideal_s:.3f}", line.ideal
    against += f"; goal {line.goal}" if line.goal else ""
    return (
        f"  {measured.name}",
        _milliseconds(wall.median),
        _range(wall),
        _milliseconds(cpu.median),
        _range(cpu),
        f"{measured.peak_mib:.1f}",
        str(len(measured.samples)),
        wall_x,
        cpu_x,
        against,
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}" if seconds < 1 else f"{seconds * 1000:,.0f}"


def _range(spread: Spread) -> str:
    return f"{_milliseconds(spread.least)}-{_milliseconds(spread.most)}"


# --- stored figures ----------------------------------------------------------------------------------


Figures = dict[tuple[str, str], dict[str, Any]]
"""By section and case: medians and least values of the seconds, peak memory, and the ratios."""


def figures_of(sections: Iterable[Section]) -> Figures:
    """Return the figures of all rows. A case that is compared with two others is kept once, with both ratios."""
    found: Figures = {}
    for section in sections:
        for line in section.lines:
            one = line.measured
            kept = found.setdefault((section.title, one.name.strip()), _figures_of(one))
            if line.against is not None:
                ratios = {"wall": one.wall_ratio(line.against), "cpu": one.cpu_ratio(line.against), "goal": line.goal}
                kept["ratios"][line.against.name.strip()] = ratios
            elif line.ideal_s:
                kept["ratios"]["ideal"] = {"wall": one.wall_s.median / line.ideal_s, "goal": line.goal}
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
    }


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

    For a case with a floor, the ratio to it is compared, as both were measured side by side; for another, the least
    CPU, to which other work on the machine only adds.
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
    for key in before.keys() - now.keys():
        yield f"not measured now: {' / '.join(key)}"


def _costs_of(values: Mapping[str, Any]) -> dict[str, float]:
    costs = {f"CPU against {floor}": ratios["cpu"] for floor, ratios in values["ratios"].items() if "cpu" in ratios}
    return {**(costs or {"least CPU s": values["cpu_least_s"]}), "peak MiB": values["peak_mib"]}
