"""The markers of comments: they are found again, and an older run never replaces a newer comment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.workflow.markers import MAX_AHEAD, MAX_ATTEMPTS, Marker, MarkState, may_replace, parse_marker

markers = st.builds(
    Marker, st.sampled_from(["plan", "apply"]), st.integers(1, 10**12), st.integers(1, 99), st.sampled_from(MarkState)
)


@given(markers, st.text())
def test_a_marker_is_read_as_it_was_written(marker: Marker, text: str) -> None:
    """The text behind it does not matter."""
    assert parse_marker(f"{marker}\n{text}", marker.name) == marker


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_comment_without_a_run_is_older_than_every_run(line_end: str) -> None:
    """An earlier version of this program wrote it. GitHub's page may change the line ends."""
    old = parse_marker(f"<!-- reconciler:plan -->{line_end}## Plan: 1 to create", "plan")
    assert old == Marker("plan", 0, 0)
    assert may_replace(old, Marker("plan", 1, 1))
    assert parse_marker("<!-- reconciler:plan -->", "plan") == old
    found = parse_marker(f"<!-- reconciler:plan -->{line_end}<!-- reconciler:run 7/2 open -->{line_end}x", "plan")
    assert found == Marker("plan", 7, 2, MarkState.OPEN)


@pytest.mark.parametrize(
    "text", ["", "<!-- reconciler:apply -->\n", "> <!-- reconciler:plan -->\n", "\n<!-- reconciler:plan -->"]
)
def test_another_comment_has_no_marker_of_this_name(text: str) -> None:
    """Examples are a quotation and a comment of another name."""
    assert parse_marker(text, "plan") is None


@pytest.mark.parametrize(
    ("run_id", "attempt", "may"),
    [(6, 9, False), (7, 1, False), (7, 2, True), (7, 3, True), (8, 1, True), (10, 1, True)],
)
def test_only_the_same_or_a_later_run_or_attempt_replaces_a_comment(run_id: int, attempt: int, may: bool) -> None:
    """Ids are compared as numbers. The same attempt may write again, as its first answer may have been lost."""
    assert may_replace(Marker("plan", 7, 2), Marker("plan", run_id, attempt)) is may


@pytest.mark.parametrize(
    ("run_id", "attempt", "may"),
    [
        (10**20 - 1, 1, True),
        (7 + MAX_AHEAD + 1, 1, True),
        (7 + MAX_AHEAD, 1, False),
        (7, MAX_ATTEMPTS + 1, True),
        (7, MAX_ATTEMPTS, False),
    ],
)
def test_a_marker_that_github_can_not_have_given_keeps_no_run_from_writing(
    run_id: int, attempt: int, may: bool
) -> None:
    """Any workflow of the repository can forge one."""
    old = parse_marker(f"<!-- reconciler:plan -->\n<!-- reconciler:run {run_id}/{attempt} done -->\nx", "plan")
    assert old == Marker("plan", run_id, attempt)
    assert may_replace(old, Marker("plan", 7, 2)) is may
