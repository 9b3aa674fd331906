"""The setup of a repository on GitHub: what the token may not read is unknown, and hides nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from reconciler.core.workflow.readback import UsedAction
from reconciler.errors import NotPermitted, PostFailed, TransientError
from reconciler.model import BranchRules, Item, ItemState, RequiredCheck, ShownEnvironment
from reconciler.run.doctor_github import GitHubQuestion, report_github
from tests.fakes import make_desired

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PIN = UsedAction("actions/checkout", "c0ffee" * 6 + "c0ff")
WORKFLOWS = {"other.yml": f"    steps:\n      - uses: {PIN.name}@{PIN.ref}\n"}
QUESTION = GitHubQuestion([make_desired("loja")], "git:origin/reconciler-state", WORKFLOWS, [], NOW)


@dataclass
class Reads:
    """A repository that is set up. `failing` has an error for each failing method."""

    failing: dict[str, PostFailed] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=lambda: {"PLUG_APPLY": "true"})
    environments: list[str] = field(default_factory=lambda: ["Loja", "plug-drift"])
    secrets: set[str] = field(default_factory=lambda: {"PLUG_TOKEN"})
    rules: dict[str, BranchRules] = field(
        default_factory=lambda: {
            "main": BranchRules(
                frozenset({"pull_request"}), (RequiredCheck("Webhooks plan", 15368),), approvals=1, last_push=True
            ),
            "reconciler-state": BranchRules(frozenset({"deletion", "non_fast_forward"})),
        }
    )
    protection: dict[str, BranchRules] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    repository = "acme/plug-webhooks"

    def _answer(self, method: str) -> None:
        self.asked.append(method)
        if method in self.failing:
            raise self.failing[method]

    def find_default_branch(self) -> str:
        self._answer("find_default_branch")
        return "main"

    def list_environments(self) -> Sequence[str]:
        self._answer("list_environments")
        return self.environments

    def read_environment(self, name: str) -> ShownEnvironment:
        self._answer("read_environment")
        return ShownEnvironment(name, ["main"])

    def list_environment_secrets(self, name: str) -> Collection[str]:
        self._answer("list_environment_secrets")
        return self.secrets

    def list_secrets(self) -> Collection[str]:
        self._answer("list_secrets")
        return ()

    def list_variables(self) -> Mapping[str, str]:
        self._answer("list_variables")
        return self.variables

    def read_rules(self, branch: str) -> BranchRules:
        self._answer("read_rules")
        return self.rules.get(branch, BranchRules())

    def read_protection(self, branch: str) -> BranchRules:
        self._answer("read_protection")
        return self.protection.get(branch, BranchRules())

    def find_commit_time(self, repository: str, commit: str) -> datetime | None:
        self._answer("find_commit_time")
        return NOW


def look(reads: Reads, question: GitHubQuestion = QUESTION) -> dict[str, Item]:
    return {item.name: item for item in report_github(question, reads)}


def test_a_repository_that_is_set_up_is_in_order() -> None:
    """GitHub ignores case in the names of environments; the older protection is not needed."""
    reads = Reads()
    found = look(reads)
    assert {item.state for item in found.values()} == {ItemState.OK}
    assert {"environment loja", "environment plug-drift", "secrets of loja"} <= set(found)
    assert "environment plug-fleet" not in found
    assert "read_protection" not in reads.asked


def test_with_one_secret_for_all_tokens_the_manifests_have_no_github_environments() -> None:
    reads = Reads(variables={"PLUG_APPLY": "true", "PLUG_TOKENS_FROM": "secret", "PLUG_SHARDS": "2"})
    reads.environments, reads.secrets = ["plug-fleet", "plug-drift"], {"PLUG_TOKENS_1"}
    found = look(reads)
    assert "environment loja" not in found
    assert found["secrets of plug-fleet"].message == "not set: PLUG_TOKENS_2"


METHODS: list[tuple[str, str]] = [
    ("list_variables", "variables"),
    ("list_environments", "GitHub Environments"),
    ("read_environment", "branch policies"),
    ("list_environment_secrets", "secrets of the GitHub Environments"),
    ("list_secrets", "secrets of the repository"),
    ("read_rules", "rules of main"),
    ("find_commit_time", "age of actions/checkout"),
]


@pytest.mark.parametrize(("method", "name"), METHODS)
def test_what_a_token_may_not_read_is_unknown_and_hides_nothing_else(method: str, name: str) -> None:
    """The permission is named once; nothing is called missing because of it."""
    found = look(Reads({method: NotPermitted("Secrets (read)", 403)}))
    assert found[name].state is ItemState.UNKNOWN
    assert "permission Secrets (read)" in found[name].message
    assert {item.state for item in found.values()} == {ItemState.OK, ItemState.UNKNOWN}


def test_a_refused_question_is_not_asked_for_each_environment() -> None:
    question = GitHubQuestion([make_desired(f"loja-{n}") for n in range(9)], "git:origin/x", {}, [], NOW)
    reads = Reads({"list_environment_secrets": NotPermitted("Environments (read)", 403)})
    reads.environments = [f"loja-{n}" for n in range(9)]
    look(reads, question)
    assert reads.asked.count("list_environment_secrets") == 1


def test_the_older_protection_of_a_branch_counts() -> None:
    reads = Reads(
        rules={},
        protection={
            "main": BranchRules(
                frozenset({"pull_request"}), (RequiredCheck("Webhooks plan", 15368),), approvals=1, last_push=True
            )
        },
    )
    found = look(reads)
    assert found["required check Webhooks plan"].state is ItemState.OK
    assert found["rule of main"].state is ItemState.OK
    assert found["rule of reconciler-state"].state is ItemState.MISSING


def test_an_approval_that_the_older_protection_requires_counts() -> None:
    """The ruleset requires pull requests without an approval."""
    older = BranchRules(frozenset({"pull_request"}), approvals=1, last_push=True)
    rules = {"main": BranchRules(frozenset({"pull_request"}), (RequiredCheck("Webhooks plan", 15368),))}
    assert look(Reads(rules=rules, protection={"main": older}))["rule of main"].state is ItemState.OK
    assert look(Reads(rules=rules))["rule of main"].state is ItemState.UNKNOWN


def test_what_the_older_protection_may_have_is_not_called_missing() -> None:
    """The token may not read the older protection."""
    found = look(Reads({"read_protection": NotPermitted("Administration (read)", 403)}, rules={}))
    assert found["protection of main"].state is ItemState.UNKNOWN
    assert {found[name].state for name in ("required check Webhooks plan", "rule of main")} == {ItemState.UNKNOWN}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PostFailed("Bad credentials", 401), ItemState.WRONG),
        (PostFailed("Not Found", 404), ItemState.WRONG),
        (TransientError("no answer"), ItemState.UNKNOWN),
    ],
)
def test_without_the_repository_nothing_more_is_asked(error: PostFailed, state: ItemState) -> None:
    reads = Reads({"find_default_branch": error})
    assert look(reads)["default branch"].state is state
    assert "list_environments" not in reads.asked


def test_progress_counts_the_environments() -> None:
    seen: list[tuple[int, int]] = []
    report: Callable[[int, int], None] = lambda done, total: seen.append((done, total))  # noqa: E731
    look(Reads(), GitHubQuestion([make_desired("loja")], "git:origin/x", {}, [], NOW, report))
    assert seen == [(1, 2), (2, 2)]


def test_a_folder_is_no_state_for_the_workflows() -> None:
    """The variable PLUG_STATE comes before the setting, as in the workflows, and its branch is the one to protect."""
    item = look(Reads(), replace(QUESTION, state=".reconciler/state"))["state of the workflows"]
    assert item.state is ItemState.WRONG and "lost with the runner" in item.message
    assert look(Reads(), replace(QUESTION, state="/srv/state"))["state of the workflows"].state is ItemState.UNKNOWN
    named = Reads(variables={"PLUG_APPLY": "true", "PLUG_STATE": "git:origin/elsewhere"})
    found = look(named, replace(QUESTION, state=".reconciler/state"))
    assert "state of the workflows" not in found and "rule of elsewhere" in found


def test_workflows_for_another_branch_are_wrong() -> None:
    """No merge would be planned or applied. A pattern may match, and a workflow of the team's own doesn't count."""
    texts = {"plan.yml": "on:\n  pull_request:\n    branches: [master]\n", "apply.yml": "  branches: [ 'main', dev ]\n"}
    item = look(Reads(), replace(QUESTION, workflows=texts))["branch of the workflows"]
    assert item.state is ItemState.WRONG
    assert item.message == "plan.yml starts for master, but the default branch is main"
    assert item.hint == "reconciler init --upgrade --default-branch main"
    for fine in ('    branches: ["main"]\n', "    branches: [release/*]\n", "on: push\n"):
        assert "branch of the workflows" not in look(Reads(), replace(QUESTION, workflows={"plan.yml": fine}))
    assert "branch of the workflows" not in look(Reads(), replace(QUESTION, workflows={"x.yml": texts["plan.yml"]}))


def test_a_secret_without_its_line_in_a_workflow_is_missing() -> None:
    """Only for tokens from GitHub Environments: else one secret has those of all; and not with a file for them."""
    line = "          PLUG_SECRET_A: ${{ secrets.PLUG_SECRET_A }}\n"
    texts = {"apply-wave.yml": f"# PLUG_SECRET_B\n{line}", "drift.yml": line}
    wanted = [replace(make_desired("loja"), secrets=("PLUG_SECRET_A", "PLUG_SECRET_B"))]
    question = replace(QUESTION, workflows=texts, desired=wanted)
    secrets = {"PLUG_TOKEN", "PLUG_SECRET_A", "PLUG_SECRET_B"}
    found = look(Reads(secrets=secrets), question)
    assert "line of PLUG_SECRET_A" not in found
    item = found["line of PLUG_SECRET_B"]
    assert item.state is ItemState.MISSING and "the apply of loja would be refused" in item.message
    assert "`PLUG_SECRET_B: ${{ secrets.PLUG_SECRET_B }}`" in item.hint
    assert "line of PLUG_SECRET_B" not in look(Reads(secrets=secrets), replace(question, secrets_file=True))
    fleet = Reads(
        variables={"PLUG_APPLY": "true", "PLUG_TOKENS_FROM": "secret"}, environments=["plug-fleet", "plug-drift"]
    )
    assert "line of PLUG_SECRET_B" not in look(fleet, question)
