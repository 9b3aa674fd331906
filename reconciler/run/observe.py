"""Reads of many accounts: `concurrency` at a time, within the rate limit, with retries (docs/contract.md#drift)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import count
from typing import TypeVar

from msgspec import Struct

from reconciler.core.attempts import Attempt, Done, Wait, next_step
from reconciler.core.observe import UNOBSERVABLE, EventComparison, Observation, find_past
from reconciler.model import Desired, Document
from reconciler.ports import Clock, Observer
from reconciler.run.pace import Pace
from reconciler.run.pool import for_each

T = TypeVar("T")
logger = logging.getLogger(__name__)


class ObserveOptions(Struct, frozen=True):
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
    """Read one account, with retries as for a PUT, and compare it with `document`'s applied record.

    See docs/contract.md#retries.

    The environment has an account_id. `sleep` may end early; no retry is made after `stopped` returns True.
    """
    applied, past = document.applied if document else None, find_past(document)

    async def read() -> tuple[Attempt, tuple[EventComparison, ...] | None]:
        reading = await observer.read(desired, applied, past)
        return reading.attempt, reading.comparisons

    retries = Retries(clock, options, pace, sleep or clock.sleep, stopped)
    found = await read_with_retries(desired.environment, read, retries)
    return Observation(failure=found) if isinstance(found, str) else Observation(found)


class Retries(Struct, frozen=True):
    """The settings that the attempts of one read share.

    `sleep` may end early; no retry is made after `stopped` returns True.
    """

    clock: Clock
    options: ObserveOptions
    pace: Pace
    sleep: Callable[[float], Awaitable[None]]
    stopped: Callable[[], bool] = lambda: False


async def read_with_retries(
    environment: str, read: Callable[[], Awaitable[tuple[Attempt, T | None]]], given: Retries
) -> T | str:
    """Call `read` until an attempt has a result, with retries as for a PUT (docs/contract.md#retries).

    Returns the result, or the reason of the last failed attempt.
    """
    clock, options, pace, rest = given.clock, given.options, given.pace, given.sleep
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
            return _describe_failure(made)
        if isinstance(step, Wait):
            logger.info("%s: next read of its account in %.1f s", environment, step.seconds)
            await rest(step.seconds)
        if made and clock.monotonic() - begun >= options.deadline_s:
            return _describe_failure(made)
        waiting_since = clock.monotonic()
        await pace.wait(rest)
        begun += clock.monotonic() - waiting_since  # waiting for a slot doesn't count against the deadline
        if made and given.stopped():
            return _describe_failure(made)
        sent_at = clock.monotonic()
        attempt, result = await read()
        pace.slow_down_after(attempt, sent_at)
        _log_read(environment, len(made) + 1, attempt, clock.monotonic() - sent_at)
        if result is not None:
            return result
        made.append(attempt)


def _log_read(environment: str, number: int, attempt: Attempt, seconds: float) -> None:
    answer = "no status" if attempt.status is None else str(attempt.status)
    logger.info("%s: read %d of its account: %s in %.3f s", environment, number, answer, seconds)
    logger.debug("%s: read %d of its account: %s", environment, number, attempt.message)


def _describe_failure(made: list[Attempt]) -> str:
    tries = f" (tried {len(made)} times)" if len(made) > 1 else ""
    return (made[-1].message or "no reason was given") + tries
