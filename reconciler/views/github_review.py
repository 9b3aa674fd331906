"""The comment with the plan of a pull request (docs/github.md): loosened rules, what is refused, then the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from reconciler.core.workflow.change import Review, Unposted
from reconciler.core.workflow.labels import Label
from reconciler.model import Problem
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import markdown
from reconciler.views.markdown_changes import render_unshown
from reconciler.views.markdown_parts import MAX_CHARS, fit, names, page
from reconciler.views.markdown_rules import NAMES_SHOWN, render_rules
from reconciler.views.unreviewed import explain_combinations
from reconciler.views.words import leave_out_unchecked

LIST_CHARS = 5_000  # of the problems
UNSHOWN_SHARE = 8  # at most this part of the text is for the changes that the plan does not show
CHECK_CHARS = 8_000  # for the receivers, which come after the plan
LEAST_PLAN_CHARS = 20_000  # however long the sections before the plan are
MAX_PROBLEM = 400  # characters of one problem; a hostile host or name may be long
MAX_FAILURE = 2_000


def render_review(review: Review, run_url: str, *, max_chars: int = MAX_CHARS) -> str:
    """Return the whole comment, of at most `max_chars`. What doesn't fit is left out whole and counted."""
    rules = render_rules(review.loosening, review.base_fault, max_chars=max_chars)
    before = [*rules, *_refused(review), *_combined(review), *_scope(review, max_chars), *_advice(review)]
    checked = [] if review.checked is None else [markdown.render_check(review.checked, max_chars=CHECK_CHARS).rstrip()]
    after = [*checked, _footer(review, run_url)]
    room = max(max_chars - len(page(before, [], after)), LEAST_PLAN_CHARS)
    return page(before, [_plan(review, room).rstrip("\n")], after)


def render_unposted(reason: Unposted) -> str:
    """Return why no comment was written, for the job's summary."""
    match reason:
        case Unposted.MERGE_GROUP:
            return "No comment: this run is of a merge queue. The check itself is its answer."
        case Unposted.CLOSED:
            return "No comment: the pull request is closed."
        case Unposted.MOVED:
            return "No comment: the pull request has another head by now, and another run answers for that one."
        case Unposted.READ_ONLY:
            return (
                "No comment: this run's token may only read, as it comes from a fork or from Dependabot. The plan is "
                "here, in the job's summary. GitHub gives such a run no secrets, and a fork's no variables either: the "
                "state is the one that the settings file names."
            )
        case Unposted.SUPERSEDED:
            return (
                "No comment: the present one says that a later run of this check wrote it. If there is no such run, it "
                "is forged, as any workflow of the repository can write it: trust the plan in this summary alone."
            )
        case _:
            assert_never(reason)


# --- before the plan -------------------------------------------------------------------------------


def _refused(review: Review) -> list[str]:
    if not review.refused:
        return []
    parts = ["## Refused", "Apply would not accept this change:", _problems(review.refused)]
    return [*parts, *_uncounted(review)]


def _uncounted(review: Review) -> list[str]:
    """Return why the labels that are set don't lift a guard."""
    paragraphs = [
        f"The label {for_markdown_code(one.label)} doesn't count: {_setter(one.set_by)} is not known to have write "
        "permission."
        for one in review.labels
        if one.label is Label.LARGE_CHANGE and not one.counts
    ]
    return [*paragraphs, *_label_fault(review)]


def _label_fault(review: Review) -> list[str]:
    if not review.label_fault:
        return []
    return [f"GitHub did not say who set the labels, so none counts: {for_markdown(review.label_fault[:MAX_PROBLEM])}"]


def _lifted(review: Review) -> list[str]:
    paragraphs = []
    if review.lifted:
        (setter, *_) = (one.set_by for one in review.labels if one.label is Label.LARGE_CHANGE)
        paragraphs += [
            _problems(review.lifted),
            f"This is meant: {_setter(setter)} set the label {for_markdown_code(Label.LARGE_CHANGE)}.",
        ]
    if review.later is not None:
        paragraphs.append(
            "With what was merged before and is not applied yet, the apply run would refuse: "
            f"{for_markdown(_cut(str(review.later)))}"
        )
        paragraphs += [] if review.refused else _uncounted(review)
    return paragraphs


def _first_apply(review: Review) -> list[str]:
    where = None if review.planned is None else review.planned.plan.where
    if where is None or not where.needs_vouching:
        return []
    label = for_markdown_code(Label.FIRST_APPLY)
    found = next((one for one in review.labels if one.label is Label.FIRST_APPLY), None)
    if found is not None and found.counts:
        return [f"{_setter(found.set_by)} set the label {label}: the apply run takes this state as the right one."]
    uncounted = (
        "" if found is None else f" It is set, but {_setter(found.set_by)} is not known to have that permission."
    )
    return [
        "Nothing was ever applied to this state. The apply run sends nothing before a user with write permission "
        f"sets the label {label}, on this pull request or later, and runs it again.{uncounted}"
    ]


def _setter(login: str | None) -> str:
    return "its setter" if login is None else for_markdown_code(login)


def _combined(review: Review) -> list[str]:
    problem = explain_combinations(review.combined)
    return [] if problem is None else ["## Update the branch first", for_markdown(_cut(str(problem)))]


def _scope(review: Review, max_chars: int) -> list[str]:
    if review.errors:
        return []
    change = review.change
    changed = f": {_names(change.changed)}" if change.changed else ""
    text = f"This changes {environments(len(change.changed))}{changed}."
    if change.removed:
        text += f" It removes {environments(len(change.removed))}: {_names(change.removed)}."
    paragraphs = ["## Changes", text]
    if review.base_fault:
        paragraphs.append("The base can't be compared, so every environment counts as changed.")
    pending = _find_pending(review)
    if pending:
        verbs = "is not changed by this and doesn't" if len(pending) == 1 else "are not changed by this and don't"
        paragraphs.append(f"{environments(len(pending))} of the plan {verbs} count here: {_names(pending)}.")
    return [*paragraphs, *_unshown(review, max_chars), *_lifted(review), *_first_apply(review)]


def _unshown(review: Review, max_chars: int) -> list[str]:
    if not review.unshown:
        return []
    what = "This is what changes:" if review.planned is None else "The plan does not show these parts of the change:"
    return [what, *render_unshown(review.unshown, max_chars=max_chars // UNSHOWN_SHARE)]


def _advice(review: Review) -> list[str]:
    if not review.advice:
        return []
    lines = [f"- {for_markdown(_cut(one.text))}: {for_markdown_code(_cut(one.command))}" for one in review.advice]
    taken, left = fit([(line, 1) for line in lines], LIST_CHARS, between=1)
    more = [f"- … and {counted(left, 'more step')}"] if left else []
    return ["## Before the merge", "\n".join([*taken, *more])]


def _find_pending(review: Review) -> list[str]:
    if review.planned is None:
        return []
    changed = frozenset(review.change.changed)
    return [
        one.environment
        for one in review.planned.plan.environments
        if one.action.puts and one.environment not in changed
    ]


# --- the plan and after it -------------------------------------------------------------------------


def _plan(review: Review, room: int) -> str:
    if review.errors:
        return markdown.render_validation(review.errors, review.warnings, max_chars=room)
    if review.planned is not None:
        plan, note = leave_out_unchecked(review.planned.plan)
        text = markdown.render_plan(plan, review.planned.vars_by_environment, max_chars=room - len(note) - 2)
        return f"{text}\n{note}" if note else text
    if review.unplanned:
        return page(
            [
                "## No plan",
                "This run may not read the state, as it comes from a fork or from Dependabot. Manifests and policy "
                "were checked; the guards are decided by the apply run.",
                _block(review.unplanned),
            ],
            [],
            [],
        )
    return page(["## No plan: the state could not be read", _block(review.failed)], [], [])


def _block(text: str) -> str:
    return for_markdown_block(text[:MAX_FAILURE].split("\n"), language="text")


def _footer(review: Review, run_url: str) -> str:
    commits = [("head", review.head), ("base", review.base)]
    shown = (f"{what} {for_markdown_code(shorten_commit(sha), in_html=True)}" for what, sha in commits if sha)
    return f"<sub>[this run]({run_url}), {', '.join(shown)}</sub>"


def _names(every: Sequence[str]) -> str:
    return names(every, NAMES_SHOWN)


def _problems(problems: Sequence[Problem]) -> str:
    lines = [(f"- {for_markdown(_cut(str(one)))}", 1) for one in problems]
    taken, left = fit(lines, LIST_CHARS, between=1)
    return "\n".join([*taken, *([f"- … and {counted(left, 'more problem')}"] if left else [])])


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PROBLEM else f"{text[:MAX_PROBLEM]}…"
