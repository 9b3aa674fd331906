"""The outcome of an environment's attempts: the table of docs/contract.md#outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.attempts import Attempt, Fate
from reconciler.model import Outcome


def classify(attempts: Sequence[Attempt], *, doubt: bool) -> Outcome:
    """Return the outcome of the attempts made under one intent, oldest first.

    `doubt` is the intent's: an earlier intent was unfinished, so only a 2xx may end the doubt. Without any attempt
    the result is the one of an unsent attempt.
    """
    if attempts and attempts[-1].confirmed:
        return Outcome.APPLIED
    if doubt or any(attempt.fate is Fate.AMBIGUOUS for attempt in attempts):
        return Outcome.UNCERTAIN
    if all(attempt.fate is Fate.UNSENT for attempt in attempts):
        return Outcome.FAILED
    if attempts[-1].fate is Fate.DEFINITE:
        return Outcome.REJECTED
    return Outcome.UNCERTAIN
