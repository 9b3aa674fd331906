"""The end of a run as Markdown always fits into a comment, and counts what it leaves out."""

from __future__ import annotations

import re

import pytest

from reconciler.core.workflow.endings import Ending, EndReport, RunJob
from reconciler.github.posts import MAX_CHARS
from reconciler.model import By
from reconciler.views.markdown_run_result import RunText, render_pull_request, render_run
from tests.fakes import START

RUN = RunText("https://github.com/acme/plug/actions/runs/7", "c" * 40)
JOB = RunJob("Step 1 / loja", "failure", "https://github.com/j")


def test_the_text_fits_a_comment_whatever_the_fleet() -> None:
    """Failures come first, and rows that don't fit are counted."""
    failed = [EndReport(f"loja-{n}", Ending.NOT_APPLIED, f"reason {'x' * n}") for n in range(600)]
    applied = [EndReport(f"filial-{n}", Ending.APPLIED, by=By(run="7/1"), at=START) for n in range(9000)]
    for text in (
        render_run([*failed, *applied], RUN),
        render_pull_request([*failed, *applied], RunText(RUN.url, RUN.commit, "x\n" * 10_000, "y" * 900)),
    ):
        assert len(text) < MAX_CHARS - 200
        assert "| `loja-0` | not applied | reason |" in text
        assert "600 not applied, 9,000 applied" in text
        left_out = re.search(r"… and ([0-9,]+) more environments: see the state", text)
        shown = text.count("| not applied |")
        assert left_out is not None and int(left_out[1].replace(",", "")) == 9600 - shown


def test_many_environments_with_one_text_are_one_row() -> None:
    """The row has the first of their names."""
    text = render_run([EndReport(f"filial-{n}", Ending.APPLIED, by=By(run="7/1"), at=START) for n in range(9000)], RUN)
    assert "9,000 environments: `filial-0`" in text and "and 8,950 more" in text


def test_a_lease_that_the_run_left_is_not_answered_with_another_apply() -> None:
    left, doubted = EndReport("a", Ending.IN_DOUBT, locked=True), EndReport("b", Ending.IN_DOUBT)
    again, locked = "in doubt: run the workflow Apply again", "in doubt and locked: no run is left that could release"
    for reports, expected in (([left], [locked]), ([doubted], [again]), ([left, doubted], [again, locked])):
        text = render_run(reports, RUN)
        assert [advice for advice in (again, locked) if advice in text] == expected


@pytest.mark.parametrize(("count", "rows"), [(5, 5), (6, 1)])
def test_few_have_the_link_to_their_own_job_and_many_are_one_row(count: int, rows: int) -> None:
    """A cancelled wave is one row."""
    reports = [
        EndReport(
            f"loja-{n}",
            Ending.NOT_TRIED,
            "its job was cancelled",
            job=RunJob(f"Step 1 / loja-{n}", "cancelled", f"u{n}"),
        )
        for n in range(count)
    ]
    lines = [line for line in render_run(reports, RUN).splitlines() if "its job was cancelled" in line]
    assert len(lines) == rows
    assert all(("([job](u" in line) == (rows > 1) for line in lines)


def test_environments_of_one_job_share_its_link() -> None:
    """The fleet's job is the only one."""
    reports = [EndReport(name, Ending.NOT_TRIED, "its job was cancelled", job=JOB) for name in ("loja", "matriz")]
    (line,) = [line for line in render_run(reports, RUN).splitlines() if "cancelled" in line]
    assert (
        line == "| 2 environments: `loja`, `matriz` | not tried | its job was cancelled ([job](https://github.com/j)) |"
    )


@pytest.mark.parametrize("text", ["`" * 20_000, "set the label `x` @ana <b>\n" * 740, "x" * 20_000])
def test_the_comment_of_any_refused_run_fits(text: str) -> None:
    """Each character may be escaped as several. A comment that is too long would never be posted."""
    reports = [EndReport("loja", Ending.NOT_TRIED, "why")]
    shown = render_pull_request(reports, RunText(RUN.url, RUN.commit, text))
    assert len(shown) <= MAX_CHARS
    assert "| `loja` | not tried | why |" in shown
    assert ("… the rest is in the run" in shown) is (text[0] != "x")
