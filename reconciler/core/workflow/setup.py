"""The set-up that the workflows need on GitHub. `github setup` prints it, and `doctor --github` checks it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from reconciler.core.where import find_scheme
from reconciler.core.workflow.names import (
    DRIFT_ENVIRONMENT,
    FLEET_ENVIRONMENT,
    PARTNER_SECRET,
    SECRETS_SECRET,
    TOKEN_SECRET,
    TOKENS_SECRET,
    number_secret,
)
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.model import Desired

OWNERS_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # in the order in which GitHub looks
MAX_REVIEWERS = 6  # GitHub's limit for a GitHub Environment


class GitHubEnvironment(Struct, frozen=True):
    """A GitHub Environment that jobs use, with the names of its secrets. Those in `optional` may be missing."""

    name: str
    secrets: Sequence[str]
    optional: Sequence[str] = ()


class GitHubSetup(Struct, frozen=True):
    """The set-up of a repository, OWNER/NAME. `state_branch` is None if the state is not on a branch of it."""

    repository: str
    default_branch: str
    tokens_from: TokensFrom
    environments: Sequence[GitHubEnvironment]
    state: str
    state_branch: str | None
    reviewers: Sequence[str] = ()  # USER or ORG/TEAM
    code_owners: bool = False  # CODEOWNERS names owners


def list_environments(desired: Iterable[Desired], layout: JobLayout) -> list[GitHubEnvironment]:
    """Return the GitHub Environments that the jobs use.

    Those of the manifests' environments have the same names. No job uses them if one secret has all tokens.
    """
    wanted = list(desired)
    found: list[GitHubEnvironment] = []
    if layout.tokens_from is TokensFrom.ENVIRONMENTS:
        found = [GitHubEnvironment(one.environment, (TOKEN_SECRET, *one.secrets)) for one in wanted]
    names = sorted({name for one in wanted for name in one.secrets})
    fleet = GitHubEnvironment(
        FLEET_ENVIRONMENT, _number(TOKENS_SECRET, layout.shards), (*_number(SECRETS_SECRET, layout.shards), *names)
    )
    observed = [one for one in wanted if one.account_id is not None]  # the accounts that drift can read
    partner = (PARTNER_SECRET,) if observed else ()
    compared = sorted({name for one in observed for name in one.secrets})
    return [*found, fleet, GitHubEnvironment(DRIFT_ENVIRONMENT, (), (*partner, *compared))]


def _number(name: str, shards: int) -> tuple[str, ...]:
    """Return the names of the parts of a secret; without shards the secret is whole."""
    return tuple(number_secret(name, number) for number in range(1, shards + 1)) or (name,)


def find_state_branch(state: str) -> str | None:
    """Return the branch of a `state` setting such as git:origin/reconciler-state; None for any other store."""
    return state.partition("/")[2] or None if find_scheme(state) == "git" else None


def describe_making(name: str) -> str:
    """Return how a GitHub Environment is made with its rules, and gets its secrets."""
    if name == FLEET_ENVIRONMENT:
        options, secret = " --tokens-from secret", TOKENS_SECRET
    else:
        options, secret = f" -e {name}", TOKEN_SECRET
    script = f"`reconciler github setup{options} > setup.sh`, read it, and run it with bash"
    return f"{script}; set its secrets: `gh secret set {secret} --env {name}`"


def names_owner(code_owners: str) -> bool:
    """Return whether a line of a CODEOWNERS gives a path an owner: @USER, @ORG/TEAM or an address."""
    lines = (line.partition("#")[0].split() for line in code_owners.splitlines())
    return any("@" in word for words in lines for word in words[1:])
