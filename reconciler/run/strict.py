"""The search for what an apply run would send although no merged pull request's head wanted it (`PLUG_STRICT`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from reconciler.core.workflow.change import digest_each
from reconciler.core.workflow.strict import Candidate, LastChange, Unreviewed, UnreviewedCause, find_cause
from reconciler.model import Desired
from reconciler.ports import MergedPull, Pulls, ReviewHistory

COMMITS_A_STEP = 20  # commits that GitHub is asked about before it is decided whether more are needed


def find_unreviewed(names: Collection[str], history: ReviewHistory, pulls: Pulls) -> list[Unreviewed]:
    """Return the environments among `names` that must not be sent, sorted.

    Raises: InputError (git), PostFailed (GitHub). A failed look-up is never taken for an answer.
    """
    search = _Search(history, pulls)
    changes = history.find_last_changes(names)
    search.look_up(dict.fromkeys(change.commit for change in changes.values()))
    pending = search.judge(changes, own=True)
    pending = search.judge(pending)
    last = max((change.reach for change in pending.values()), default=0)
    for start in range(0, last, COMMITS_A_STEP):
        search.look_up(history.commits[start : min(start + COMMITS_A_STEP, last)])
        pending = search.judge(pending)
        if not pending:
            break
    found = ((name, change, search.find_cause(name, change)) for name, change in pending.items())
    return sorted(
        (Unreviewed(name, change.commit, cause) for name, change, cause in found if cause is not None),
        key=lambda one: one.environment,
    )


def find_combinations(names: Collection[str], head: str, history: ReviewHistory) -> list[str]:
    """Return the environments for which a pull request's head and its test merge want different things.

    `history` is that of the test merge, and `names` are the environments that the pull request changes. Strict would
    refuse them after the merge, because no user has reviewed the combination. Raises: InputError.
    """
    return sorted(name for name, is_same in history.compare(head, names).items() if not is_same)


def find_altered(desired: Iterable[Desired], names: Collection[str], wants: Mapping[str, str]) -> list[str]:
    """Return the environments, among `names`, for which the files want something else than their commit (`wants`)."""
    found = digest_each(one for one in desired if one.environment in names)
    return sorted(name for name in names if found.get(name) != wants[name])


class _Search:
    """Look-ups of merged pull requests by their commits, and of what their heads want. Each is made once."""

    def __init__(self, history: ReviewHistory, pulls: Pulls) -> None:
        self._history = history
        self._pulls = pulls
        self._positions = {commit: position for position, commit in enumerate(history.commits)}
        self._found: dict[str, Sequence[MergedPull]] = {}
        self._counted: dict[int, dict[MergedPull, int]] = {}  # by the position of a change
        self._same: dict[tuple[str, str], bool | None] = {}

    def look_up(self, commits: Iterable[str]) -> None:
        for commit in commits:
            if commit not in self._found:
                self._found[commit] = self._pulls.list_pulls(commit)
        self._counted.clear()

    def judge(self, changes: Mapping[str, LastChange], *, own: bool = False) -> dict[str, LastChange]:
        """Compare the changes with the heads of all pull requests found so far, and return the changes that are left.

        With `own`, only with those that GitHub names for the change's own commit.
        """
        compared: dict[MergedPull, list[str]] = defaultdict(list)
        for name, change in changes.items():
            for pull in self._find_counted(change):
                is_asked = not own or pull in self._found[change.commit]
                if is_asked and (name, pull.head_sha) not in self._same:
                    compared[pull].append(name)
        self._history.fetch_heads(compared)
        for pull, names in compared.items():
            same = self._history.compare(pull.head_sha, names)
            self._same |= {(name, pull.head_sha): is_same for name, is_same in same.items()}
        return {name: change for name, change in changes.items() if self.find_cause(name, change) is not None}

    def find_cause(self, name: str, change: LastChange) -> UnreviewedCause | None:
        candidates = (
            Candidate(position, pull in self._found[change.commit], self._same[name, pull.head_sha])
            for pull, position in self._find_counted(change).items()
            if (name, pull.head_sha) in self._same
        )
        return find_cause(change, candidates)

    def _find_counted(self, change: LastChange) -> Mapping[MergedPull, int]:
        """Return the pull requests merged as the commit of a change, or as a later commit, with their positions."""
        if change.reach not in self._counted:
            pulls = dict.fromkeys(pull for found in self._found.values() for pull in found)
            places = {pull: self._positions.get(pull.merge_sha) for pull in pulls}
            self._counted[change.reach] = {
                pull: place for pull, place in places.items() if place is not None and place <= change.reach
            }
        return self._counted[change.reach]
