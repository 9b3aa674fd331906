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
