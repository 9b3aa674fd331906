"""What GitHub must hold for the workflows: `github setup` prints it, and `doctor --github` reads it back."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.protocol.names import (
    DRIFT_ENVIRONMENT,
    FLEET_ENVIRONMENT,
    PARTNER_SECRET,
    SECRETS_SECRET,
    TOKEN_SECRET,
    TOKENS_SECRET,
)
from reconciler.model import Desired, GitHubEnvironment, TokensFrom

MAX_REVIEWERS = 6  # of a GitHub Environment


def list_environments(
    desired: Iterable[Desired], tokens_from: TokensFrom, *, shards: int = 0
) -> list[GitHubEnvironment]:
    """Return the GitHub Environments that the jobs use. `shards` is PLUG_SHARDS, 0 without it.

    Those of the manifests have the same names; where one secret holds all tokens no job uses them.
    """
    wanted = list(desired)
    found: list[GitHubEnvironment] = []
    if tokens_from is TokensFrom.ENVIRONMENTS:
        found = [GitHubEnvironment(one.environment, (TOKEN_SECRET, *one.secrets)) for one in wanted]
    names = sorted({name for one in wanted for name in one.secrets})
    fleet = GitHubEnvironment(
        FLEET_ENVIRONMENT, _number(TOKENS_SECRET, shards), (*_number(SECRETS_SECRET, shards), *names)
    )
    partner = (PARTNER_SECRET,) if any(one.account_id is not None for one in wanted) else ()
    return [*found, fleet, GitHubEnvironment(DRIFT_ENVIRONMENT, (), (*partner, *names))]


def _number(name: str, shards: int) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(1, shards + 1)) or (name,)


def find_state_branch(state: str) -> str | None:
    """Return the branch of a `state` setting such as git:origin/reconciler-state; None for any other store."""
    if not state.startswith("git:"):
        return None
    return state.removeprefix("git:").partition("/")[2] or None
