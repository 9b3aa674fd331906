"""Plans from the desired environments and the store (docs/contract.md#plan)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.digest import digest_of
from reconciler.core.planner import Fleet, PlanInput, Planned, describe_future_records, make_plan, share_texts
from reconciler.core.selection import select
from reconciler.core.urls import is_loopback_url
from reconciler.core.where import find_apis
from reconciler.errors import InputError, SeveralUnreadable
from reconciler.model import Desired, Document, Head, Shard, Where
from reconciler.ports import Changes, CredentialChecks, Shrink, StateStore

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

logger = logging.getLogger(__name__)

# takes the selected environments and their documents, and returns an observation of each
Observe: TypeAlias = "Callable[[Sequence[Desired], Mapping[str, Document]], Mapping[str, Observation]]"

ReadChanges: TypeAlias = Callable[[Shrink], Changes]


class PlanScope(Struct, frozen=True):
    """The environments to plan, and how much of each is read.

    `names` are those of a job's part; None means all that the globs and the shard select. With `whole` the result has
    the whole documents with their history; the plan itself needs only their heads.
    """

    globs: Sequence[str] = ()
    shard: Shard | None = None
    observe: Observe | None = None
    whole: bool = False
    names: Collection[str] | None = None


EVERYTHING = PlanScope()


def plan_environments(
    desired: Sequence[Desired],
    store: StateStore,
    credentials: CredentialChecks,
    given: PlanInput,
    scope: PlanScope = EVERYTHING,
    *,
    location: str | None = None,
    read_changes: ReadChanges | None = None,
) -> Planned:
    """Read the heads of the whole fleet, and plan the scope. Only the store is called, unless the scope observes.

    `location` is the setting `state` as written; None shows the store's own name. `read_changes` returns the documents
    of the store if their read was begun before.

    Raises InputError (a glob without a match), StateError (a selected document can't be read).
    """
    fleet, selected = _read_fleet(desired, store, scope, read_changes)
    documents: Mapping[str, Document] = {}
    heads: Mapping[str, Head] = {name: head for name, head in fleet.heads.items() if name in selected}
    if scope.whole or scope.observe is not None:
        heads = documents = {name: stored.document for name, stored in store.read(heads).items()}
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
        warnings=(*describe_future_records((one.environment for one in wanted), heads, given.now), *warnings),
    )
    where = _find_where(wanted, store, fleet, location or store.location)
    return Planned(
        replace(plan, where=where),
        {one.environment: one for one in wanted},
        heads,
        observations or {},
        documents if scope.whole else {},
        fleet,
    )


def refuse_malformed_tokens(planned: Planned, credentials: CredentialChecks) -> None:
    """Raise InputError if a planned environment's token is malformed: the plan would compare the wrong account."""
    malformed = credentials.find_malformed_tokens(planned.desired.values())
    if malformed:
        raise InputError(problems=malformed)


def _find_where(wanted: Sequence[Desired], store: StateStore, fleet: Fleet, location: str) -> Where:
    """Return where the run acts. A state with a document that can't be read is not new, as that one may be applied."""
    apis = find_apis(wanted)
    applied = (head.applied for head in fleet.heads.values() if head.applied is not None)
    is_trial = all(api.sandbox for api in apis)  # what a sandbox confirmed says nothing about Plug
    is_new = not fleet.unreadable and not any(is_trial or not is_loopback_url(one.endpoint) for one in applied)
    return Where(
        location=location,
        documents=len(fleet.heads) + len(fleet.unreadable),
        apis=apis,
        is_new=is_new,
        had_trials=is_new and any(head.applied is not None for head in fleet.heads.values()),
        near=store.find_near() if is_new else None,
        state_id=digest_of(store.identity),
    )


def _read_fleet(
    desired: Sequence[Desired], store: StateStore, scope: PlanScope, read_changes: ReadChanges | None
) -> tuple[Fleet, frozenset[str]]:
    """Return the heads of all documents, and the names that are selected.

    Raises: StateError if a selected document can't be read.
    """
    begun = time.monotonic()
    manifests = frozenset(one.environment for one in desired)
    whole = {one.environment: one for one in desired}

    def shrink(head: Head) -> Head:
        return share_texts(head, whole.get(head.environment))

    found = store.read_changes(shrink=shrink) if read_changes is None else read_changes(shrink)
    selected = select(scope.globs, found.heads.keys() | found.faults.keys() | manifests, scope.shard)
    if scope.names is not None:
        selected = selected.intersection(scope.names)
    faults = [fault for name, fault in found.faults.items() if name in selected]
    if faults:
        raise faults[0] if len(faults) == 1 else SeveralUnreadable(faults)
    unreadable = {name: str(fault) for name, fault in found.faults.items()}
    logger.info(
        "state: read %d documents from %s in %.2f s", len(found.heads), store.location, time.monotonic() - begun
    )
    return Fleet(manifests, found.heads, unreadable, found.snapshot, whole), selected
