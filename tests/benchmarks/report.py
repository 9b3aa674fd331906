"""The figures as a plain aligned table on stdout."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import Measured, Spread

HEADINGS = ("", "wall ms", "min-max", "CPU ms", "min-max", "peak MiB", "runs", "wall x", "CPU x", "against")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a case, and what it is held against (another case, or an ideal in seconds of wall)."""

    measured: Measured
    against: Measured | None = None
    ideal_s: float | None = None
    ideal: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one figure, and what they say in words."""

    title: str
    lines: Sequence[Line]
    notes: Sequence[str] = ()


def describe_machine(folder: Path) -> str:
    """What the figures depend on."""
    return (
        f"Python {platform.python_version()} ({sys.implementation.name}, {platform.system()} {platform.machine()}), "
        f"{os.cpu_count()} cores; files in {folder.parent} ({_filesystem(folder)})\n"
        "Whole processes; bytecode compiled before, one unmeasured run of each, then medians; cases of a section "
        "take turns.\nA ratio is the median of the rounds' ratios. CPU is user + system of the process alone."
    )


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds the folder: on tmpfs durable writes cost nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown file system"


def render(sections: Iterable[Section]) -> str:
    """All sections under one heading, columns aligned over all of them."""
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
