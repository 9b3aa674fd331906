"""Whole processes, measured from outside: wall, CPU and peak memory, interleaved so that noise affects all equally."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
SPAWN = Path(__file__).with_name("spawn.py")
FOREIGN = ("PYTHON", "RECONCILER_", "PLUG_", "GITHUB_", "COVERAGE_")  # These variables would change the measurements.


@dataclass(frozen=True, slots=True)
class Sample:
    """The cost of one process."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Case:
    """A command, and what runs before each of its runs, unmeasured."""

    name: str
    argv: Sequence[str]
    folder: Path
    prepare: Callable[[], None] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of several runs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of the values."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples of one case, in the order of the rounds."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> Spread:
        return Spread.of([one.wall_s for one in self.samples])

    @property
    def cpu_s(self) -> Spread:
        return Spread.of([one.cpu_s for one in self.samples])

    @property
    def peak_mib(self) -> float:
        return median(one.peak_mib for one in self.samples)

    def ratio(self, other: Measured, cost: Callable[[Sample], float]) -> float:
        """Return the median of the rounds' ratios. In each round both ran one after the other."""
        return median(cost(one) / cost(another) for one, another in zip(self.samples, other.samples, strict=True))


def clean_environ() -> dict[str, str]:
    """Return the environment of every measured process: it uses bytecode, and has no variable of the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def reconciler(*arguments: str) -> list[str]:
    """Return the program's command line with the Python that runs the benchmarks."""
    script = Path(sys.executable).with_name("reconciler")
    program = [str(script)] if script.exists() else ["-m", "reconciler"]
    return [sys.executable, *program, *arguments]


def compile_bytecode() -> None:
    """Compile as an installation does, so that no run has to."""
    command = [sys.executable, "-m", "compileall", "-q", "reconciler"]
    subprocess.run(command, cwd=ROOT, env=clean_environ(), check=True)


def measure(cases: Sequence[Case], runs: int, *, warm: bool = True) -> list[Measured]:
    """Run an unmeasured round (unless not `warm`), then `runs` rounds of all cases, each in another order."""
    samples: dict[str, list[Sample]] = {case.name: [] for case in cases}
    for number in range(0 if warm else 1, runs + 1):
        first = number % len(cases)
        for case in (*cases[first:], *cases[:first]):
            sample = run_once(case)
            if number:
                samples[case.name].append(sample)
    return [Measured(case.name, tuple(samples[case.name])) for case in cases]


def run_once(case: Case) -> Sample:
    """Run a case once.

    Raises:
        RuntimeError: The command failed, so its figure means nothing, or the environment is too large for this system.
    """
    if case.prepare is not None:
        case.prepare()
    errors = case.folder / ".errors"
    command = [sys.executable, "-I", "-S", str(SPAWN), str(errors), *case.argv]
    environ = {**clean_environ(), **case.environ}
    try:
        done = subprocess.run(command, cwd=case.folder, env=environ, check=True, capture_output=True, text=True)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        size_kib = sum(len(name) + len(value) + 2 for name, value in environ.items()) // 1024
        hint = (
            "Linux takes a quarter of the stack limit: run `ulimit -s 8192` or more first, or measure a smaller fleet"
        )
        raise RuntimeError(f"{case.name}: {size_kib:,} KiB of variables are too many. {hint}") from error
    code, wall_s, cpu_s, peak_kib = done.stdout.split()
    if code != "0":
        raise RuntimeError(f"{case.name} ended with {code}: {errors.read_text(encoding='utf-8')}")
    return Sample(float(wall_s), float(cpu_s), int(peak_kib) / 1024)


def measure_sync_s(folder: Path) -> float:
    """Return the time to make 2 kB durable in the folder: on a busy disk an apply mostly waits for this."""
    times = []
    for number in range(50):
        begun = time.perf_counter()
        with (folder / f".probe-{number}").open("wb") as file:
            file.write(b"x" * 2000)
            file.flush()
            os.fsync(file.fileno())
        times.append(time.perf_counter() - begun)
        (folder / f".probe-{number}").unlink()
    return median(times)
