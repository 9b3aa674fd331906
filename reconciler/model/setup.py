"""The set-up of a repository as GitHub shows it (docs/github.md)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class ShownEnvironment(Struct, frozen=True):
    """A GitHub Environment as GitHub shows it.

    `branches` are the patterns of the branches that may use it; None: any branch may. `any_protected`: every branch
    with a protection may use it. `tags` are the patterns of tags that may.
    """

    name: str
    branches: Sequence[str] | None
    any_protected: bool = False
    reviewers: int = 0
    tags: Sequence[str] = ()


class RequiredCheck(Struct, frozen=True):
    """A check that a rule requires. `app` is the id of the app that must report it; None: any app may."""

    name: str
    app: int | None


class BranchRules(Struct, frozen=True):
    """The rules of a branch. `kinds` are GitHub's names of rules, such as `deletion` and `non_fast_forward`.

    `code_owners`: an owner of the changed files must approve. `approvals` is how many users must approve a pull
    request. `last_push`: one of them must not have pushed last.
    """

    kinds: frozenset[str] = frozenset()
    checks: tuple[RequiredCheck, ...] = ()
    code_owners: bool = False
    approvals: int = 0
    last_push: bool = False

    def join(self, other: BranchRules) -> BranchRules:
        """Return the rules of both, as GitHub obeys all."""
        return BranchRules(
            self.kinds | other.kinds,
            self.checks + other.checks,
            code_owners=self.code_owners or other.code_owners,
            approvals=max(self.approvals, other.approvals),
            last_push=self.last_push or other.last_push,
        )
