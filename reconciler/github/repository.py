"""The port `RepositoryReads` over GitHub's REST API: the setup of a repository, for `doctor --github`.

Each call names the permission that it needs (docs/github.md), so that a refusal can say which one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypedDict, TypeVar
from urllib.parse import quote

from msgspec import Struct

from reconciler.errors import InputError, NotPermitted, PostFailed, TransientError
from reconciler.github.api import GitHub
from reconciler.github.environments import list_environments
from reconciler.github.run import find_addresses
from reconciler.github.shown import dig, find_instant, find_number, find_objects, find_text
from reconciler.io.git.remotes import REPOSITORY
from reconciler.io.http.proxy import find_proxy
from reconciler.model import BranchRules, RequiredCheck, ShownEnvironment

T = TypeVar("T")

ACTIONS = "Actions (read)"
ENVIRONMENTS = "Environments (read)"
SECRETS = "Secrets (read)"
VARIABLES = "Variables (read)"
METADATA = "Metadata (read)"
ADMINISTRATION = "Administration (read)"
CONTENTS = "Contents (read)"


class NamedRepository(Struct, frozen=True):
    """A repository that the user names; `WorkflowRun` is that of a run."""

    api_url: str
    repository: str


def find_named(repository: str, environ: Mapping[str, str]) -> NamedRepository:
    """Return the repository at the API of the runner, or else of github.com. Raises InputError."""
    if not REPOSITORY.fullmatch(repository):
        raise InputError.of("GITHUB_REPOSITORY", "is not a repository of GitHub", "write OWNER/NAME")
    _, api_url = find_addresses(environ)
    return NamedRepository(api_url, repository)


@contextmanager
def open_repository(place: NamedRepository, token: str, environ: Mapping[str, str]) -> Iterator[HttpRepository]:
    """Yield the reads of a repository. Raises InputError if SSL_CERT_FILE or SSL_CERT_DIR can't be read."""
    with GitHub(place, token, proxy=find_proxy(place.api_url, environ)) as client:
        yield HttpRepository(place, client)


class HttpRepository:
    """An implementation of `ports.RepositoryReads`."""

    def __init__(self, place: NamedRepository, client: GitHub) -> None:
        self._place = place
        self._client = client

    @property
    def repository(self) -> str:
        return self._place.repository

    def find_default_branch(self) -> str:
        found = find_text(self._get(f"{self._place.api_url}/repos/{self.repository}", METADATA), "default_branch")
        if found is None:
            raise PostFailed("GitHub's answer names no default branch")
        return found

    def list_environments(self) -> Sequence[str]:
        return self._ask(ACTIONS, lambda: list_environments(self._client))

    def read_environment(self, name: str) -> ShownEnvironment:
        path = f"environments/{quote(name, safe='')}"
        shown = self._get(path, ACTIONS)
        rules = (rule for rule in find_objects(shown, "protection_rules") if rule.get("type") == "required_reviewers")
        reviewers = sum(len(find_objects(rule, "reviewers")) for rule in rules)
        policy = dig(shown, "deployment_branch_policy")
        if policy is None:
            return ShownEnvironment(name, None, reviewers=reviewers)
        if dig(policy, "protected_branches") is True:
            return ShownEnvironment(name, (), any_protected=True, reviewers=reviewers)
        listed = self._list(f"{path}/deployment-branch-policies", "branch_policies", ACTIONS)
        branches = [_text(one, "name") for one in listed if _is_of_a_branch(one)]
        tags = tuple(_text(one, "name") for one in listed if not _is_of_a_branch(one))
        return ShownEnvironment(name, branches, reviewers=reviewers, tags=tags)

    def list_environment_secrets(self, name: str) -> Collection[str]:
        path = f"environments/{quote(name, safe='')}/secrets"
        return {_text(one, "name") for one in self._list(path, "secrets", ENVIRONMENTS)}

    def list_secrets(self) -> Collection[str]:
        paths = ("actions/secrets", "actions/organization-secrets")
        return {_text(one, "name") for path in paths for one in self._list(path, "secrets", SECRETS)}

    def list_variables(self) -> Mapping[str, str]:
        return {
            _text(one, "name"): _text(one, "value") for one in self._list("actions/variables", "variables", VARIABLES)
        }

    def read_rules(self, branch: str) -> BranchRules:
        path = f"rules/branches/{quote(branch, safe='')}"
        rules = self._ask(METADATA, lambda: self._client.list_all(path))
        checks = [
            RequiredCheck(_text(check, "context"), _app(check.get("integration_id")))
            for rule in rules
            if rule.get("type") == "required_status_checks"
            for check in find_objects(rule, "parameters", "required_status_checks")
        ]
        reviews = [dig(rule, "parameters") for rule in rules if rule.get("type") == "pull_request"]
        return BranchRules(frozenset(_text(rule, "type") for rule in rules), tuple(checks), **_read_reviews(reviews))

    def read_protection(self, branch: str) -> BranchRules:
        try:
            shown = self._get(f"branches/{quote(branch, safe='')}/protection", ADMINISTRATION)
        except PostFailed as error:
            if error.status == 404:
                return BranchRules()
            raise
        found = {
            "pull_request": dig(shown, "required_pull_request_reviews") is not None,
            "deletion": dig(shown, "allow_deletions", "enabled") is False,
            "non_fast_forward": dig(shown, "allow_force_pushes", "enabled") is False,
            "required_signatures": dig(shown, "required_signatures", "enabled") is True,
        }
        checks = find_objects(shown, "required_status_checks", "checks")
        required = tuple(RequiredCheck(_text(one, "context"), _app(one.get("app_id"))) for one in checks)
        reviews = _read_reviews([dig(shown, "required_pull_request_reviews")])
        return BranchRules(frozenset(kind for kind, holds in found.items() if holds), required, **reviews)

    def find_commit_time(self, repository: str, commit: str) -> datetime | None:
        try:
            shown = self._get(f"{self._place.api_url}/repos/{repository}/commits/{commit}", CONTENTS)
        except PostFailed as error:
            if error.status in (404, 422):
                return None
            raise
        return find_instant(shown, "commit", "committer", "date")

    # --- requests ----------------------------------------------------------------------------------------------

    def _get(self, path: str, permission: str) -> Any:
        return self._ask(permission, lambda: self._client.get(path))

    def _list(self, path: str, key: str, permission: str) -> list[Mapping[str, Any]]:
        return self._ask(permission, lambda: self._client.list_all(path, key=key))

    def _ask(self, permission: str, question: Callable[[], T]) -> T:
        try:
            return question()
        except TransientError:
            raise
        except PostFailed as error:
            if error.status == 403:
                raise NotPermitted(permission, error.status) from error
            raise


def _is_of_a_branch(policy: Mapping[str, Any]) -> bool:
    """Return whether a policy is for branches. One for tags may have the name of a branch; older ones have no type."""
    return bool(policy.get("type", "branch") == "branch")


class _Reviews(TypedDict):
    approvals: int
    code_owners: bool
    last_push: bool


def _read_reviews(found: Sequence[Any]) -> _Reviews:
    """Return what rules for pull requests require together. A protected branch has nearly the same names."""
    counts = [find_number(one, "required_approving_review_count") for one in found]
    return _Reviews(
        approvals=max((count for count in counts if count is not None), default=0),
        last_push=any(dig(one, "require_last_push_approval") is True for one in found),
        # a ruleset and the older protection spell it differently
        code_owners=any(
            dig(one, name) is True
            for one in found
            for name in ("require_code_owner_review", "require_code_owner_reviews")
        ),
    )


def _text(item: Any, key: str) -> str:
    return find_text(item, key) or ""


def _app(value: Any) -> int | None:
    """Return the id of an app; None if any app may report the check, for which GitHub writes -1 or nothing."""
    found = find_number(value)
    return found if found is not None and found > 0 else None
