"""What was observed of an environment, and what follows from it (CONTRACT §8).

    comparisons (core/account.py) ──> Observation
    Observation ── find_live ──> `live-drift` of a plan;  ── find_live_findings ──> findings of `drift --observe`

Live drift means one thing everywhere: Plug holds something else than what was last *applied*. Without an applied
record there is nothing to differ from; an unfinished intent stays in doubt whatever is seen, as not all seven
can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.masking import find_secretive, show_webhooks
from reconciler.model import Desired, Document, Event, Finding, FindingKind, Head, LiveDifference, Webhooks
from reconciler.text.counts import name_some

NO_ACCOUNT_ID = "no account_id in its manifest, so what Plug holds can't be read"


class Verdict(StrEnum):
    """What one read tells of one event."""

    SAME = "same"
    DIFFERENT = "different"
    UNSEEN = "unseen"  # not shown
    UNCOMPARED = "uncompared"  # shown, and nothing available to compare it with
    GARBLED = "garbled"  # shown in a form that is not documented: that much of the read failed


@dataclass(frozen=True, slots=True)
class EventComparison:
    """One event. `actual` goes with DIFFERENT, in the text form or masked; None: nothing is registered."""

    event: Event
    verdict: Verdict
    actual: str | None = None
    wanted: bool = False  # DIFFERENT from what was applied, but already what the manifest wants
    reason: str = ""  # of UNSEEN, UNCOMPARED and GARBLED


@dataclass(frozen=True, slots=True)
class Observation:
    """What was learnt of one environment. A read that failed has a `failure` and no comparisons."""

    comparisons: tuple[EventComparison, ...] = ()
    failure: str = ""
    observable: bool = True  # False: no account_id, nothing was read

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the read, or a part of it, failed; empty where it didn't."""
        garbled = (
            f"{comparison.event}: {comparison.reason}"
            for comparison in self.comparisons
            if comparison.verdict is Verdict.GARBLED
        )
        return (self.failure,) if self.failure else tuple(garbled)


UNOBSERVABLE = Observation(observable=False)


def find_past(document: Document | None) -> tuple[Webhooks, ...]:
    """What Plug may hold besides what was applied last: what an unfinished intent put, and what went before."""
    if document is None:
        return ()
    intended = () if document.intent is None else (document.intent.webhooks,)
    return (*intended, *(entry.webhooks for entry in document.history))


def find_live(observation: Observation, desired: Desired, head: Head | None) -> tuple[LiveDifference, ...]:
    """Return what a plan shows as live drift; nothing where nothing was applied."""
    applied = _show_applied(desired, head)
    if not applied:
        return ()
    return tuple(
        LiveDifference(comparison.event, comparison.actual, applied[comparison.event])
        for comparison in observation.comparisons
        if comparison.verdict is Verdict.DIFFERENT
    )


def _show_applied(desired: Desired | None, head: Head | None) -> Webhooks:
    """The URLs last applied, as they may be shown."""
    if head is None or head.applied is None:
        return {}
    return show_webhooks(head.applied.webhooks, find_secretive(desired, head))


def find_live_findings(
    environment: str, observation: Observation, desired: Desired | None, document: Head | None
) -> Iterator[Finding]:
    """`live` for what differs, `unobservable` for what could not be seen and why (CONTRACT §8)."""
    if not observation.observable:
        yield Finding(environment, FindingKind.UNOBSERVABLE, None, None, None, NO_ACCOUNT_ID)
    if observation.failure:
        message = f"the read failed: {observation.failure}"
        yield Finding(environment, FindingKind.UNOBSERVABLE, None, None, None, message)
    applied = _show_applied(desired, document)
    in_doubt = document is not None and document.intent is not None
    for comparison in observation.comparisons:
        if comparison.verdict is Verdict.DIFFERENT:
            message = _tell(comparison, in_doubt=in_doubt)
            expected = applied.get(comparison.event)
            yield Finding(environment, FindingKind.LIVE, comparison.event, expected, comparison.actual, message)
        elif comparison.verdict is not Verdict.SAME:
            yield Finding(environment, FindingKind.UNOBSERVABLE, comparison.event, None, None, comparison.reason)


def _tell(comparison: EventComparison, *, in_doubt: bool) -> str:
    what = (
        "nothing is registered in Plug" if comparison.actual is None else "Plug holds something else than was applied"
    )
    if comparison.wanted:
        return f"{what}: already what the manifest wants"
    return f"{what}, perhaps through the PUT in doubt" if in_doubt else what


def describe_unobserved(observations: Mapping[str, Observation]) -> tuple[str, ...]:
    """A warning for each reason for which reads failed, naming the environments: nothing is known of these."""
    failed: dict[str, list[str]] = defaultdict(list)
    for environment, observation in sorted(observations.items()):
        for fault in observation.faults:
            failed[fault].append(environment)
    return tuple(f"not observed: {name_some(names)}: {fault}" for fault, names in failed.items())
