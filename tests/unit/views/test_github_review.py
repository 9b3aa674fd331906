"""The comment with a review always fits, and counts what it leaves out."""

from __future__ import annotations

import pytest

from reconciler.core.planner import Planned
from reconciler.core.workflow.before_merge import Advice
from reconciler.core.workflow.change import Loosening, MergeChange, Review, SettingChange
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.parts import EnvironmentChange, PartChange
from reconciler.model import CheckResult, Event, Problem
from reconciler.views.github_review import render_review
from reconciler.views.markdown_parts import MAX_CHARS
from tests.golden import samples

URL = "https://github.com/acme/hooks/actions/runs/7"
LONG = "<`@|" * 200
NAMES = tuple(f"{'x' * 90}-{number:04}" for number in range(100))


def fleet() -> Planned:
    plan = samples.plan_of(*(samples.create(name) for name in NAMES))
    return Planned(plan, {}, {})


@pytest.mark.parametrize("planned", [None, fleet()], ids=["no plan", "plan"])
def test_a_comment_fits_whatever_it_contains(planned: Planned | None) -> None:
    """GitHub refuses a longer comment, and the job would fail for that alone."""
    problem = Problem(LONG, 1, 1, LONG, LONG, LONG)
    review = Review(
        base="b" * 40,
        head="a" * 40,
        change=MergeChange(NAMES, NAMES),
        loosening=Loosening((SettingChange(LONG[:20], LONG, LONG),) * 26, NAMES, (LONG,) * 100, (), ("policy",)),
        unshown=tuple(EnvironmentChange(name, (PartChange(name, LONG, f"{LONG}{name}"),) * 3, {}) for name in NAMES),
        base_fault=LONG,
        planned=planned,
        failed=LONG,
        refused=(problem,) * 50,
        lifted=(problem,) * 50,
        later=problem,
        labels=tuple(LabelSetting(one, "x" * 40, counts=False) for one in Label),
        label_fault=LONG,
        combined=NAMES,
        advice=(Advice(LONG, LONG),) * 50,
        checked=CheckResult(tuple(samples.checked(f"{name}/{LONG}", Event.MESSAGE_STATUS) for name in NAMES[:30])),
    )
    text = render_review(review, URL)
    assert len(text) <= MAX_CHARS
    assert text.startswith("## This also changes the rules\n")
    assert "more change" in text and "more problem" in text
    assert "more environments: the summary of this check has more room" in text
    assert text.endswith("base <code>bbbbbbbbbbbb</code></sub>\n")


def test_what_loosens_comes_before_what_is_refused_and_that_before_the_plan() -> None:
    """The gravest part comes first."""
    text = render_review(samples.reviews()["red"], URL)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert [one.split(":")[0] for one in headings] == [
        "## This also changes the rules",
        "## Refused",
        "## Update the branch first",
        "## Changes",
        "## Plan",
        "## Check",
    ]
