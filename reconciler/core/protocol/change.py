"""What one merge changes, and what of it `apply` would refuse for the change itself (docs/github.md).

A pull request is compared with the base that it was merged into for trial: what others merged before, and is not yet
applied, is not part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from reconciler.core.digest import manifests_digest
from reconciler.core.guards import MaxChanged, count_updates, find_reserved_receivers, find_too_many_updates
from reconciler.core.planner import Planned
from reconciler.core.policy import Policy
from reconciler.core.protocol.labels import Label, LabelSetting
from reconciler.model import CheckResult, Desired, Problem

OWNERS = frozenset({"CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"})  # the places that GitHub reads
ACTIONS_FOLDER = ".github/"
ATTRIBUTES = ".gitattributes"  # in any folder: what a diff hides, and what git writes in place of a file's bytes


# --- what it changes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MergeChange:
    """The environments that a merge changes, sorted. `changed` includes new ones; `removed` have no manifest left."""

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def find_change(before: Iterable[Desired], after: Iterable[Desired]) -> MergeChange:
    """Compare what each environment shall be (`wants`), before and after a merge."""
    wanted = digest_each(before)
    wants = digest_each(after)
    return MergeChange(
        changed=tuple(sorted(name for name, digest in wants.items() if wanted.get(name) != digest)),
        removed=tuple(sorted(wanted.keys() - wants.keys())),
    )


def digest_each(desired: Iterable[Desired]) -> dict[str, str]:
    """Return what each environment shall be, as a digest."""
    return {one.environment: manifests_digest([one]) for one in desired}


# --- what it loosens -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that a merge changes, as text."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Loosening:
    """What a merge changes beside environments, which may loosen a rule: a reviewer reads it first."""

    settings: tuple[SettingChange, ...] = ()
    policies: tuple[str, ...] = ()  # the environments whose policy differs
    paths: tuple[str, ...] = ()  # workflows and the like, the files of code owners, git's attributes

    def __bool__(self) -> bool:
        return bool(self.settings or self.policies or self.paths)


def find_setting_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[SettingChange, ...]:
    """Compare the settings, each as text by its name. The order is that of `after`."""
    return tuple(
        SettingChange(path, before.get(path, ""), text) for path, text in after.items() if before.get(path, "") != text
    )


def find_policy_changes(before: Mapping[str, Policy], after: Mapping[str, Policy]) -> tuple[str, ...]:
    """Return the environments, of those before and after, whose policy differs."""
    return tuple(sorted(name for name, policy in after.items() if before.get(name, policy) != policy))


def find_watched_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that decide who reviews, what a reviewer is shown, and what the workflows do."""
    return tuple(sorted(filter(_is_watched, paths)))


def _is_watched(path: str) -> bool:
    return path.startswith(ACTIONS_FOLDER) or path in OWNERS or path.rpartition("/")[2] == ATTRIBUTES


# --- what apply would refuse -----------------------------------------------------------------------


def narrow(planned: Planned, names: Collection[str]) -> Planned:
    """Return the part of a plan that is about these environments. Its fleet stays whole, as guards count over it."""
    environments = tuple(one for one in planned.plan.environments if one.environment in names)
    return replace(planned, plan=replace(planned.plan, environments=environments))


def find_own_refusals(planned: Planned, change: MergeChange, limit: MaxChanged | None) -> list[Problem]:
    """Return what `apply` would refuse of the environments that a merge changes, tokens and an empty state aside.

    `limit` is the base's max_changed: a merge doesn't loosen the guard that it is measured by.
    """
    own = narrow(planned, frozenset(change.changed))
    updates = count_updates(own, ())
    too_many = find_too_many_updates(updates, planned.fleet.applied_count, limit)
    return [*([] if too_many is None else [_with_way_out(too_many)]), *find_reserved_receivers(own)]


def find_later_refusal(planned: Planned, limit: MaxChanged | None) -> Problem | None:
    """Return what max_changed would say of the whole apply run, with what was merged before and is not yet applied."""
    found = find_too_many_updates(count_updates(planned, ()), planned.fleet.applied_count, limit)
    return None if found is None else _with_way_out(found)


def _with_way_out(problem: Problem) -> Problem:
    return replace(problem, hint=f'if that is meant: set the label "{Label.LARGE_CHANGE}"')


def is_large_change(problem: Problem) -> bool:
    """Return whether the label of a large change lets this problem pass."""
    return problem.key == "max_changed"


# --- the review ------------------------------------------------------------------------------------


class Unposted(StrEnum):
    """The reason why a review is not posted, although nothing failed."""

    MERGE_GROUP = "merge-group"
    CLOSED = "closed"
    MOVED = "moved"  # the pull request has another head by now
    READ_ONLY = "read-only"  # a run of a fork or of Dependabot
    SUPERSEDED = "superseded"  # a later run has posted


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer is shown. It is red where `errors`, `refused` or `combined` holds anything, or it `failed`.

    `base_fault` says why the base could not be read: every environment then counts as changed.
    """

    base: str  # the commit that it is compared with
    head: str | None  # the pull request's last commit; None where it is not known
    change: MergeChange = field(default_factory=MergeChange)
    loosening: Loosening = field(default_factory=Loosening)
    base_fault: str = ""
    planned: Planned | None = None
    errors: tuple[Problem, ...] = ()  # of the manifests and settings: there is no plan then
    warnings: tuple[Problem, ...] = ()
    failed: str = ""  # why there is no plan, although the manifests are right
    unplanned: str = ""  # why there is no plan, where that is no failure
    refused: tuple[Problem, ...] = ()
    lifted: tuple[Problem, ...] = ()  # what would be refused without `labels`
    later: Problem | None = None  # what a guard would say of the whole apply run
    labels: tuple[LabelSetting, ...] = ()  # those that are set and matter, whether they count or not
    label_fault: str = ""  # why GitHub did not say who set a label
    combined: tuple[str, ...] = ()  # with strict: what the head wants otherwise
    checked: CheckResult | None = None

    @property
    def is_red(self) -> bool:
        return bool(self.errors or self.refused or self.combined or self.failed)
