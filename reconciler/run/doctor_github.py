"""The setup of a repository on GitHub, item by item. What the token may not read is unknown, and hides nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.workflow.before_merge import find_missing_lines
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.core.workflow.readback import (
    UsedAction,
    find_actions,
    find_layout,
    judge_action,
    judge_branches,
    judge_default_branch,
    judge_environment,
    judge_environment_secrets,
    judge_secret_lines,
    judge_shared_secrets,
    judge_state,
    judge_state_branch,
    judge_variables,
    make_item,
)
from reconciler.core.workflow.setup import GitHubEnvironment, find_state_branch, list_environments
from reconciler.core.workflow.steps import TokensFrom
from reconciler.errors import NotPermitted, PostFailed
from reconciler.model import BranchRules, Desired, Item, ItemState
from reconciler.ports import RepositoryReads

T = TypeVar("T")

_LACKING = frozenset({ItemState.MISSING, ItemState.UNKNOWN})  # of the items of a branch's rules


class GitHubQuestion(Struct, frozen=True):
    """The input that is compared with GitHub.

    `workflows` are the texts of the checkout's workflows by file name; `current` are the pins of this version's,
    NAME@COMMIT. With `secrets_file`, the secrets come from a file. `code_owners`: CODEOWNERS names owners.
    """

    desired: Sequence[Desired]
    state: str
    workflows: Mapping[str, str]
    current: Sequence[str]
    now: datetime
    report: Callable[[int, int], None] = lambda done, total: None
    secrets_file: bool = False
    code_owners: bool = False


def report_github(question: GitHubQuestion, reads: RepositoryReads) -> Iterator[Item]:
    """Yield the items of the repository. Never raises PostFailed."""
    asked = _Questions()
    branch = asked.ask("default branch", reads.find_default_branch)
    variables = asked.ask("variables", reads.list_variables)
    if branch is None:
        yield from asked.unknown
        return
    yield from judge_variables(variables) if variables is not None else ()
    layout = find_layout(variables or {})
    wanted = [
        one
        for one in list_environments(question.desired, layout)
        if layout.tokens_from is TokensFrom.SECRET or one.name != FLEET_ENVIRONMENT
    ]
    yield from _environments(wanted, branch, question, reads, asked, layout.tokens_from)
    state = (variables or {}).get("PLUG_STATE") or question.state  # the workflows prefer the variable too
    yield from judge_state(state)
    yield from _rules(branch, state, question, reads, asked)
    yield from judge_branches(question.workflows, branch)
    if not question.secrets_file:
        yield from judge_secret_lines(find_missing_lines(question.workflows, question.desired, layout))
    for action in find_actions(question.workflows.values()):
        yield from _action(action, question, reads, asked)
    yield from asked.unknown


class _Questions(Struct):
    """Asks, and keeps one item for each thing that could not be read."""

    unknown: list[Item] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def ask(self, what: str, question: Callable[[], T]) -> T | None:
        """Return the answer; None if there is none. After a refusal the same thing is not asked again."""
        if what in self.refused:
            return None
        try:
            return question()
        except NotPermitted as error:
            self.refused.add(what)
            self.unknown.append(make_item(what, ItemState.UNKNOWN, str(error), "give it to GITHUB_TOKEN"))
        except PostFailed as error:
            self.refused.add(what)
            state = ItemState.WRONG if error.status in (401, 404) else ItemState.UNKNOWN
            hint = "use a GITHUB_TOKEN that may read this repository" if state is ItemState.WRONG else ""
            self.unknown.append(make_item(what, state, str(error), hint))
        return None


def _environments(
    wanted: Sequence[GitHubEnvironment],
    branch: str,
    question: GitHubQuestion,
    reads: RepositoryReads,
    asked: _Questions,
    tokens_from: TokensFrom,
) -> Iterator[Item]:
    listed = asked.ask("GitHub Environments", reads.list_environments)
    shared = asked.ask("secrets of the repository", reads.list_secrets)
    if shared is not None:
        yield judge_shared_secrets(shared, tokens_from)
    if listed is None:
        return
    names = {name.casefold(): name for name in listed}
    for done, one in enumerate(wanted, 1):
        name = names.get(one.name.casefold())
        yield from _environment(one, name, branch, reads, asked, shared or ())
        question.report(done, len(wanted))


def _environment(
    wanted: GitHubEnvironment,
    name: str | None,
    branch: str,
    reads: RepositoryReads,
    asked: _Questions,
    shared: Collection[str],
) -> Iterator[Item]:
    if name is None:
        yield judge_environment(wanted.name, None, branch, reads.repository)
        return
    found = asked.ask("branch policies", lambda: reads.read_environment(name))
    if found is not None:
        yield judge_environment(wanted.name, found, branch, reads.repository)
    own = asked.ask("secrets of the GitHub Environments", lambda: reads.list_environment_secrets(name))
    if own is not None:
        yield from judge_environment_secrets(wanted, own, shared, reads.repository)


def _rules(
    branch: str, state: str, question: GitHubQuestion, reads: RepositoryReads, asked: _Questions
) -> Iterator[Item]:
    judge = partial(judge_default_branch, code_owners=question.code_owners)
    yield from _judge_rules(branch, judge, reads, asked)
    state_branch = find_state_branch(state)
    if state_branch is not None:
        yield from _judge_rules(state_branch, judge_state_branch, reads, asked)


def _judge_rules(
    branch: str,
    judge: Callable[[BranchRules, str], Iterable[Item]],
    reads: RepositoryReads,
    asked: _Questions,
) -> Iterator[Item]:
    """Yield the items of a branch's rules.

    Every token may read the rulesets. What they lack may be in the branch's older protection.
    """
    rules = asked.ask(f"rules of {branch}", lambda: reads.read_rules(branch))
    if rules is None:
        return
    items = list(judge(rules, branch))
    if any(item.state in _LACKING for item in items):
        what = f"protection of {branch}"
        older = asked.ask(what, lambda: reads.read_protection(branch))
        if older is not None:
            items = list(judge(rules.join(older), branch))
        else:
            items = [_doubt(item, branch) if item.state in _LACKING else item for item in items]
    yield from items


def _doubt(item: Item, branch: str) -> Item:
    """Return an item that the rulesets lack as unknown: the older protection of the branch may have it."""
    message = f"no ruleset has it, and the older protection of {branch}, which may, could not be asked"
    return replace(item, state=ItemState.UNKNOWN, message=message)


def _action(action: UsedAction, question: GitHubQuestion, reads: RepositoryReads, asked: _Questions) -> Iterator[Item]:
    made_at = None
    if action.is_pinned:
        what = f"age of {action.name}"
        made_at = asked.ask(what, lambda: reads.find_commit_time(action.repository, action.ref))
        if what in asked.refused:
            return
    yield judge_action(action, made_at, question.now, question.current)


def find_pins(workflows: Mapping[str, str]) -> list[str]:
    """Return the pins of this version's workflows, NAME@COMMIT."""
    return [f"{one.name}@{one.ref}" for one in find_actions(workflows.values())]
