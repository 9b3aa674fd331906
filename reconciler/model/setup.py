"""The set-up of a repository on GitHub, as the workflows need it (CONTRACT §12.12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class TokensFrom(StrEnum):
    """Where the workflows find the tokens: the repository's variable PLUG_TOKENS_FROM."""

    ENVIRONMENTS = "environments"  # a GitHub Environment for each environment of the manifests
    SECRET = "secret"  # noqa: S105 - one secret of the GitHub Environment plug-fleet


@dataclass(frozen=True, slots=True)
class GitHubEnvironment:
    """A GitHub Environment that a job uses, and the names of its secrets. `optional` are those that may be missing."""

    name: str
    secrets: Sequence[str]
    optional: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GitHubSetup:
    """`repository` is OWNER/NAME. `state_branch`: None where the state is not on a branch of this repository."""

    repository: str
    default_branch: str
    tokens_from: TokensFrom
    environments: Sequence[GitHubEnvironment]
    state: str
    state_branch: str | None
    reviewers: Sequence[str] = ()  # USER or ORG/TEAM


@dataclass(frozen=True, slots=True)
class ShownEnvironment:
    """A GitHub Environment as GitHub shows it. `branches`: the patterns that may use it; None: any branch may.

    `any_protected`: every branch with a protection may use it.
    """

    name: str
    branches: Sequence[str] | None
    any_protected: bool = False
    reviewers: int = 0


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """`app` is the id of the app that must report the check; None: any may."""

    name: str
    app: int | None


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What holds for a branch. `kinds` are GitHub's names of rules, such as `deletion` and `non_fast_forward`."""

    kinds: frozenset[str] = frozenset()
    checks: tuple[RequiredCheck, ...] = ()
