"""One PUT attempt as data, and what to do after those made so far.

See docs/contract.md#retries, docs/contract.md#outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# 408, 425 and 429 ask to come again; the 5xx are those that a retry can fix (docs/contract.md#retries)
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0


class Fate(StrEnum):
    """What is known of an attempt once it is over."""

    DEFINITE = "definite"  # a complete answer that says what became of the request
    UNSENT = "unsent"  # no byte of the request was written
    AMBIGUOUS = "ambiguous"  # anything else: Plug may or may not have acted


@dataclass(frozen=True, slots=True)
class Attempt:
    """`message` is in the program's own words and holds nothing of the server's answer."""

    fate: Fate
    status: int | None = None  # of a complete answer, or of a cut one whose status line arrived
    complete: bool = False  # as much of an answer arrived as decides (`answers.judge`)
    denied: bool = False  # the body was JSON with "value": false
    retry_after_s: float | None = None
    message: str = ""

    @property
    def confirmed(self) -> bool:
        """A complete 2xx whose body does not say `"value": false`."""
        return self.complete and self.status is not None and 200 <= self.status < 300 and not self.denied

    @property
    def retriable(self) -> bool:
        return not self.complete or self.status in RETRIED_STATUSES


def classify_answer(status: int, *, complete: bool) -> Fate:
    """The fate of an attempt that got an answer with this status.

    Of a 3xx or 4xx the status line is enough, but of 408, which says that the server waited in vain.
    """
    if 300 <= status < 500 and status != 408:
        return Fate.DEFINITE
    if 200 <= status < 300 and complete:
        return Fate.DEFINITE
    return Fate.AMBIGUOUS


@dataclass(frozen=True, slots=True)
class Send:
    pass


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep this long, then send, unless the deadline or the run is over by then."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    pass


def next_step(
    made: Sequence[Attempt], *, limit: int, deadline_s: float, elapsed_s: float, jitter: float
) -> Send | Wait | Done:
    """After the attempts `made` (oldest first): wait and retry, or stop. With none made: send.

    `elapsed_s` counts from the start of the first attempt; `jitter` is random in [0, 1).
    The wait is exponential backoff with full jitter, at least `Retry-After` where the server gave one.
    """
    if not made:
        return Send()
    last = made[-1]
    if last.confirmed or not last.retriable or len(made) >= limit:
        return Done()
    backoff = jitter * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** (len(made) - 1))
    # a little jitter on top of Retry-After as well, or all workers come back in the same instant
    wait = backoff if last.retry_after_s is None else last.retry_after_s + backoff * 0.1
    if elapsed_s + wait >= deadline_s:
        return Done()
    return Wait(wait)
