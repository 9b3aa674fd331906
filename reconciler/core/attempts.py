"""One PUT attempt as data, and the decision what to do after the attempts made so far.

See docs/contract.md#retries, docs/contract.md#outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

# 408, 425 and 429 ask the client to try again; a retry can fix these 5xx (docs/contract.md#retries)
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0


class Fate(StrEnum):
    """The kinds of attempt, by what is known of its effect (docs/glossary.md)."""

    DEFINITE = "definite"  # its answer says whether Plug acted
    UNSENT = "unsent"  # no byte of the request was written
    AMBIGUOUS = "ambiguous"  # anything else: Plug may or may not have acted


class Attempt(Struct, frozen=True):
    """The result of one attempt. `message` is in the program's own words and repeats nothing of the answer."""

    fate: Fate
    status: int | None = None  # of a complete answer, or of a cut one whose status line arrived
    complete: bool = False  # enough of an answer arrived to decide on it (`answers.judge`)
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
    """Return the fate of an attempt that got an answer with this status.

    The status line of a 3xx or 4xx is enough, except for 408: the server did not get the whole request in time.
    """
    if 300 <= status < 500 and status != 408:
        return Fate.DEFINITE
    if 200 <= status < 300 and complete:
        return Fate.DEFINITE
    return Fate.AMBIGUOUS


class Send(Struct, frozen=True):
    pass


class Wait(Struct, frozen=True):
    """Sleep this long, then send, unless the deadline has passed or the run has ended by then."""

    seconds: float


class Done(Struct, frozen=True):
    pass


def next_step(
    made: Sequence[Attempt], *, limit: int, deadline_s: float, elapsed_s: float, jitter: float
) -> Send | Wait | Done:
    """Return the step after the attempts `made` (oldest first): wait and retry, or stop. Without any: send.

    `elapsed_s` counts from the start of the first attempt; `jitter` is random in [0, 1).
    The wait is exponential backoff with full jitter, and at least `Retry-After` if the server sent it.
    """
    if not made:
        return Send()
    last = made[-1]
    if last.confirmed or not last.retriable or len(made) >= limit:
        return Done()
    backoff = jitter * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** (len(made) - 1))
    # Retry-After gets a little jitter too, so that not all workers send in the same instant
    wait = backoff if last.retry_after_s is None else last.retry_after_s + backoff * 0.1
    if elapsed_s + wait >= deadline_s:
        return Done()
    return Wait(wait)
