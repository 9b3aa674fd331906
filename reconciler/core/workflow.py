"""Decisions of the steps of a GitHub workflow, from the results that its jobs left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.where import join_places
from reconciler.model import RunResult

RESULT_PREFIX = "result-"  # of the artifacts that apply.yml uploads: the environment follows
OF_ALL = ("result-plan", "result-fleet")  # of the jobs that speak for every environment


@dataclass(frozen=True, slots=True)
class JobReport:
    """What one job of an apply left, below the name of its artifact: a result, or only a text."""

    name: str
    result: RunResult | None = None
    text: str = ""


def find_silent(planned: Iterable[str], reports: Iterable[JobReport]) -> list[str]:
    """The planned environments whose job left nothing: refused, cancelled, held back, or ended before its apply."""
    silent = dict.fromkeys(planned)
    for report in reports:
        if report.result is None and report.name in OF_ALL:
            return []
        silent.pop(report.name.removeprefix(RESULT_PREFIX), None)
        for one in report.result.environments if report.result else ():
            silent.pop(one.environment, None)
    return list(silent)


def join_results(results: Iterable[RunResult]) -> RunResult | None:
    """The results of several jobs as one, each environment's last, by name; None without any."""
    found = list(results)
    last = {one.environment: one for result in found for one in result.environments}
    where = join_places([result.where for result in found if result.where is not None])
    return RunResult(tuple(one for _, one in sorted(last.items())), where=where) if found else None


def fit(texts: Sequence[str], room: int) -> tuple[list[str], int]:
    """The texts that fit into `room` characters together, each as a whole, and the number of those left out."""
    kept: list[str] = []
    for text in texts:
        if sum(map(len, kept)) + len(text) < room:
            kept.append(text)
    return kept, len(texts) - len(kept)
