"""Apply of a new fleet, and plan and apply with the state in each kind of store."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from reconciler.text.counts import environments
from tests.benchmarks.bench import (
    CONCURRENCY,
    LARGEST_OFTEN,
    LATENCY_S,
    REQUEST_S,
    Bench,
    aws_environ,
    floor,
    run,
    run_bucket,
    run_sandbox,
)
from tests.benchmarks.fleet import Fleet
from tests.benchmarks.measure import Case, Measured, measure, measure_sync_s
from tests.benchmarks.peers import APPLY_PEER, APPLY_SCRIPT, APPLY_TOOLS, describe_missing, find_missing
from tests.benchmarks.report import Cost, Ideal, Line, Section
from tests.contract.remotes import git, make_remote

IDEAL_GOALS = {1000: {Cost.WALL: 1.15}, 10_000: {Cost.WALL: 1.05}}  # by size
CPU_MS_GOAL = {Cost.CPU: 1.2}  # ms an environment
PEER_GOAL = {Cost.WALL: 1}
STORE_GOAL = {Cost.WALL: 1.15}  # against the folder


def measure_apply(bench: Bench) -> Iterator[Section]:
    """Measure the first PUT of all environments, each with its token, with the state durable on disk."""
    for size in bench.sizes:
        fleet = bench.fleet("apply", size)
        for latency_s in (LATENCY_S, 0.0):
            yield _measure_apply(bench, fleet, latency_s)


def _measure_apply(bench: Bench, fleet: Fleet, latency_s: float) -> Section:
    size = fleet.count
    missing = find_missing(APPLY_TOOLS)
    before_s = measure_sync_s(bench.folder)
    with run_sandbox(latency_s) as url:
        cases = [
            floor("floor: prebuilt PUTs over sockets", fleet, "put", url, str(CONCURRENCY)),
            replace(_apply("apply", fleet, url), prepare=fleet.forget),
        ]
        if not missing:
            environ = {**fleet.environ, "BENCH_URL": url, "BENCH_CONCURRENCY": str(CONCURRENCY)}
            cases.append(Case(APPLY_PEER, ["/bin/sh", "-c", APPLY_SCRIPT], fleet.folder, environ=environ))
        floor_, applied, *peer = measure(cases, bench.runs(4, size), warm=size <= LARGEST_OFTEN)
    after_s = measure_sync_s(bench.folder)
    notes = [
        f"a synced write of 2 kB to a new file took {before_s * 1000:.2f} ms before, {after_s * 1000:.2f} ms after; "
        "an environment has two",
        "the sandbox is a process of its own on the same cores; each run begins without a state",
    ]
    notes += [describe_missing(APPLY_PEER, missing)] if missing else []
    title = f"apply: {environments(size)}, latency {latency_s * 1000:.0f} ms, concurrency {CONCURRENCY}, folder"
    return Section(title, list(_make_apply_lines(size, latency_s, floor_, applied, peer)), notes)


def _make_apply_lines(
    size: int, latency_s: float, floor_: Measured, applied: Measured, peer: list[Measured]
) -> Iterator[Line]:
    """Yield the rows: all against the ideal if there is one, and the program against the others."""
    ideal_s = max(latency_s, size * latency_s / CONCURRENCY)
    ideal = Ideal(f"the ideal of {ideal_s:.3f} s", {Cost.WALL: ideal_s}) if latency_s else None
    unit = Ideal("1 ms of CPU an environment", {Cost.CPU: size / 1000})
    judged = ideal is not None and size >= LARGEST_OFTEN
    yield from (Line(one, ideal) for one in (floor_, *peer))
    if ideal is not None:
        yield Line(applied, ideal, IDEAL_GOALS.get(size, {}))
    yield Line(applied, floor_)
    yield from (Line(applied, one, PEER_GOAL if judged else {}) for one in peer)
    if size >= LARGEST_OFTEN:  # In a smaller fleet it is mostly the start.
        yield Line(applied, unit, CPU_MS_GOAL if judged else {})


def _apply(name: str, fleet: Fleet, url: str) -> Case:
    return run(name, fleet, "apply", "--yes", "--concurrency", str(CONCURRENCY), *fleet.flags(url))


def _plan(name: str, fleet: Fleet, url: str) -> Case:
    return run(name, fleet, "plan", *fleet.flags(url))


# --- stores ------------------------------------------------------------------------------------------


def measure_stores(bench: Bench) -> Iterator[Section]:
    """Measure apply and plan on a git branch and on an object store, in turns with the folder."""
    for size in bench.sizes:
        if size >= min(LARGEST_OFTEN, max(bench.sizes)):
            yield from _measure_stores(bench, size)


def _measure_stores(bench: Bench, size: int) -> Iterator[Section]:
    fleet = bench.fleet("stores", size)
    remote = make_remote(fleet.folder)
    with run_sandbox(LATENCY_S) as url, run_bucket(REQUEST_S) as bucket:
        fleet = replace(fleet, environ={**fleet.environ, **aws_environ(bucket)})
        check_out = partial(_check_out, fleet.folder, remote)
        applies, plans = [], []
        for name, setting, empty in (
            ("folder", str(fleet.state), fleet.forget),
            ("git", "git:origin/state", partial(_delete_branch, remote)),
            ("object store", "s3://bench/state", partial(_delete_objects, bucket)),
        ):
            apply_, plan = _apply(f"apply, {name}", fleet, url), _plan(f"plan, none changed, {name}", fleet, url)
            state = ["--state", setting]
            applies.append(replace(apply_, argv=[*apply_.argv, *state], prepare=partial(_call_both, check_out, empty)))
            plans.append(replace(plan, argv=[*plan.argv, *state], prepare=check_out))
        applied = measure(applies, bench.runs(4, size), warm=size <= LARGEST_OFTEN)
        pushes = git(remote, "rev-list", "--count", "state").strip()
        planned = measure(plans, bench.runs(7, size))
    notes = [
        f"git: a bare repository on the same disk, a new checkout for each run; {pushes} pushes for the apply",
        f"object store: each request is answered after {REQUEST_S * 1000:.0f} ms",
        "sandbox and object store are processes of their own on the same cores",
    ]
    title = f"stores: {environments(size)}"
    yield Section(f"{title}, latency {LATENCY_S * 1000:.0f} ms, concurrency {CONCURRENCY}", _compare(applied), notes)
    yield Section(f"{title}, none changed", _compare(planned))


def _check_out(folder: Path, remote: Path) -> None:
    """Begin as a job does, with a new shallow checkout, so that nothing is left of an earlier fetch."""
    shutil.rmtree(folder / ".git", ignore_errors=True)
    git(folder, "init", "-q")
    git(folder, "remote", "add", "origin", f"file://{remote}")
    git(folder, "fetch", "-q", "--depth", "1", "origin", "main")
    git(folder, "reset", "-q", "FETCH_HEAD")


def _call_both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _delete_branch(remote: Path) -> None:
    git(remote, "update-ref", "-d", "refs/heads/state")


def _compare(measured: list[Measured]) -> list[Line]:
    folder, *others = measured
    return [Line(folder), *(Line(one, folder, STORE_GOAL) for one in others)]


def _delete_objects(bucket: str) -> None:
    request = urllib.request.Request(bucket, method="DELETE")
    urllib.request.urlopen(request, timeout=60).close()
