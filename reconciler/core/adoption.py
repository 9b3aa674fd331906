"""Whether what was read of an account lets its manifest be recorded as applied without a PUT (CONTRACT §4).

observation, compared with what would be recorded ── judge_adoption ──> Sighting
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.core.imports import looks_random
from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.model import Desired, Document, Problem

_VOUCH = "--unverified records it anyway: you say that Plug holds what the manifest says"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of one environment.

    `unread` says why nothing was; empty where the account was read. `uncompared` are the events that it shows, but that
    could not be compared.
    """

    unread: str = ""
    differing: tuple[EventComparison, ...] = ()
    uncompared: tuple[EventComparison, ...] = ()
    unseen: tuple[EventComparison, ...] = ()


def judge_adoption(observation: Observation | None, *, no_token: str) -> Sighting:
    """`observation` compares the account with what would be recorded. None: there was no token to read it with."""
    if observation is None:
        return Sighting(unread=no_token)
    if not observation.observable:
        return Sighting(unread="its manifest has no account_id")
    if observation.failure:
        return Sighting(unread=observation.failure)

    def having(*verdicts: Verdict) -> tuple[EventComparison, ...]:
        return tuple(one for one in observation.comparisons if one.verdict in verdicts)

    return Sighting(
        differing=having(Verdict.DIFFERENT),
        uncompared=having(Verdict.UNCOMPARED, Verdict.GARBLED),
        unseen=having(Verdict.UNSEEN),
    )


def find_adoption_problems(desired: Desired, sighting: Sighting, *, unverified: bool) -> Iterator[Problem]:
    """Yield the reasons why an environment is not adopted. A difference is one whatever the user says."""
    for seen in sighting.differing:
        held = "nothing is registered in Plug" if seen.actual is None else f"Plug holds {_mask_path(seen.actual)}"
        message = f"{held}, which is not what the manifest of {desired.environment} says"
        hint = "correct the manifest, or send it with `reconciler apply`"
        yield Problem.at(desired.sources[seen.event], f"webhooks.{seen.event}", message, hint)
    if unverified:
        return
    if sighting.unread:
        message = f"nobody read what Plug holds of {desired.environment}: {sighting.unread}"
        yield Problem.at(desired.source, "account_id", message, _VOUCH)
    for seen in sighting.uncompared:
        message = f"what Plug holds of {desired.environment} was not compared: {seen.reason}"
        yield Problem.at(desired.sources[seen.event], f"webhooks.{seen.event}", message, _VOUCH)


def _mask_path(url: str) -> str:
    """Return a URL with `…` for each part of its path that may be a key: nobody has named it as a secret yet."""
    address, question_mark, query = url.partition("?")
    parts = address.split("/")
    path = ["…" if looks_random(part) else part for part in parts[3:]]  # behind `https:`, nothing and the host
    return "/".join([*parts[:3], *path]) + question_mark + query


def is_recorded(before: Document | None, after: Document) -> bool:
    """Whether an adoption would record nothing new: neither a value nor the end of a doubt."""
    if before is None or before.applied is None or after.applied is None or before.intent is not None:
        return False
    new, old = after.applied, before.applied
    return replace(new, at=old.at, by=old.by, adopted=old.adopted) == old
