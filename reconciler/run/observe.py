"""Reads of many accounts: `concurrency` at a time, within the rate limit, with retries (CONTRACT §8)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from reconciler.core.attempts import Attempt, Done, Wait, next_step
from reconciler.core.observe import UNOBSERVABLE, Observation, find_past
from reconciler.model import Desired, Document
from reconciler.ports import Clock, Observer
from reconciler.run.pace import Pace
from reconciler.run.pool import for_each

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObserveOptions:
    """The settings of a run's reads; times in seconds."""

    concurrency: int
    attempts: int
    deadline_s: float
    report: Callable[[int, int], None] = lambda done, total: None  # called after each account


async def observe_all(
    desired: Iterable[Desired],
    documents: Mapping[str, Document],
    observer: Observer,
    clock: Clock,
    options: ObserveOptions,
    pace: Pace,
) -> dict[str, Observation]:
    """Return an observation of each environment, UNOBSERVABLE for one without an account_id.

    `pace` is that of the whole run: these reads and the PUTs after them share one rate limit.
    """
    wanted = list(desired)
    found = {one.environment: UNOBSERVABLE for one in wanted}
    observable = [one for one in wanted if one.account_id is not None]
    done = count(1)

    async def observe(one: Desired) -> None:
        document = documents.get(one.environment)
        found[one.environment] = await observe_one(one, document, observer, clock, options, pace)
        options.report(next(done), len(observable))

    await for_each(observable, options.concurrency, observe)
    return found


async def observe_one(
    desired: Desired,
    document: Document | None,
    observer: Observer,
    clock: Clock,
    options: ObserveOptions,
    pace: Pace,
    *,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Observation:
    """Read one account, with retries as for a PUT (§6.6), and compare it with `document`'s applied record.

    The environment has an account_id. `sleep` may end early; no retry is made after `stopped` returns True.
    """
    rest = sleep or clock.sleep
    applied = document.applied if document else None
    made: list[Attempt] = []
    begun = clock.monotonic()
    while True:
        step = next_step(
            made,
            limit=options.attempts,
            deadline_s=options.deadline_s,
            elapsed_s=clock.monotonic() - begun,
            jitter=clock.jitter(),
        )
        if isinstance(step, Done):
            return _failed(made)
        if isinstance(step, Wait):
            logger.info("%s: next read of its account in %.1f s", desired.environment, step.seconds)
            await rest(step.seconds)
        if made and clock.monotonic() - begun >= options.deadline_s:
            return _failed(made)
        waiting_since = clock.monotonic()
        await pace.wait(rest)
        begun += clock.monotonic() - waiting_since  # what is spent on waiting for a slot is no part of the deadline
        if made and stopped():
            return _failed(made)
        sent_at = clock.monotonic()
        reading = await observer.read(desired, applied, find_past(document))
        pace.slow_down_after(reading.attempt, sent_at)
        _log_read(desired.environment, len(made) + 1, reading.attempt, clock.monotonic() - sent_at)
        if reading.comparisons is not None:
            return Observation(reading.comparisons)
        made.append(reading.attempt)


def _log_read(environment: str, number: int, attempt: Attempt, seconds: float) -> None:
    answer = "no status" if attempt.status is None else str(attempt.status)
    logger.info("%s: read %d of its account: %s in %.3f s", environment, number, answer, seconds)
    logger.debug("%s: read %d of its account: %s", environment, number, attempt.message)


def _failed(made: list[Attempt]) -> Observation:
    tries = f" (tried {len(made)} times)" if len(made) > 1 else ""
    return Observation(failure=(made[-1].message or "no reason was given") + tries)
