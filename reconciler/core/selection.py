"""The selection of environments by `-e` and `--shard` (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from reconciler.core.shard import holds
from reconciler.errors import InputError
from reconciler.model import Problem, Shard
from reconciler.text.counts import name_some


def select(globs: Sequence[str], names: Iterable[str], shard: Shard | None = None) -> frozenset[str]:
    """Return the names that any of the globs matches (all names without globs) and that belong to the shard.

    Raises InputError for each glob that matches nothing, as a run that does nothing would look successful. A shard
    without names is valid: the other shards have them.
    """
    matched = _match(globs, frozenset(names))
    return matched if shard is None else frozenset(name for name in matched if holds(shard, name))


def is_selected(globs: Sequence[str], name: str) -> bool:
    """Return whether any of the globs matches the name; without globs every name is selected."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def _match(globs: Sequence[str], known: frozenset[str]) -> frozenset[str]:
    if not globs:
        return known
    selected: set[str] = set()
    problems = []
    for glob in globs:
        matched = {name for name in known if fnmatchcase(name, glob)}
        selected |= matched
        if not matched:
            problems.append(Problem.of("--environment", f"{glob!r} matches no environment", _hint(glob, known)))
    if problems:
        raise InputError(problems=problems)
    return frozenset(selected)


def _hint(glob: str, known: frozenset[str]) -> str:
    """Return a hint for a glob without a match. Names have no comma, so one means that -e got a list."""
    if "," in glob:
        return "give each its own -e, as in -e one -e another"
    return find_near_environment(glob, known)


def find_near_environment(name: str, known: Collection[str]) -> str:
    """Return a hint that names the known environment that was probably meant, or else some of them."""
    import difflib  # late: only a mistyped name needs it

    begins = sorted(other for other in known if other.startswith(name))
    if near := begins[:1] or difflib.get_close_matches(name, known, n=1):
        return f"did you mean {near[0]}?"
    return f"known environments: {name_some(sorted(known))}" if known else "there are no environments yet"
