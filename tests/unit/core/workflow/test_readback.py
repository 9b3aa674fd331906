"""The judgement of a repository's set-up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.workflow.readback import (
    UsedAction,
    find_actions,
    find_layout,
    judge_action,
    judge_default_branch,
    judge_environment,
    judge_environment_secrets,
    judge_shared_secrets,
    judge_state_branch,
    judge_variables,
)
from reconciler.core.workflow.setup import GitHubEnvironment, find_state_branch, list_environments
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.model import (
    BranchRules,
    Item,
    ItemState,
    RequiredCheck,
    ShownEnvironment,
)
from tests.fakes import make_desired

REPOSITORY = "acme/plug-webhooks"
NOW = datetime(2026, 11, 26, tzinfo=UTC)
COMMIT = "c0ffee" * 6 + "c0ff"
CHECK = RequiredCheck("Webhooks plan", 15368)
RIGHT = BranchRules(frozenset({"pull_request", "deletion", "non_fast_forward"}), (CHECK,), approvals=1, last_push=True)


def by_name(items: list[Item]) -> dict[str, ItemState]:
    return {item.name: item.state for item in items}


# --- the GitHub Environments that are needed -----------------------------------------------------------------------


def test_the_jobs_of_a_fleet_use_these_environments() -> None:
    fleet = [
        make_desired("loja", secrets=("PLUG_SECRET_A",)),
        make_desired("matriz", account_id="1-2", secrets=("PLUG_SECRET_B",)),
    ]
    found = list_environments(fleet, JobLayout())
    assert found == [
        GitHubEnvironment("loja", ("PLUG_TOKEN", "PLUG_SECRET_A")),
        GitHubEnvironment("matriz", ("PLUG_TOKEN", "PLUG_SECRET_B")),
        GitHubEnvironment("plug-fleet", ("PLUG_TOKENS",), ("PLUG_SECRETS", "PLUG_SECRET_A", "PLUG_SECRET_B")),
        GitHubEnvironment("plug-drift", (), ("PLUG_PARTNER_TOKEN", "PLUG_SECRET_B")),
    ]
    sharded = list_environments(fleet, JobLayout(TokensFrom.SECRET, 2))
    assert [one.name for one in sharded] == ["plug-fleet", "plug-drift"]
    assert sharded[0].secrets == ("PLUG_TOKENS_1", "PLUG_TOKENS_2")


@pytest.mark.parametrize(
    ("state", "branch"),
    [("git:origin/reconciler-state", "reconciler-state"), ("git:origin/a/b", "a/b"), ("s3://a/b", None), (".x", None)],
)
def test_the_branch_of_the_state_is_in_the_setting(state: str, branch: str | None) -> None:
    assert find_state_branch(state) == branch


# --- GitHub Environments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (None, ItemState.MISSING, "GitHub would create it at the first run"),
        (ShownEnvironment("x", None), ItemState.WRONG, "every branch may use its secrets"),
        (ShownEnvironment("x", (), any_protected=True), ItemState.WRONG, "every protected branch may use"),
        (ShownEnvironment("x", ["release"]), ItemState.WRONG, "main may not use it"),
        (
            ShownEnvironment("x", ["main", "release/*"]),
            ItemState.WRONG,
            "other branches may use",
        ),
        (ShownEnvironment("x", [], tags=["main"]), ItemState.WRONG, "tags may use its secrets, and who may write can"),
        (ShownEnvironment("x", ["main"], tags=["v*"]), ItemState.WRONG, "push one: v*"),
        (ShownEnvironment("x", ["main"], reviewers=2), ItemState.OK, "for main alone, 2 reviewers"),
    ],
)
def test_an_environment_is_for_the_default_branch_alone(
    found: ShownEnvironment | None, state: ItemState, said: str
) -> None:
    item = judge_environment("x", found, "main", REPOSITORY)
    assert item.state is state and said in item.message
    assert bool(item.hint) == (state is not ItemState.OK)


@pytest.mark.parametrize(("name", "flag"), [("loja", " -e loja"), ("plug-fleet", ""), ("plug-drift", "")])
def test_the_hint_for_a_missing_environment_selects_only_one_with_a_manifest(name: str, flag: str) -> None:
    """The environments of the fleet and of the drift have none."""
    assert judge_environment(name, None, "main", REPOSITORY).hint == f"reconciler github setup{flag} prints the calls"


def test_a_token_that_every_job_can_see_does_not_count_for_an_environment() -> None:
    """It would be sent for an environment without its own token. A receiver's key may be shared."""
    wanted = GitHubEnvironment("loja", ("PLUG_TOKEN", "PLUG_SECRET_A"))
    shared = {"PLUG_TOKEN", "PLUG_SECRET_A"}
    (item,) = judge_environment_secrets(wanted, set(), shared, REPOSITORY)
    assert (item.state, item.message) == (ItemState.MISSING, "not set: PLUG_TOKEN")
    assert item.hint == f"gh secret set PLUG_TOKEN --repo {REPOSITORY} --env loja"
    (item,) = judge_environment_secrets(wanted, {"PLUG_TOKEN"}, shared, REPOSITORY)
    assert item.state is ItemState.OK
    assert judge_shared_secrets(shared, TokensFrom.ENVIRONMENTS).state is ItemState.WRONG
    assert judge_shared_secrets(shared, TokensFrom.SECRET).state is ItemState.OK
    assert judge_shared_secrets({"PLUG_SECRET_A"}, TokensFrom.ENVIRONMENTS).state is ItemState.OK


# --- variables -----------------------------------------------------------------------------------------------------


def test_the_switch_is_off_until_it_is_true() -> None:
    assert by_name(list(judge_variables({}))) == {"variable PLUG_APPLY": ItemState.MISSING}
    assert by_name(list(judge_variables({"PLUG_APPLY": "true"}))) == {"variable PLUG_APPLY": ItemState.OK}


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("PLUG_TOKENS_FROM", "secrets", ItemState.WRONG),
        ("PLUG_TOKENS_FROM", "secret", None),
        ("PLUG_STRICT", "yes", ItemState.WRONG),
        ("PLUG_STRICT", "true", ItemState.OK),
        ("PLUG_STRICT", "false", None),
        ("PLUG_SHARDS", "four", ItemState.WRONG),
        ("PLUG_SHARDS", "4", ItemState.WRONG),  # without PLUG_TOKENS_FROM=secret
        ("PLUG_MAX_PARALLEL", "0", ItemState.WRONG),
    ],
)
def test_a_variable_has_one_of_its_values(name: str, value: str, state: ItemState | None) -> None:
    assert by_name(list(judge_variables({"PLUG_APPLY": "true", name: value}))).get(f"variable {name}") is state


def test_the_layout_is_that_of_the_variables_or_the_default() -> None:
    """The first job refuses wrong values; here they count as not set, so that the rest is judged."""
    assert find_layout({"PLUG_TOKENS_FROM": "secret", "PLUG_SHARDS": "12"}) == JobLayout(TokensFrom.SECRET, 12)
    assert find_layout({"PLUG_TOKENS_FROM": "slip"}) == find_layout({}) == JobLayout()


# --- rules ---------------------------------------------------------------------------------------------------------


def test_the_default_branch_needs_pull_requests_and_the_check() -> None:
    assert {item.state for item in judge_default_branch(RIGHT, "main")} == {ItemState.OK}
    required = replace(RIGHT, code_owners=True)
    for rules, state in ((RIGHT, ItemState.MISSING), (required, ItemState.OK), (required.join(RIGHT), ItemState.OK)):
        assert by_name(list(judge_default_branch(rules, "main", code_owners=True)))["code owners of main"] is state
    missing = by_name(list(judge_default_branch(BranchRules(), "main")))
    assert set(missing.values()) == {ItemState.MISSING} and len(missing) == 2


@pytest.mark.parametrize(
    ("rules", "said", "state"),
    [
        (replace(RIGHT, kinds=frozenset({"deletion"})), "without a pull request", ItemState.MISSING),
        (replace(RIGHT, approvals=0), "no approval is required", ItemState.UNKNOWN),
        (replace(RIGHT, last_push=False), "who pushed last may approve", ItemState.MISSING),
    ],
)
def test_no_user_may_change_the_default_branch_alone(rules: BranchRules, said: str, state: ItemState) -> None:
    """A merge is applied, so a second user must have seen it. A team of one has no second user."""
    (item,) = [one for one in judge_default_branch(rules, "main") if one.name == "rule of main"]
    assert item.state is state and said in item.message
    assert {one.state for one in judge_default_branch(rules.join(RIGHT), "main")} == {ItemState.OK}


def test_the_check_must_come_from_github_actions() -> None:
    """Otherwise any user who may write statuses could report it."""
    rules = replace(RIGHT, checks=(RequiredCheck("Webhooks plan", None),))
    assert by_name(list(judge_default_branch(rules, "main")))["required check Webhooks plan"] is ItemState.WRONG


@pytest.mark.parametrize("former", ["Plan", "reconciler/plan"])
def test_the_check_of_the_first_version_blocks_every_merge(former: str) -> None:
    rules = replace(RIGHT, checks=(CHECK, RequiredCheck(former, None)))
    assert by_name(list(judge_default_branch(rules, "main")))[f"required check {former}"] is ItemState.WRONG


@pytest.mark.parametrize(
    ("kinds", "checks", "states"),
    [
        ({"deletion", "non_fast_forward"}, (), [ItemState.OK]),
        ({"deletion"}, (), [ItemState.MISSING]),
        (set(), (), [ItemState.MISSING]),
        ({"deletion", "non_fast_forward", "required_signatures"}, (), [ItemState.WRONG]),
        ({"deletion", "non_fast_forward", "pull_request"}, (), [ItemState.WRONG]),
        ({"deletion", "non_fast_forward"}, (CHECK,), [ItemState.WRONG]),
        ({"pull_request"}, (), [ItemState.MISSING, ItemState.WRONG]),
    ],
)
def test_the_branch_of_the_state_is_protected_but_can_be_pushed_to(
    kinds: set[str], checks: tuple[RequiredCheck, ...], states: list[ItemState]
) -> None:
    found = judge_state_branch(BranchRules(frozenset(kinds), checks), "reconciler-state")
    assert [item.state for item in found] == states


# --- actions -------------------------------------------------------------------------------------------------------

CHECKOUT = UsedAction("actions/checkout", COMMIT)


@pytest.mark.parametrize(
    ("action", "days", "current", "state"),
    [
        (CHECKOUT, 30, [], ItemState.OK),
        (CHECKOUT, 400, [], ItemState.WRONG),
        (CHECKOUT, 400, [f"actions/checkout@{COMMIT}"], ItemState.OK),  # no newer commit exists, or this version is old
        (CHECKOUT, None, [], ItemState.UNKNOWN),
        (UsedAction("actions/checkout", "v4"), None, [], ItemState.WRONG),
        (UsedAction("OWNER/reconciler/.github/actions/reconciler", "COMMIT"), None, [], ItemState.MISSING),
    ],
)
def test_an_action_is_pinned_to_a_commit_that_is_not_old(
    action: UsedAction, days: int | None, current: list[str], state: ItemState
) -> None:
    made_at = None if days is None else NOW - timedelta(days=days)
    assert judge_action(action, made_at, NOW, current).state is state


@pytest.mark.parametrize(("hours", "age"), [(-1, "0 days"), (23, "0 days"), (24, "1 day"), (48, "2 days")])
def test_the_age_of_a_pin_is_in_whole_days(hours: int, age: str) -> None:
    """A commit's clock may be ahead of this one."""
    item = judge_action(CHECKOUT, NOW - timedelta(hours=hours), NOW, [])
    assert item.message == f"pinned to a commit that is {age} old"


def test_the_actions_of_workflows_are_found() -> None:
    """Each is listed once. A local action and a container do not count."""
    text = (
        f"jobs:\n  a:\n    uses: ./.github/workflows/x.yml\n    steps:\n      - uses: actions/checkout@{COMMIT} # v7\n"
        "      - name: y\n        uses: 'acme/reconciler/.github/actions/reconciler@v1'\n      - uses: docker://x\n"
        "      - uses: ./local\n        # uses: not/this@v1\n"
    )
    found = find_actions([text, text])
    assert found == [UsedAction("acme/reconciler/.github/actions/reconciler", "v1"), CHECKOUT]
    assert found[0].repository == "acme/reconciler"
