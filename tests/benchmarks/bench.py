"""The amount of measurements, their folder, and the servers beside the measured processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fleet import Fleet, make_fleet, make_jwt
from tests.benchmarks.measure import Case, clean_environ, reconciler

CONCURRENCY = 16
LATENCY_S = 0.05
REQUEST_S = 0.02  # of the object store
LARGEST_OFTEN = 1000  # Larger fleets are measured fewer times.
FLOORS = Path(__file__).with_name("floors.py")
BUCKET = Path(__file__).with_name("bucket.py")


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
        return make_fleet(self.folder / f"{name}-{count}", count, make_jwt)


def run(name: str, fleet: Fleet, *arguments: str) -> Case:
    """Return a process of the program on the fleet, with all tokens in its environment."""
    return Case(name, reconciler(*arguments), fleet.folder, environ=fleet.environ)


def floor(name: str, fleet: Fleet, *arguments: str) -> Case:
    """Return a process of `floors.py`, with the same environment as the program."""
    return Case(name, [sys.executable, str(FLOORS), *arguments], fleet.folder, environ=fleet.environ)


@contextmanager
def run_sandbox(latency_s: float) -> Iterator[str]:
    """Yield the base URL of a sandbox in a separate process."""
    with _serve(reconciler("sandbox", "--port", "0", "--latency", str(latency_s))) as url:
        yield url


@contextmanager
def run_bucket(request_s: float) -> Iterator[str]:
    """Yield the URL of an object store in a separate process, which answers each request after `request_s`."""
    with _serve([sys.executable, str(BUCKET), str(request_s)]) as url:
        yield url


def aws_environ(bucket: str) -> dict[str, str]:
    """Return the variables with which a process uses the object store at this URL."""
    return {
        "AWS_ENDPOINT_URL": bucket,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
    }


@contextmanager
def _serve(command: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen(command, env=clean_environ(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"it did not start: {' '.join(command)}")
            yield url
        finally:
            process.terminate()
