"""The judgement of a repository's set-up, from the data that GitHub shows (docs/github.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from reconciler.core.where import is_shared
from reconciler.core.workflow.before_merge import MissingLine, describe_missing_line
from reconciler.core.workflow.names import (
    ACTIONS_APP,
    APPLY_WORKFLOW,
    DRIFT_ENVIRONMENT,
    FLEET_ENVIRONMENT,
    REQUIRED_CHECK,
    TOKEN_SECRET,
)
from reconciler.core.workflow.runner_state import ELSEWHERE, is_relative
from reconciler.core.workflow.setup import GitHubEnvironment
from reconciler.core.workflow.steps import JobLayout, TokensFrom, parse_layout
from reconciler.errors import InputError
from reconciler.model import Area, BranchRules, Item, ItemState, ShownEnvironment
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, name_some

OLD_PIN_DAYS = 365
UNFILLED = "COMMIT"  # init writes this if it does not know the commit of this tool
FORMER_CHECKS = frozenset({"Plan", "reconciler/plan"})  # of the first version's workflows
_SWITCHES = ("PLUG_APPLY", "PLUG_STRICT", "PLUG_CHECK", "PLUG_OBSERVE", "PLUG_SELF_HEAL")
_COUNT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BRANCHES = re.compile(r"^[ \t]+branches:[ \t]*\[(?P<names>[^\]\n]*)\]", re.MULTILINE)
_LISTENING = ("plan.yml", APPLY_WORKFLOW)  # the workflows that start for the default branch


def make_item(name: str, state: ItemState, message: str, hint: str = "") -> Item:
    """Return an item about GitHub."""
    return Item(Area.GITHUB, name, state, message, hint)


# --- GitHub Environments -------------------------------------------------------------------------------------------


def judge_environment(name: str, found: ShownEnvironment | None, branch: str, repository: str) -> Item:
    """Judge whether a GitHub Environment exists, and only the default branch may use it."""
    label = f"environment {name}"
    narrowed = "" if name in (FLEET_ENVIRONMENT, DRIFT_ENVIRONMENT) else f" -e {name}"
    setup = f"reconciler github setup{narrowed} prints the calls"
    if found is None:
        message = "GitHub would create it at the first run, open to every branch and without reviewers"
        return make_item(label, ItemState.MISSING, message, setup)
    path = f"repos/{repository}/environments/{found.name}"
    if found.branches is None:
        return make_item(label, ItemState.WRONG, "every branch may use its secrets", setup)
    if found.any_protected:
        hint = f"in its settings, allow the branch {branch} alone (Settings, Environments, {found.name})"
        return make_item(label, ItemState.WRONG, "every protected branch may use its secrets", hint)
    if found.tags:
        message = f"tags may use its secrets, and who may write can push one: {name_some(found.tags)}"
        hint = f"remove them, and allow the branch {branch} alone (Settings, Environments, {found.name})"
        return make_item(label, ItemState.WRONG, message, hint)
    if branch not in found.branches:
        hint = f"gh api --method POST {path}/deployment-branch-policies --raw-field name={branch}"
        return make_item(label, ItemState.WRONG, f"{branch} may not use it, so its jobs fail", hint)
    others = [one for one in found.branches if one != branch]
    if others:
        message = f"other branches may use its secrets: {name_some(others)}"
        hint = f"remove them (Settings, Environments, {found.name})"
        return make_item(label, ItemState.WRONG, message, hint)
    reviewers = counted(found.reviewers, "reviewer") if found.reviewers else "no reviewers"
    return make_item(label, ItemState.OK, f"for {branch} alone, {reviewers}")


def judge_environment_secrets(
    wanted: GitHubEnvironment, own: Collection[str], shared: Collection[str], repository: str
) -> list[Item]:
    """Judge the secrets of a GitHub Environment by their names. `shared` has the secrets of the repository."""
    label = f"secrets of {wanted.name}"
    # a token that every job can see doesn't count, as it is not the token of this environment
    there = {*own, *(name for name in shared if not name.startswith(TOKEN_SECRET))}
    missing = [name for name in wanted.secrets if name not in there]
    if missing:
        hint = f"gh secret set {missing[0]} --repo {repository} --env {wanted.name}"
        return [make_item(label, ItemState.MISSING, f"not set: {name_some(missing)}", hint)]
    found = [name for name in (*wanted.secrets, *wanted.optional) if name in there]
    return [make_item(label, ItemState.OK, name_some(found))] if found else []


def judge_shared_secrets(shared: Collection[str], tokens_from: TokensFrom) -> Item:
    """Judge the secrets that every job gets: a job without its own token would send a token among them."""
    label = "secrets of the repository"
    if TOKEN_SECRET in shared and tokens_from is TokensFrom.ENVIRONMENTS:
        message = f"{TOKEN_SECRET} is visible to every job, and would be sent for an environment without its own"
        return make_item(label, ItemState.WRONG, message, f"gh secret delete {TOKEN_SECRET}")
    return make_item(label, ItemState.OK, f"no {TOKEN_SECRET} that is visible to every job")


# --- variables -----------------------------------------------------------------------------------------------------


def find_layout(variables: Mapping[str, str]) -> JobLayout:
    """Return how the workflows find the tokens; the default if the variables are wrong."""
    try:
        return parse_layout(variables.get("PLUG_TOKENS_FROM", ""), variables.get("PLUG_SHARDS", ""))
    except InputError:
        return JobLayout()


def judge_variables(variables: Mapping[str, str]) -> Iterator[Item]:
    """Judge the variables of the repository, PLUG_APPLY first."""
    if variables.get("PLUG_APPLY", "").strip().lower() != "true":
        hint = "gh variable set PLUG_APPLY --body true"
        yield make_item("variable PLUG_APPLY", ItemState.MISSING, "not true, so nothing is applied", hint)
    else:
        yield make_item("variable PLUG_APPLY", ItemState.OK, "true: merges are applied")
    try:
        parse_layout(variables.get("PLUG_TOKENS_FROM", ""), variables.get("PLUG_SHARDS", ""))
    except InputError as error:
        for problem in error.problems:
            hint = problem.hint or f"gh variable set {problem.key}"
            yield make_item(f"variable {problem.key}", ItemState.WRONG, problem.message, hint)
    for name in _SWITCHES[1:]:
        text = variables.get(name, "").strip().lower()
        if text not in ("", "true", "false"):
            message = f"{variables[name]!r} is neither true nor false"
            yield make_item(f"variable {name}", ItemState.WRONG, message, f"gh variable set {name} --body true")
        elif text == "true":
            yield make_item(f"variable {name}", ItemState.OK, "true")
    parallel = variables.get("PLUG_MAX_PARALLEL", "")
    if parallel and not _COUNT.fullmatch(parallel):
        message = f"{parallel!r} is not a whole number from 1 to 999"
        yield make_item("variable PLUG_MAX_PARALLEL", ItemState.WRONG, message, "gh variable set PLUG_MAX_PARALLEL")


# --- the state -----------------------------------------------------------------------------------------------------


def judge_state(state: str) -> Iterator[Item]:
    """Judge a state that is a folder: a job would write it to its runner."""
    if is_relative(state):
        message = f"{state} is a folder of the checkout: it is lost with the runner, and every run applies all again"
        yield make_item("state of the workflows", ItemState.WRONG, message, ELSEWHERE)
    elif not is_shared(state):
        message = f"{state} is a folder: only runners of your own that share it keep it"
        yield make_item("state of the workflows", ItemState.UNKNOWN, message, f"{ELSEWHERE}, for GitHub's runners")


# --- rules ---------------------------------------------------------------------------------------------------------


def judge_default_branch(rules: BranchRules, branch: str, *, code_owners: bool = False) -> Iterator[Item]:
    """Judge the rules of the default branch: the required check, from GitHub Actions alone, and pull requests.

    With `code_owners` an owner named by CODEOWNERS must be required to approve.
    """
    label, hint = f"required check {REQUIRED_CHECK}", "reconciler github setup prints the rule"
    required = [check for check in rules.checks if check.name == REQUIRED_CHECK]
    if not required:
        yield make_item(label, ItemState.MISSING, f"{branch} accepts merges without it", hint)
    elif all(check.app != ACTIONS_APP for check in required):
        message = "any app, and everybody who may write statuses, may report it: require it from GitHub Actions"
        yield make_item(label, ItemState.WRONG, message, hint)
    else:
        yield make_item(label, ItemState.OK, f"{branch} requires it, from GitHub Actions")
    former = sorted({check.name for check in rules.checks} & FORMER_CHECKS)
    for name in former:
        message = f"nothing reports it any more, so every pull request waits: the check is {REQUIRED_CHECK}"
        yield make_item(f"required check {name}", ItemState.WRONG, message, "remove it from the rule (Settings, Rules)")
    yield _judge_reviews(rules, f"rule of {branch}", hint)
    if code_owners and not rules.code_owners:
        message = "CODEOWNERS names owners, but no rule requires that one of them approves"
        settings = "Require review from Code Owners (Settings, Rules)"
        yield make_item(f"code owners of {branch}", ItemState.MISSING, message, settings)
    elif code_owners:
        yield make_item(f"code owners of {branch}", ItemState.OK, "one of them must approve")


def _judge_reviews(rules: BranchRules, label: str, hint: str) -> Item:
    """Judge whether one user can change the default branch alone.

    In a team of one nobody else can approve, and the number of a team's reviewers is not known.
    """
    if "pull_request" not in rules.kinds:
        return make_item(label, ItemState.MISSING, "it can be pushed to without a pull request", hint)
    if not rules.approvals:
        message = "no approval is required, so a user can merge a change that no other user has seen"
        return make_item(label, ItemState.UNKNOWN, message, f"right for a team of one; for any other {hint}")
    if not rules.last_push:
        message = "who pushed last may approve, so a user can add a change to a pull request and approve it"
        return make_item(label, ItemState.MISSING, message, hint)
    return make_item(label, ItemState.OK, "only pull requests that another user approved change it")


def judge_state_branch(rules: BranchRules, branch: str) -> Iterator[Item]:
    """Judge the rules of the state's branch: no deletion, no force pushes, but the workflows' pushes are allowed."""
    label = f"rule of {branch}"
    lacking = [
        words
        for kind, words in (("deletion", "be deleted"), ("non_fast_forward", "be rewound by a force push"))
        if kind not in rules.kinds
    ]
    if lacking:
        message = f"it can {' and '.join(lacking)}, and with it the memory of what was applied"
        yield make_item(label, ItemState.MISSING, message, "reconciler github setup prints the rule")
    blocking = {"required_signatures": "signed commits", "pull_request": "pull requests"}
    found = [words for kind, words in blocking.items() if kind in rules.kinds]
    if rules.checks:
        found.append("checks")
    if found:
        message = f"a rule requires {name_some(found)} there, so the workflows can't push"
        yield make_item(label, ItemState.WRONG, message, "leave this branch out of that rule (Settings, Rules)")
    elif not lacking:
        yield make_item(label, ItemState.OK, "it can be neither deleted nor rewound")


# --- the workflows in the checkout ---------------------------------------------------------------------------------


def judge_branches(workflows: Mapping[str, str], branch: str) -> Iterator[Item]:
    """Judge the branch that our workflows start for. With another one, no merge is planned and none is applied."""
    listed = {name: _find_listed_branches(workflows[name]) for name in _LISTENING if name in workflows}
    wrong = {name: branches for name, branches in listed.items() if branches and branch not in branches}
    if not wrong:
        return
    others = sorted({one for branches in wrong.values() for one in branches})
    verb = "starts" if len(wrong) == 1 else "start"
    message = f"{' and '.join(wrong)} {verb} for {name_some(others)}, but the default branch is {branch}"
    hint = f"reconciler init --upgrade --default-branch {branch}"
    yield make_item("branch of the workflows", ItemState.WRONG, message, hint)


def _find_listed_branches(workflow: str) -> frozenset[str]:
    """Return the branches that a workflow names in a line `branches: [...]`; empty without one, and for a pattern."""
    lists = [match["names"] for match in _BRANCHES.finditer(workflow)]
    names = frozenset(name.strip().strip("'\"") for listed in lists for name in listed.split(","))
    return frozenset() if any(set(name) & set("*?!+[]") for name in names) else names


def judge_secret_lines(missing: Iterable[MissingLine]) -> Iterator[Item]:
    """Judge the lines of the workflows that hand secrets over to the steps which fill them in."""
    for one in missing:
        hint = f"add `{one.line}` under `env:` there, or: reconciler init --upgrade"
        yield make_item(f"line of {one.name}", ItemState.MISSING, describe_missing_line(one), hint)


# --- actions -------------------------------------------------------------------------------------------------------


class UsedAction(Struct, frozen=True):
    """An action that a workflow uses. `repository` is OWNER/NAME, `ref` what follows the @."""

    name: str
    ref: str

    @property
    def repository(self) -> str:
        return "/".join(self.name.split("/")[:2])

    @property
    def is_pinned(self) -> bool:
        return _COMMIT.fullmatch(self.ref) is not None


_USES = re.compile(r"^[ -]+uses: +['\"]?(?P<name>[\w.-]+/[\w./-]+)@(?P<ref>[\w./-]+)", re.MULTILINE)


def find_actions(workflows: Iterable[str]) -> list[UsedAction]:
    """Return the actions of other repositories that the workflows use, each once, sorted by name."""
    found = {UsedAction(match["name"], match["ref"]) for text in workflows for match in _USES.finditer(text)}
    return sorted(found, key=lambda one: (one.name, one.ref))


def judge_action(action: UsedAction, made_at: datetime | None, now: datetime, current: Sequence[str]) -> Item:
    """Judge a pin. `made_at` is the time of its commit; `current` has this version's pins, as NAME@COMMIT."""
    label = f"action {action.name}"
    if action.ref == UNFILLED:
        hint = f"reconciler init --upgrade --yes --action {action.name}@…"
        return make_item(label, ItemState.MISSING, "the workflows don't name its commit yet", hint)
    if not action.is_pinned:
        message = f"{action.ref} can be moved: then other code runs without any change here"
        return make_item(label, ItemState.WRONG, message, "pin its commit; Dependabot keeps it current")
    if made_at is None:
        message = f"{action.repository} has no commit {shorten_commit(action.ref)}, or this token can't see it"
        return make_item(label, ItemState.UNKNOWN, message)
    days = (now - made_at).days
    age = f"pinned to a commit that is {counted(max(days, 0), 'day')} old"
    if days > OLD_PIN_DAYS and f"{action.name}@{action.ref}" not in current:
        hint = "reconciler init --upgrade, or let Dependabot move it (.github/dependabot.yml)"
        return make_item(label, ItemState.WRONG, age, hint)
    return make_item(label, ItemState.OK, age)
