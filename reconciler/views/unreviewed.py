"""The problems that `PLUG_STRICT` reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import assert_never

from reconciler.core.workflow.strict import Unreviewed, UnreviewedCause
from reconciler.model import Problem
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, name_some

KEY = "PLUG_STRICT"
MAX_NAMES = 100  # of one commit and cause; a sentence with ten thousand names can't be read


def explain_unreviewed(found: Iterable[Unreviewed], fleet_digest: str) -> tuple[Problem, ...]:
    """Return a problem for each commit and cause, with its environments and what to do.

    `fleet_digest` is that of the refused plan.
    """
    groups: dict[tuple[UnreviewedCause, str], list[str]] = defaultdict(list)
    for one in found:
        groups[one.cause, one.commit].append(one.environment)
    return tuple(
        Problem.of(KEY, _explain(cause, shorten_commit(commit), sorted(names)), _advise(fleet_digest))
        for (cause, commit), names in groups.items()
    )


def explain_combinations(names: Iterable[str]) -> Problem | None:
    """Return the problem of a pull request whose head and test merge want different things for these environments.

    Returns None if there are no such environments.
    """
    named = sorted(names)
    if not named:
        return None
    message = (
        f"{name_some(named, MAX_NAMES)}: the default branch has changed since this pull request was made, so the merge "
        "would make something that its branch does not show"
    )
    return Problem.of(KEY, message, "update the branch first: merge the default branch into it, or rebase it")


def explain_altered(names: Iterable[str], commit: str) -> Problem:
    """Return the problem of a checkout whose files want something else than their commit."""
    message = (
        f"{name_some(sorted(names), MAX_NAMES)}: the checked-out files want something else than commit "
        f"{shorten_commit(commit)}, and only the commit was reviewed"
    )
    hint = "remove what makes git write other bytes, such as working-tree-encoding in .gitattributes, or links"
    return Problem.of(KEY, message, hint)


def _explain(cause: UnreviewedCause, commit: str, names: list[str]) -> str:
    named = f"{counted(len(names), 'environment')}, {name_some(names, MAX_NAMES)}"
    them = "it" if len(names) == 1 else "them"
    match cause:
        case UnreviewedCause.NO_PULL_REQUEST:
            return f"{named}: commit {commit} changed {them}, and it came with no merged pull request"
        case UnreviewedCause.COMBINATION:
            return (
                f"{named}: commit {commit} changed {them}, and the branch of its pull request wanted something else: "
                "this combination was not reviewed"
            )
        case UnreviewedCause.TOO_FAR_BACK:
            return (
                f"{named}: the reviewed change can't be found, because it is too far back. The search ended at "
                f"commit {commit}: it is the oldest that was searched, or this version can't read its manifests"
            )
        case _:
            assert_never(cause)


def _advise(fleet_digest: str) -> str:
    return (
        "merge a pull request, with any change, whose branch holds the default branch's manifests as they are now; or "
        f"begin the workflow by hand with the input expect={fleet_digest}"
    )
