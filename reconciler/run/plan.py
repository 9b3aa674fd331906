"""Desired environments and the store in, a plan out, with what it was made from (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from reconciler.collector import without_collector
from reconciler.core.names import name_some
from reconciler.core.plan import PlanInput, make_plan
from reconciler.core.shard import holds
from reconciler.errors import InputError
from reconciler.model import Desired, Document, Head, Plan, Problem, Shard
from reconciler.ports import Credentials, StateStore

if TYPE_CHECKING:
    from reconciler.core.observe import Observation

# the selected environments and what is stored of them -> an observation of each
Observe: TypeAlias = "Callable[[Sequence[Desired], Mapping[str, Document]], Mapping[str, Observation]]"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan beside what it was made from; `desired` and `heads` hold the selected environments."""

    plan: Plan
    desired: Mapping[str, Desired]
    heads: Mapping[str, Head]
    observations: Mapping[str, Observation] = field(default_factory=dict)  # of --observe
    documents: Mapping[str, Document] = field(default_factory=dict)  # the heads' whole documents, where asked for

    @property
    def applied_count(self) -> int:
        """How many of the planned environments have an applied record: what percentages are taken of."""
        return sum(1 for head in self.heads.values() if head.applied is not None)


def select(globs: Sequence[str], names: Iterable[str], shard: Shard | None = None) -> frozenset[str]:
    """The names that any glob matches, without globs all of them; of these, those of the shard.

    Raises InputError for each glob that matches nothing: a run that silently did nothing would look done. A shard
    without any is none: what it had to do, others do.
    """
    matched = _match(globs, frozenset(names))
    return matched if shard is None else frozenset(name for name in matched if holds(shard, name))


def _match(globs: Sequence[str], known: frozenset[str]) -> frozenset[str]:
    if not globs:
        return known
    selected: set[str] = set()
    problems = []
    for glob in globs:
        matched = {name for name in known if fnmatchcase(name, glob)}
        selected |= matched
        if not matched:
            problems.append(Problem("", 0, 0, "--environment", f"{glob!r} matches no environment", _hint(glob, known)))
    if problems:
        raise InputError(problems=problems)
    return frozenset(selected)


def _hint(glob: str, known: frozenset[str]) -> str:
    """Whom a glob could have meant. A comma is of no name: somebody took -e for a list."""
    if "," in glob:
        return "give each its own -e, as in -e one -e another"
    import difflib  # late: only who mistyped needs it

    begins = sorted(name for name in known if name.startswith(glob))
    if near := begins[:1] or difflib.get_close_matches(glob, known, n=1):
        return f"did you mean {near[0]}?"
    return f"there is {name_some(sorted(known))}" if known else "there is none yet"


def plan_environments(
    desired: Sequence[Desired],
    store: StateStore,
    credentials: Credentials,
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
    with without_collector():
        if whole or observe is not None:
            documents = {name: stored.document for name, stored in store.read(to_read).items()}
        heads: Mapping[str, Head] = documents or store.read_heads(to_read)
    wanted = [one for one in desired if one.environment in selected]
    observations: Mapping[str, Observation] | None = None
    if observe is not None:
        from reconciler.core.observe import describe_unobserved  # late, as few plans observe

        observations = observe(wanted, documents)
        warnings = (*warnings, *describe_unobserved(observations))
    with without_collector():
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
