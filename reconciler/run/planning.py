"""Makes a plan from the desired environments and the store (CONTRACT §5)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.planner import PlanInput, Planned, make_plan
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.model import Desired, Document, Head, Shard
from reconciler.ports import CredentialChecks, StateStore

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

logger = logging.getLogger(__name__)

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
) -> Planned:
    """Read the state of the selected environments, and plan. Only the store is called, unless the scope observes.

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
    return Planned(
        plan,
        {one.environment: one for one in wanted},
        heads,
        observations or {},
        documents if scope.whole else {},
    )


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
