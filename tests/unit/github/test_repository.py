"""The reads of a repository's setup over GitHub's API: over all pages, and with missing permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.errors import InputError, NotPermitted, PostFailed
from reconciler.github.repository import HttpRepository, find_named, open_repository
from reconciler.model import BranchRules, RequiredCheck, ShownEnvironment
from tests.acceptance.conftest import canary
from tests.workflows.fake_repository import ALL, REPOSITORY, FakeRepository, serve_repository

COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def fake() -> Iterator[FakeRepository]:
    with serve_repository() as held:
        held.token = canary()
        yield held


@pytest.fixture
def reads(fake: FakeRepository) -> Iterator[HttpRepository]:
    place = find_named(REPOSITORY, {"GITHUB_API_URL": fake.url})
    with open_repository(place, fake.token, {}) as opened:
        yield opened


def test_an_environment_is_shown_with_its_branches_and_reviewers(fake: FakeRepository, reads: HttpRepository) -> None:
    fake.add_environment("staging", "PLUG_TOKEN", reviewers=2)
    assert reads.list_environments() == ["staging"]
    assert reads.read_environment("staging") == ShownEnvironment("staging", ["main"], reviewers=2)
    assert reads.list_environment_secrets("staging") == {"PLUG_TOKEN"}
    fake.policies["staging"], fake.tag_policies["staging"] = ["main", "release"], ["main"]
    shown = reads.read_environment("staging")
    assert (shown.branches, shown.tags) == (["main", "release"], ("main",))
    fake.environments["staging"]["deployment_branch_policy"] = None
    assert reads.read_environment("staging").branches is None
    fake.environments["staging"]["deployment_branch_policy"] = {"protected_branches": True}
    assert reads.read_environment("staging").any_protected


def test_lists_are_read_over_all_pages(fake: FakeRepository, reads: HttpRepository) -> None:
    """A fleet has more environments than a page."""
    for number in range(230):
        fake.add_environment(f"loja-{number}")
    assert len(reads.list_environments()) == 230


def test_secrets_and_variables_of_the_repository(fake: FakeRepository, reads: HttpRepository) -> None:
    """Secrets that the organization shares with it are visible to its jobs too."""
    fake.secrets, fake.organization_secrets, fake.variables = ["A"], ["PLUG_TOKEN"], {"PLUG_APPLY": "true"}
    assert reads.list_secrets() == {"A", "PLUG_TOKEN"}
    assert reads.list_variables() == {"PLUG_APPLY": "true"}


def test_rules_are_those_of_rulesets_or_of_the_older_protection(fake: FakeRepository, reads: HttpRepository) -> None:
    checks = {"required_status_checks": [{"context": "Webhooks plan", "integration_id": 15368}, {"context": "x"}]}
    reviews = [{"required_approving_review_count": 2}, {"require_last_push_approval": True}]
    fake.rules["main"] = [
        {"type": "deletion"},
        {"type": "required_status_checks", "parameters": checks},
        *({"type": "pull_request", "parameters": one} for one in reviews),
    ]
    assert reads.read_rules("main") == BranchRules(
        frozenset({"deletion", "required_status_checks", "pull_request"}),
        (RequiredCheck("Webhooks plan", 15368), RequiredCheck("x", None)),
        approvals=2,
        last_push=True,
    )
    assert reads.read_rules("a/branch") == BranchRules()
    assert reads.read_protection("main") == BranchRules()
    fake.protection["main"] = {
        "required_pull_request_reviews": {"required_approving_review_count": 1, "require_last_push_approval": True},
        "allow_deletions": {"enabled": False},
        "allow_force_pushes": {"enabled": True},
        "required_status_checks": {"checks": [{"context": "Webhooks plan", "app_id": -1}]},
    }
    assert reads.read_protection("main") == BranchRules(
        frozenset({"pull_request", "deletion"}),
        (RequiredCheck("Webhooks plan", None),),
        approvals=1,
        last_push=True,
    )
    fake.protection["main"]["required_pull_request_reviews"] = {"require_code_owner_reviews": True}
    assert reads.read_protection("main").code_owners
    fake.rules["main"] = [{"type": "pull_request", "parameters": {"require_code_owner_review": True}}]
    assert reads.read_rules("main").code_owners


def test_a_commit_of_another_repository_has_a_time(fake: FakeRepository, reads: HttpRepository) -> None:
    fake.commits[f"actions/checkout/{COMMIT}"] = "2026-07-17T10:00:00Z"
    assert reads.find_commit_time("actions/checkout", COMMIT) == datetime(2026, 7, 17, 10, tzinfo=UTC)
    assert reads.find_commit_time("actions/cache", COMMIT) is None


@pytest.mark.parametrize(
    ("permission", "named", "question"),
    [
        ("actions", "Actions (read)", lambda reads: reads.list_environments()),
        ("environments", "Environments (read)", lambda reads: reads.list_environment_secrets("staging")),
        ("secrets", "Secrets (read)", lambda reads: reads.list_secrets()),
        ("variables", "Variables (read)", lambda reads: reads.list_variables()),
        ("administration", "Administration (read)", lambda reads: reads.read_protection("main")),
    ],
)
def test_a_refusal_names_the_missing_permission(
    fake: FakeRepository, reads: HttpRepository, permission: str, named: str, question: Callable[[Any], Any]
) -> None:
    fake.add_environment("staging")
    fake.permissions = ALL - {permission}
    with pytest.raises(NotPermitted) as refused:
        question(reads)
    assert refused.value.permission == named
    assert fake.token not in str(refused.value)


def test_a_wrong_token_is_not_a_missing_permission(fake: FakeRepository, reads: HttpRepository) -> None:
    fake.token = canary()
    with pytest.raises(PostFailed) as refused:
        reads.find_default_branch()
    assert refused.value.status == 401 and not isinstance(refused.value, NotPermitted)


@pytest.mark.parametrize("repository", ["acme", "../x", "a/b/c", "a/.."])
def test_only_a_repository_becomes_an_address(repository: str) -> None:
    with pytest.raises(InputError):
        find_named(repository, {})


def test_the_token_goes_to_github_alone() -> None:
    with pytest.raises(InputError, match="GITHUB_API_URL"):
        find_named(REPOSITORY, {"GITHUB_API_URL": "https://api.evil.test"})
