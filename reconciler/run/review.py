"""The review of a test merge or a merge group: what it changes, what apply would refuse, and the plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.core.guards import MaxChanged
from reconciler.core.planner import Planned
from reconciler.core.policy import Policy
from reconciler.core.workflow.before_merge import Advice, find_advice, find_missing_lines
from reconciler.core.workflow.change import (
    Loosening,
    MergeChange,
    Review,
    SettingValue,
    Unposted,
    find_change,
    find_later_refusal,
    find_own_refusals,
    find_policy_changes,
    find_setting_changes,
    find_watched_paths,
    is_large_change,
)
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import Marker
from reconciler.core.workflow.parts import EnvironmentChange, find_pin_changes, find_unshown
from reconciler.core.workflow.steps import JobLayout
from reconciler.errors import PostFailed, StateError
from reconciler.model import Desired, Plan, Problem, has_work
from reconciler.ports import Hub, Posted, PostEffect
from reconciler.run.github import MayOnlyRead, needing_permission


class Side(Struct, frozen=True):
    """The manifests and settings of one commit. `fault` says why the manifests can't be used; then there are none.

    `settings` are by name, empty if they can't be used; then `limit`, which is max_changed, is not known either.
    """

    desired: Sequence[Desired] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    settings: Mapping[str, SettingValue] = field(default_factory=dict)
    limit: MaxChanged | None = None
    allow_local_receivers: bool = False
    fault: str = ""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return which of its rules are not known because of the fault."""
        if not self.fault:
            return ()
        return ("policy",) if self.settings else ("settings", "policy")


class Trial(Struct, frozen=True):
    """A test merge: its commits, and their content.

    `number` is the pull request's, if it is known. `paths` are all that differ from the base. `find_combinations`
    returns those of some environments for which the pull request's head wants something else; None without strict, or
    if no head is known. `workflows` are texts by file name, `layout` says where the tokens come from.
    """

    base: str
    head: str | None
    number: int | None
    before: Side
    after: Side
    errors: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    paths: Sequence[str] = ()
    find_combinations: Callable[[Collection[str]], Sequence[str]] | None = None
    workflows: Mapping[str, str] = field(default_factory=dict)
    layout: JobLayout = field(default_factory=JobLayout)


def review(trial: Trial, hub: Hub, make_plan: Callable[[], Planned], *, may_lack_state: bool) -> Review:
    """Decide what a reviewer is shown. `make_plan` is called only if the manifests are valid.

    With `may_lack_state` an unreadable state is not a failure. Raises InputError.
    """
    begun = Review(
        base=trial.base,
        head=trial.head,
        loosening=_find_loosening(trial),
        base_fault=trial.before.fault,
        errors=tuple(trial.errors),
        warnings=tuple(trial.warnings),
    )
    if trial.errors:
        return begun
    change = find_change(trial.before.desired, trial.after.desired)
    combined = () if trial.find_combinations is None else tuple(trial.find_combinations(change.changed))
    begun = replace(begun, change=change, combined=combined, advice=_find_advice(trial))
    try:
        planned = make_plan()
    except StateError as error:
        begun = replace(begun, unshown=_find_unshown(trial, change, None))
        return replace(begun, unplanned=str(error)) if may_lack_state else replace(begun, failed=str(error))
    begun = replace(begun, planned=planned, unshown=_find_unshown(trial, change, planned.plan))
    return _with_guards(begun, planned, change, trial, hub)


def _find_unshown(trial: Trial, change: MergeChange, plan: Plan | None) -> tuple[EnvironmentChange, ...]:
    """Return what the plan does not show of the change; nothing if the base could not be read."""
    if trial.before.fault:
        return ()
    return find_unshown(trial.before.desired, trial.after.desired, change.changed, plan)


def _find_advice(trial: Trial) -> tuple[Advice, ...]:
    lines = find_missing_lines(trial.workflows, trial.after.desired, trial.layout)
    before = None if trial.before.fault else trial.before.desired
    return tuple(find_advice(before, trial.after.desired, lines, trial.layout))


def _find_loosening(trial: Trial) -> Loosening:
    before, after = trial.before, trial.after
    return Loosening(
        settings=find_setting_changes(before.settings, after.settings) if before.settings else (),
        policies=find_policy_changes(before.policies, after.policies),
        paths=find_watched_paths(trial.paths, with_rules=bool(before.unknown)),
        pins=find_pin_changes(before.desired, after.desired),
        unknown=before.unknown,
    )


def _with_guards(begun: Review, planned: Planned, change: MergeChange, trial: Trial, hub: Hub) -> Review:
    is_limit_known = "settings" not in trial.before.unknown
    refused = find_own_refusals(planned, change, trial.before.limit, is_limit_known=is_limit_known)
    large = [one for one in refused if is_large_change(one)]
    later = None if large else find_later_refusal(planned, trial.after.limit)
    where = planned.plan.where
    wanted = [Label.LARGE_CHANGE] if large or later else []
    wanted += [Label.FIRST_APPLY] if where is not None and where.needs_vouching and has_work(planned.plan) else []
    labels, fault = _find_labels(wanted, trial.number, hub)
    counts = any(one.label is Label.LARGE_CHANGE and one.counts for one in labels)
    lifted = [*large, *([] if later is None else [later])] if counts else []
    return replace(
        begun,
        refused=tuple(one for one in refused if one not in lifted),
        lifted=tuple(lifted),
        later=None if counts else later,
        labels=labels,
        label_fault=fault,
    )


def _find_labels(wanted: Sequence[Label], number: int | None, hub: Hub) -> tuple[tuple[LabelSetting, ...], str]:
    """Return the labels that are set. If GitHub can't say, none counts, and the review does not fail."""
    if number is None:
        return (), ""
    try:
        found = [hub.find_label(number, label) for label in wanted]
    except PostFailed as error:
        return (), str(error)
    return tuple(one for one in found if one is not None), ""


def post_review(hub: Hub, marker: Marker, merged_head: str | None, text: str) -> Posted | Unposted:
    """Create or update the one comment with the plan. Raises PostFailed.

    `merged_head` is the head that the plan was made of. It is read again just before the comment is written, so that a
    plan of another head is never shown as the present one.
    """
    begun = hub.pull_request
    if begun is None:
        return Unposted.MERGE_GROUP
    if begun.number is None:
        raise PostFailed("the pull request has no number")
    if begun.head_sha is None or merged_head != begun.head_sha:
        return Unposted.MOVED if begun.is_open else Unposted.CLOSED
    try:
        with needing_permission(hub, "comment (pull-requests: write)"):
            present = hub.read_pull(begun.number)
            if not present.is_open:
                return Unposted.CLOSED
            if present.head_sha != begun.head_sha:
                return Unposted.MOVED
            posted = hub.put_comment(begun.number, marker, text)
    except MayOnlyRead:
        return Unposted.READ_ONLY
    return Unposted.SUPERSEDED if posted.done is PostEffect.SUPERSEDED else posted
