"""Makes a plan from the desired environments and the store (CONTRACT §5)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.planner import PlanInput, Planned, make_plan
from reconciler.core.selection import select
from reconciler.core.where import find_apis
from reconciler.errors import InputError, StateError
from reconciler.model import Desired, Document, Head, Shard, Where
from reconciler.ports import CredentialChecks, StateStore

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

logger = logging.getLogger(__name__)

BATCH_GROWTH = 10  # of the documents that are read to find an applied record; one round trip of an object store each

# the selected environments and what is stored of them -> an observation of each
Observe: TypeAlias = "Callable[[Sequence[Desired], Mapping[str, Document]], Mapping[str, Observation]]"


@dataclass(frozen=True, slots=True)
class PlanScope:
    """The environments to plan, and how much is read of each.

    With `whole` the result has the whole documents, history included. The plan itself needs only their heads.
    """

    globs: Sequence[str] = ()
    shard: Shard | None = None
    observe: Observe | None = None
    whole: bool = False


EVERYTHING = PlanScope()


def plan_environments(
    desired: Sequence[Desired],
    store: StateStore,
    credentials: CredentialChecks,
    given: PlanInput,
    scope: PlanScope = EVERYTHING,
    *,
    location: str | None = None,
) -> Planned:
    """Read the state of the selected environments, and plan. Only the store is called, unless the scope observes.

    `location` is the setting `state` as it is written; None: as the store calls itself.

    Raises InputError (a glob without a match, a malformed token), StateError (a selected document can't be read).
    """
    stored_names = store.names()
    selected = select(scope.globs, stored_names | {one.environment for one in desired}, scope.shard)
    documents, heads = _read(store, sorted(selected & stored_names), scope)
    wanted = [one for one in desired if one.environment in selected]
    observations: Mapping[str, Observation] | None = None
    warnings: tuple[str, ...] = ()
    if scope.observe is not None:
        from reconciler.core.observe import describe_unobserved  # late, as few plans observe

        observations = scope.observe(wanted, documents)
        warnings = tuple(describe_unobserved(observations))
    plan = make_plan(
        wanted,
        heads,
        credentials.fingerprint,
        given,
        fleet=desired,
        selection=tuple(scope.globs),
        shard=scope.shard,
        observations=observations,
        warnings=warnings,
    )
    malformed = credentials.find_malformed_tokens(wanted)
    if malformed:
        raise InputError(problems=malformed)
    where = _find_where(wanted, store, stored_names, heads, location or store.location)
    return Planned(
        replace(plan, where=where),
        {one.environment: one for one in wanted},
        heads,
        observations or {},
        documents if scope.whole else {},
    )


def _find_where(
    wanted: Sequence[Desired], store: StateStore, names: Collection[str], heads: Mapping[str, Head], location: str
) -> Where:
    is_new = not _holds_applied(store, names, heads)
    return Where(
        location=location,
        documents=len(names),
        apis=find_apis(wanted),
        is_new=is_new,
        near=store.find_near() if is_new else None,
    )


def _holds_applied(store: StateStore, names: Collection[str], heads: Mapping[str, Head]) -> bool:
    """Whether any document of the state, selected or not, holds an applied record.

    The others are read until one does, which is most often the first. One that can't be read may hold a record, and so
    counts: whatever is wrong with it, this is not an empty state.
    """
    if any(head.applied is not None for head in heads.values()):
        return True
    unread = sorted(set(names) - heads.keys())
    size = 1
    while unread:
        batch, unread = unread[:size], unread[size:]
        try:
            found = store.read_heads(batch)
        except StateError:
            return True
        if any(head.applied is not None for head in found.values()):
            return True
        size *= BATCH_GROWTH
    return False


def _read(
    store: StateStore, names: Sequence[str], scope: PlanScope
) -> tuple[Mapping[str, Document], Mapping[str, Head]]:
    """Return the documents, empty where only heads are needed, and the heads."""
    begun = time.monotonic()
    documents: dict[str, Document] = {}
    if scope.whole or scope.observe is not None:
        documents = {name: stored.document for name, stored in store.read(names).items()}
    heads: Mapping[str, Head] = documents or store.read_heads(names)
    logger.info("state: read %d documents from %s in %.2f s", len(heads), store.location, time.monotonic() - begun)
    return documents, heads
