"""The problems of PLUG_STRICT name environments, commit, cause, and what to do."""

from __future__ import annotations

import pytest

from reconciler.core.workflow.strict import Unreviewed, UnreviewedCause
from reconciler.views.unreviewed import explain_combinations, explain_unreviewed

COMMIT = "0123456789abcdef" * 3


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (
            UnreviewedCause.NO_PULL_REQUEST,
            "1 environment, loja: commit 0123456789ab changed it, and it came with no merged pull request",
        ),
        (
            UnreviewedCause.COMBINATION,
            "1 environment, loja: commit 0123456789ab changed it, and the branch of its pull request wanted something "
            "else: this combination was not reviewed",
        ),
        (
            UnreviewedCause.TOO_FAR_BACK,
            "1 environment, loja: the reviewed change can't be found, because it is too far back. The search ended at "
            "commit 0123456789ab: it is the oldest that was searched, or this version can't read its manifests",
        ),
    ],
)
def test_each_cause_names_environment_and_commit(cause: UnreviewedCause, said: str) -> None:
    (problem,) = explain_unreviewed([Unreviewed("loja", COMMIT, cause)], "sha256:77")
    assert problem.message == said
    assert problem.hint.startswith(
        "merge a pull request, with any change, whose branch holds the default branch's manifests"
    )


def test_one_problem_for_each_commit_and_cause() -> None:
    found = [
        *(Unreviewed(name, COMMIT, UnreviewedCause.COMBINATION) for name in ("b", "a")),
        Unreviewed("c", COMMIT, UnreviewedCause.TOO_FAR_BACK),
        Unreviewed("d", "f" * 40, UnreviewedCause.COMBINATION),
    ]
    problems = explain_unreviewed(found, "sha256:77")
    assert [problem.message.partition(":")[0] for problem in problems] == [
        *("2 environments, a, b", "1 environment, c", "1 environment, d")
    ]
    assert all("expect=sha256:77" in problem.hint for problem in problems)
    assert explain_unreviewed([], "sha256:77") == ()


def test_ten_thousand_environments_are_one_readable_problem() -> None:
    found = [Unreviewed(f"e{n:05}", COMMIT, UnreviewedCause.NO_PULL_REQUEST) for n in range(10_000)]
    (problem,) = explain_unreviewed(found, "sha256:77")
    assert problem.message.startswith("10,000 environments, e00000, ")
    assert "and 9,900 more: commit 0123456789ab changed them" in problem.message


def test_a_review_says_to_update_the_branch() -> None:
    problem = explain_combinations(["b", "a"])
    assert problem is not None
    assert problem.message.startswith("a, b: the default branch has changed since this pull request was made")
    assert problem.hint.startswith("update the branch first")
    assert explain_combinations([]) is None
