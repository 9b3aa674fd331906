"""The observation of an environment's account, and the live drift that follows from it (docs/contract.md#drift).

    comparisons (core/partner_account.py) ──> Observation
    Observation ── find_live ──> `live-drift` of a plan;  ── find_live_findings ──> findings of `drift --observe`

Live drift always means that Plug holds another URL than the one *applied* last. So without an applied record there is
no live drift. An unfinished intent stays in doubt even if all visible events match, as an account never shows all
seven.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from reconciler.core.masking import find_secretive, show_webhooks
from reconciler.model import Desired, Document, Event, Finding, FindingKind, Head, LiveDifference, Webhooks
from reconciler.text.counts import name_some

NO_ACCOUNT_ID = "no account_id in its manifest, so what Plug holds can't be read"


class Verdict(StrEnum):
    """The results of comparing one event with an account."""

    SAME = "same"
    DIFFERENT = "different"
    UNSEEN = "unseen"  # not shown
    UNCOMPARED = "uncompared"  # shown, but a secret is missing to compare it
    GARBLED = "garbled"  # shown in a form that is not documented, so the read of this event failed


class EventComparison(Struct, frozen=True):
    """The comparison of one event. `actual` is for DIFFERENT, in text form or masked; None: nothing is registered."""

    event: Event
    verdict: Verdict
    actual: str | None = None
    wanted: bool = False  # DIFFERENT from what was applied, but already what the manifest wants
    reason: str = ""  # of UNSEEN, UNCOMPARED and GARBLED


class Observation(Struct, frozen=True):
    """The result of reading one environment's account. A read that failed has a `failure` and no comparisons."""

    comparisons: tuple[EventComparison, ...] = ()
    failure: str = ""
    observable: bool = True  # False: no account_id, nothing was read

    @property
    def faults(self) -> tuple[str, ...]:
        """The reasons why the read, or a part of it, failed; empty if nothing failed."""
        garbled = (
            f"{comparison.event}: {comparison.reason}"
            for comparison in self.comparisons
            if comparison.verdict is Verdict.GARBLED
        )
        return (self.failure,) if self.failure else tuple(garbled)


UNOBSERVABLE = Observation(observable=False)


def find_past(document: Document | None) -> tuple[Webhooks, ...]:
    """Return other webhooks that Plug may hold than the applied ones: those of an unfinished intent and the history."""
    if document is None:
        return ()
    intended = () if document.intent is None else (document.intent.webhooks,)
    return (*intended, *(entry.webhooks for entry in document.history))


def find_live(observation: Observation, desired: Desired, head: Head | None) -> tuple[LiveDifference, ...]:
    """Return the live drift that a plan shows; nothing if nothing was applied."""
    applied = _show_applied(desired, head)
    if not applied:
        return ()
    return tuple(
        LiveDifference(comparison.event, comparison.actual, applied[comparison.event])
        for comparison in observation.comparisons
        if comparison.verdict is Verdict.DIFFERENT
    )


def _show_applied(desired: Desired | None, head: Head | None) -> Webhooks:
    """Return the applied URLs, masked as they may be shown."""
    if head is None or head.applied is None:
        return {}
    return show_webhooks(head.applied.webhooks, find_secretive(desired, head))


def find_live_findings(
    environment: str, observation: Observation, desired: Desired | None, document: Head | None
) -> Iterator[Finding]:
    """Yield a `live` finding for each difference, an `unobservable` one for each event that could not be compared.

    See docs/contract.md#drift.
    """
    if not observation.observable:
        yield Finding(environment, FindingKind.UNOBSERVABLE, None, None, None, NO_ACCOUNT_ID)
    if observation.failure:
        message = f"the read failed: {observation.failure}"
        yield Finding(environment, FindingKind.UNOBSERVABLE, None, None, None, message)
    applied = _show_applied(desired, document)
    in_doubt = document is not None and document.intent is not None
    for comparison in observation.comparisons:
        if comparison.verdict is Verdict.DIFFERENT:
            message = _describe_difference(comparison, in_doubt=in_doubt)
            expected = applied.get(comparison.event)
            yield Finding(environment, FindingKind.LIVE, comparison.event, expected, comparison.actual, message)
        elif comparison.verdict is not Verdict.SAME:
            yield Finding(environment, FindingKind.UNOBSERVABLE, comparison.event, None, None, comparison.reason)


def _describe_difference(comparison: EventComparison, *, in_doubt: bool) -> str:
    what = (
        "nothing is registered in Plug" if comparison.actual is None else "Plug holds something else than was applied"
    )
    if comparison.wanted:
        return f"{what}: already what the manifest wants"
    return f"{what}, perhaps through the PUT in doubt" if in_doubt else what


def describe_unobserved(observations: Mapping[str, Observation]) -> tuple[str, ...]:
    """Return a warning for each reason why reads failed, with the environments that it concerns."""
    failed: dict[str, list[str]] = defaultdict(list)
    for environment, observation in sorted(observations.items()):
        for fault in observation.faults:
            failed[fault].append(environment)
    return tuple(f"not observed: {name_some(names)}: {fault}" for fault, names in failed.items())
