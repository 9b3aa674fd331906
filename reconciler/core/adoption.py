"""The decision whether an environment may be recorded as applied without a PUT, from a read of its account.

See docs/contract.md#commands.

    observation, compared with what would be recorded ── compare_for_adoption ──> AdoptionEvidence
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.imports import looks_random
from reconciler.core.observe import EventComparison, Observation, Verdict
from reconciler.model import Desired, Document, Problem

_VOUCH = "--unverified records it anyway: you say that Plug holds what the manifest says"


class AdoptionEvidence(Struct, frozen=True):
    """The result of reading one environment's account before it is adopted.

    `unread` says why the account was not read; it is empty if it was. `uncompared` has the events that the account
    shows but that could not be compared, `unseen` those that it does not show.
    """

    unread: str = ""
    differing: tuple[EventComparison, ...] = ()
    uncompared: tuple[EventComparison, ...] = ()
    unseen: tuple[EventComparison, ...] = ()


def compare_for_adoption(observation: Observation | None, *, no_token: str) -> AdoptionEvidence:
    """Return the evidence in an observation, which compares the account with what would be recorded.

    None: there was no token to read it with. `no_token` is the text for that.
    """
    if observation is None:
        return AdoptionEvidence(unread=no_token)
    if not observation.observable:
        return AdoptionEvidence(unread="its manifest has no account_id")
    if observation.failure:
        return AdoptionEvidence(unread=observation.failure)

    def select(*verdicts: Verdict) -> tuple[EventComparison, ...]:
        return tuple(one for one in observation.comparisons if one.verdict in verdicts)

    return AdoptionEvidence(
        differing=select(Verdict.DIFFERENT),
        uncompared=select(Verdict.UNCOMPARED, Verdict.GARBLED),
        unseen=select(Verdict.UNSEEN),
    )


def find_adoption_problems(desired: Desired, evidence: AdoptionEvidence, *, unverified: bool) -> Iterator[Problem]:
    """Yield the reasons why an environment is not adopted. `unverified` overrides all of them but a difference."""
    for seen in evidence.differing:
        held = "nothing is registered in Plug" if seen.actual is None else f"Plug holds {_mask_path(seen.actual)}"
        message = f"{held}, which is not what the manifest of {desired.environment} says"
        hint = "correct the manifest, or send it with `reconciler apply`"
        yield Problem.at(desired.sources[seen.event], f"webhooks.{seen.event}", message, hint)
    if unverified:
        return
    if evidence.unread:
        message = f"what Plug holds of {desired.environment} was not read: {evidence.unread}"
        yield Problem.at(desired.source, "account_id", message, _VOUCH)
    for seen in evidence.uncompared:
        message = f"what Plug holds of {desired.environment} was not compared: {seen.reason}"
        yield Problem.at(desired.sources[seen.event], f"webhooks.{seen.event}", message, _VOUCH)


def _mask_path(url: str) -> str:
    """Return a URL with `…` for each part of its path that may be a key, as it may not be known as a secret yet."""
    address, question_mark, query = url.partition("?")
    parts = address.split("/")
    path = ["…" if looks_random(part) else part for part in parts[3:]]  # behind `https:`, nothing and the host
    return "/".join([*parts[:3], *path]) + question_mark + query


def is_recorded(before: Document | None, after: Document) -> bool:
    """Return whether an adoption would record nothing new: no value changes and no doubt ends."""
    if before is None or before.applied is None or after.applied is None or before.intent is not None:
        return False
    new, old = after.applied, before.applied
    return replace(new, at=old.at, by=old.by, adopted=old.adopted) == old
