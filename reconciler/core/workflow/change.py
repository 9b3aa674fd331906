"""The changes that one merge makes, and those that `apply` would refuse (docs/github.md).

A pull request's merge commit is compared with its base. So changes that were merged earlier and are not yet applied
are not part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.digest import manifests_digest
from reconciler.core.guards import MaxChanged, count_updates, find_reserved_receivers, find_too_many_updates
from reconciler.core.planner import Planned
from reconciler.core.policy import Policy
from reconciler.core.workflow.before_merge import Advice
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.parts import EnvironmentChange, PinChange
from reconciler.core.workflow.setup import OWNERS_PLACES
from reconciler.model import CheckResult, Desired, Problem

GITHUB_FOLDER = ".github/"
RUN_FOLDERS = (".github/workflows/", ".github/actions/")  # what the workflows do
ATTRIBUTES = ".gitattributes"  # in any folder: it decides what a diff hides, and which bytes git writes into a file
RULES = frozenset({"reconciler.toml", "pyproject.toml", "_defaults.yaml"})  # files of settings and policies


# --- changed environments --------------------------------------------------------------------------


class MergeChange(Struct, frozen=True):
    """The environments that a merge changes, sorted. `changed` includes new ones; `removed` lost their manifest."""

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def find_change(before: Iterable[Desired], after: Iterable[Desired]) -> MergeChange:
    """Compare what is wanted of each environment before and after a merge."""
    digests_before = digest_each(before)
    digests_after = digest_each(after)
    return MergeChange(
        changed=tuple(sorted(name for name, digest in digests_after.items() if digests_before.get(name) != digest)),
        removed=tuple(sorted(digests_before.keys() - digests_after.keys())),
    )


def digest_each(desired: Iterable[Desired]) -> dict[str, str]:
    """Return a digest of what is wanted of each environment, by name."""
    return {one.environment: manifests_digest([one]) for one in desired}


# --- loosened rules --------------------------------------------------------------------------------


SettingValue: TypeAlias = str | tuple[str, ...]
"""A setting as users write it; a list as its entries."""


class SettingChange(Struct, frozen=True):
    """A setting that a merge changes."""

    path: str
    before: SettingValue
    after: SettingValue


class Loosening(Struct, frozen=True):
    """The other changes of a merge, which may loosen a rule. The review shows them first."""

    settings: tuple[SettingChange, ...] = ()
    policies: tuple[str, ...] = ()  # the environments whose policy differs
    paths: tuple[str, ...] = ()  # files in .github, the files of code owners, and .gitattributes
    pins: tuple[PinChange, ...] = ()  # lost or changed
    unknown: tuple[str, ...] = ()  # the rules that could not be compared, because the base has a fault

    def __bool__(self) -> bool:
        return bool(self.settings or self.policies or self.paths or self.pins or self.unknown)


def find_setting_changes(
    before: Mapping[str, SettingValue], after: Mapping[str, SettingValue]
) -> tuple[SettingChange, ...]:
    """Compare the settings by their names. The order is that of `after`."""
    return tuple(
        SettingChange(path, before.get(path, ""), value)
        for path, value in after.items()
        if before.get(path, "") != value
    )


def find_policy_changes(before: Mapping[str, Policy], after: Mapping[str, Policy]) -> tuple[str, ...]:
    """Return the environments that exist before and after, and whose policy differs."""
    return tuple(sorted(name for name, policy in after.items() if before.get(name, policy) != policy))


def find_watched_paths(paths: Iterable[str], *, with_rules: bool = False) -> tuple[str, ...]:
    """Return the paths of files that decide who reviews, what a reviewer sees, or what the workflows do.

    The gravest come first: a list may be too long for a comment. `with_rules` adds the files that hold settings and
    policies, for a base whose rules could not be compared.
    """
    ranked = sorted((rank, path) for path in paths if (rank := _rank(path, with_rules=with_rules)) is not None)
    return tuple(path for _, path in ranked)


def _rank(path: str, *, with_rules: bool) -> int | None:
    """Return the place of a file in the list of what is watched; None if it is not watched."""
    name = path.rpartition("/")[2]
    watched = (
        with_rules and name in RULES,
        path.startswith(RUN_FOLDERS),
        path in OWNERS_PLACES,
        name == ATTRIBUTES,
        path.startswith(GITHUB_FOLDER),
    )
    return watched.index(True) if True in watched else None


# --- refusals --------------------------------------------------------------------------------------


def narrow(planned: Planned, names: Collection[str]) -> Planned:
    """Return the plan of these environments alone. It keeps the whole fleet, over which guards count."""
    environments = tuple(one for one in planned.plan.environments if one.environment in names)
    return replace(planned, plan=replace(planned.plan, environments=environments))


def find_own_refusals(
    planned: Planned, change: MergeChange, limit: MaxChanged | None, *, is_limit_known: bool = True
) -> list[Problem]:
    """Return why `apply` would refuse the environments that a merge changes. Tokens and a new state are not checked.

    `limit` is the base's max_changed, so that a merge can't loosen its own guard. If it is not known, no update passes.
    """
    own = narrow(planned, frozenset(change.changed))
    updates, applied = count_updates(own, ()), planned.fleet.applied_count
    too_many = find_too_many_updates(updates, applied, limit) if is_limit_known else _refuse_unknown(updates, applied)
    return [*([] if too_many is None else [_with_label_hint(too_many)]), *find_reserved_receivers(own)]


def _refuse_unknown(updates: int, applied: int) -> Problem | None:
    if not updates:
        return None
    message = f"{updates} of {applied} applied environments would be updated, and the limit of the base is not known"
    return Problem.of("max_changed", message)


def find_later_refusal(planned: Planned, limit: MaxChanged | None) -> Problem | None:
    """Return the problem of max_changed in the whole apply run, with earlier merges that are not yet applied."""
    found = find_too_many_updates(count_updates(planned, ()), planned.fleet.applied_count, limit)
    return None if found is None else _with_label_hint(found)


def _with_label_hint(problem: Problem) -> Problem:
    return replace(problem, hint=f'if that is meant: set the label "{Label.LARGE_CHANGE}"')


def is_large_change(problem: Problem) -> bool:
    """Return whether the label of a large change lets this problem pass."""
    return problem.key == "max_changed"


# --- the review ------------------------------------------------------------------------------------


class Unposted(StrEnum):
    """The reasons not to post a review, although nothing failed."""

    MERGE_GROUP = "merge-group"
    CLOSED = "closed"
    MOVED = "moved"  # the pull request has a newer head
    READ_ONLY = "read-only"  # a run of a fork or of Dependabot
    SUPERSEDED = "superseded"  # a later run has posted


class Review(Struct, frozen=True):
    """The content of a review comment. The check is red for `errors`, `refused`, `combined` or `failed`.

    `base_fault` says why the base could not be read; every environment then counts as changed.
    """

    base: str  # the commit to compare with
    head: str | None  # the pull request's last commit; None if it is not known
    change: MergeChange = field(default_factory=MergeChange)
    unshown: tuple[EnvironmentChange, ...] = ()  # what the plan does not show of it
    loosening: Loosening = field(default_factory=Loosening)
    base_fault: str = ""
    planned: Planned | None = None
    errors: tuple[Problem, ...] = ()  # of the manifests and settings: there is no plan then
    warnings: tuple[Problem, ...] = ()
    failed: str = ""  # why there is no plan, although the manifests are valid
    unplanned: str = ""  # why there is no plan, if that is not a failure
    refused: tuple[Problem, ...] = ()
    lifted: tuple[Problem, ...] = ()  # what would be refused without `labels`
    later: Problem | None = None  # the problem of a guard in the whole apply run
    labels: tuple[LabelSetting, ...] = ()  # the relevant labels that are set, whether they count or not
    label_fault: str = ""  # why GitHub did not say who set a label
    combined: tuple[str, ...] = ()  # with PLUG_STRICT: environments of which the head wants something else
    checked: CheckResult | None = None
    advice: tuple[Advice, ...] = ()  # what to do before the merge, outside of the manifests

    @property
    def is_red(self) -> bool:
        return bool(self.errors or self.refused or self.combined or self.failed)
