"""What `PLUG_STRICT` refuses, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import assert_never

from reconciler.core.protocol.strict import Unreviewed, UnreviewedCause
from reconciler.model import Problem
from reconciler.text.counts import counted, name_some

KEY = "PLUG_STRICT"
COMMIT_LENGTH = 12
MAX_NAMES = 100  # of one commit and cause; ten thousand in one sentence help nobody


def explain_unreviewed(found: Iterable[Unreviewed], fleet_digest: str | None = None) -> tuple[Problem, ...]:
    """Return a problem for each commit and cause, with its environments and the way out.

    `fleet_digest` is that of the plan that is refused; None: the way out names the place where it is shown.
    """
    groups: dict[tuple[UnreviewedCause, str], list[str]] = defaultdict(list)
    for one in found:
        groups[one.cause, one.commit].append(one.environment)
    return tuple(
        Problem.of(KEY, _explain(cause, commit[:COMMIT_LENGTH], sorted(names)), _advise(fleet_digest))
        for (cause, commit), names in groups.items()
    )


def explain_combinations(names: Iterable[str]) -> Problem | None:
    """Return what is wrong with a pull request whose head and test merge want different things; None for none."""
    named = sorted(names)
    if not named:
        return None
    message = (
        f"{name_some(named, MAX_NAMES)}: the default branch has changed beneath this pull request, so that the merge "
        "would make something that its branch does not show"
    )
    return Problem.of(KEY, message, "update the branch first: merge the default branch into it, or rebase it")


def explain_altered(names: Iterable[str], commit: str) -> Problem:
    """Return what is wrong where the files of a checkout want something else than their commit."""
    message = (
        f"{name_some(sorted(names), MAX_NAMES)}: the files that are checked out want something else than commit "
        f"{commit[:COMMIT_LENGTH]} holds, and only the commit was reviewed"
    )
    hint = "remove what has git write other bytes, such as working-tree-encoding in .gitattributes, or links"
    return Problem.of(KEY, message, hint)


def _explain(cause: UnreviewedCause, commit: str, names: list[str]) -> str:
    named = f"{counted(len(names), 'environment')} ({name_some(names, MAX_NAMES)})"
    them = "it" if len(names) == 1 else "them"
    match cause:
        case UnreviewedCause.NO_PULL_REQUEST:
            return f"{named}: commit {commit} changed {them}, and no pull request that was merged brought it"
        case UnreviewedCause.COMBINATION:
            return (
                f"{named}: commit {commit} changed {them}, and the branch of its pull request wanted something else: "
                "nobody reviewed this combination"
            )
        case UnreviewedCause.TOO_FAR_BACK:
            return (
                f"{named}: what was reviewed can't be found: the last change is too far back. The search ended at "
                f"commit {commit}, the oldest of those looked at, or one whose manifests this version can't read"
            )
        case _:
            assert_never(cause)


def _advise(fleet_digest: str | None) -> str:
    digest = "the fleet_digest of the plan" if fleet_digest is None else fleet_digest
    return (
        "merge a pull request whose branch holds the default branch's manifests as they are now (it may change "
        f"anything), or begin the workflow by hand with the input expect={digest}"
    )
