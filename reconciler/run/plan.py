"""Desired environments and the store in, a plan out, with what it was made from (CONTRACT §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeAlias

from reconciler.core.observe import Observation, describe_unobserved
from reconciler.core.plan import PlanInput, make_plan
from reconciler.errors import InputError
from reconciler.model import Desired, Plan, Problem, Stored
from reconciler.ports import Credentials, StateStore

# the selected environments and what is stored of them -> an observation of each
Observe: TypeAlias = Callable[[Sequence[Desired], Mapping[str, Stored]], Mapping[str, Observation]]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan beside what it was made from; `desired` and `stored` hold the selected environments."""

    plan: Plan
    desired: Mapping[str, Desired]
    stored: Mapping[str, Stored]
    observations: Mapping[str, Observation] = field(default_factory=dict)  # of --observe

    @property
    def applied_count(self) -> int:
        """How many of the planned environments have an applied record: what percentages are taken of."""
        return sum(1 for stored in self.stored.values() if stored.document.applied is not None)


def select(globs: Sequence[str], names: Iterable[str]) -> frozenset[str]:
    """The names that any glob matches; without globs all of them.

    Raises InputError for each glob that matches nothing: a run that silently did nothing would look done.
    """
    known = frozenset(names)
    if not globs:
        return known
    selected: set[str] = set()
    problems = []
    for glob in globs:
        matched = {name for name in known if fnmatchcase(name, glob)}
        selected |= matched
        if not matched:
            problems.append(
                Problem("", 0, 0, "--environment", f"{glob!r} matches no environment", "`reconciler plan` lists them")
            )
    if problems:
        raise InputError(problems=problems)
    return frozenset(selected)


def plan_environments(
    desired: Sequence[Desired],
    store: StateStore,
    credentials: Credentials,
    given: PlanInput,
    *,
    globs: Sequence[str] = (),
    warnings: tuple[str, ...] = (),
    observe: Observe | None = None,
) -> Planned:
    """Reads the selected documents and plans. Talks to the store alone, unless it is to `observe`.

    Raises InputError (a glob without a match), StateError (what is selected can't be read).
    """
    stored_names = store.names()
    selected = select(globs, stored_names | {one.environment for one in desired})
    stored = store.read(sorted(selected & stored_names))
    wanted = [one for one in desired if one.environment in selected]
    observations = None if observe is None else observe(wanted, stored)
    plan = make_plan(
        wanted,
        {name: one.document for name, one in stored.items()},
        credentials.fingerprint,
        given,
        selection=tuple(globs),
        observations=observations,
        warnings=(*warnings, *describe_unobserved(observations or {})),
    )
    return Planned(plan, {one.environment: one for one in wanted}, stored, observations or {})
