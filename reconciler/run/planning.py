"""Desired environments and the store in, a plan out, with what it was made from (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.planner import PlanInput, Planned, make_plan
from reconciler.core.selection import select
from reconciler.model import Desired, Document, Head, Shard
from reconciler.ports import Fingerprinter, StateStore

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

# the selected environments and what is stored of them -> an observation of each
Observe: TypeAlias = "Callable[[Sequence[Desired], Mapping[str, Document]], Mapping[str, Observation]]"


def plan_environments(
    desired: Sequence[Desired],
    store: StateStore,
    credentials: Fingerprinter,
    given: PlanInput,
    *,
    globs: Sequence[str] = (),
    shard: Shard | None = None,
    warnings: tuple[str, ...] = (),
    observe: Observe | None = None,
    whole: bool = False,
) -> Planned:
    """Reads the selected environments' state and plans. Talks to the store alone, unless it is to `observe`.

    With `whole` the documents are kept, the past included; a plan needs their heads alone.

    Raises InputError (a glob without a match), StateError (what is selected can't be read).
    """
    stored_names = store.names()
    selected = select(globs, stored_names | {one.environment for one in desired}, shard)
    to_read = sorted(selected & stored_names)
    documents: dict[str, Document] = {}
    if whole or observe is not None:
        documents = {name: stored.document for name, stored in store.read(to_read).items()}
    heads: Mapping[str, Head] = documents or store.read_heads(to_read)
    wanted = [one for one in desired if one.environment in selected]
    observations: Mapping[str, Observation] | None = None
    if observe is not None:
        from reconciler.core.observe import describe_unobserved  # late, as few plans observe

        observations = observe(wanted, documents)
        warnings = (*warnings, *describe_unobserved(observations))
    plan = make_plan(
        wanted,
        heads,
        credentials.fingerprint,
        given,
        selection=tuple(globs),
        shard=shard,
        observations=observations,
        warnings=warnings,
    )
    return Planned(
        plan,
        {one.environment: one for one in wanted},
        heads,
        observations or {},
        documents if whole else {},
    )
