"""The needs of a merge outside of its own files."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.core.workflow.before_merge import (
    MissingLine,
    describe_missing_line,
    find_advice,
    find_missing_lines,
)
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.model import Desired
from tests.fakes import make_desired

ENVIRONMENTS, SECRET = JobLayout(), JobLayout(TokensFrom.SECRET)
LINE = "    PLUG_SECRET_A: ${{ secrets.PLUG_SECRET_A }}\n"


def using(name: str, *secrets: str) -> Desired:
    return replace(make_desired(name), secrets=secrets)


FLEET = [using("a", "PLUG_SECRET_A"), using("b", "PLUG_SECRET_A", "PLUG_SECRET_AB")]


def test_a_secret_that_a_workflow_does_not_name_has_no_line() -> None:
    """A comment does not count, and a longer name is another one. Drift needs it for accounts that it can read."""
    texts = {"apply-wave.yml": f"{LINE}# PLUG_SECRET_AB\n    X: y # PLUG_SECRET_AB\n", "drift.yml": LINE}
    assert find_missing_lines(texts, FLEET, ENVIRONMENTS) == [
        MissingLine("PLUG_SECRET_AB", ("apply-wave.yml",), ("b",))
    ]
    observed = [replace(FLEET[1], account_id="1-2-3")]
    assert find_missing_lines(texts, observed, ENVIRONMENTS) == [
        MissingLine("PLUG_SECRET_AB", ("apply-wave.yml", "drift.yml"), ("b",))
    ]
    assert describe_missing_line(MissingLine("PLUG_SECRET_A", ("drift.yml",), ("a", "b"))) == (
        "drift.yml has no line for {secret:PLUG_SECRET_A}, so drift with PLUG_OBSERVE can't compare its URLs"
    )
    assert describe_missing_line(MissingLine("PLUG_SECRET_A", ("apply-wave.yml", "drift.yml"), ("a", "b"))) == (
        "apply-wave.yml and drift.yml have no line for {secret:PLUG_SECRET_A}, so the apply of a, b would be refused"
    )


def test_the_lines_are_not_missed_where_secrets_come_in_another_way() -> None:
    """One secret may have those of all environments, or a step of the team's own fetches them."""
    assert find_missing_lines({"apply-wave.yml": ""}, FLEET, SECRET) == []
    fetched = {"apply-wave.yml": "  - run: echo RECONCILER_SECRETS_FILE=x >> $GITHUB_ENV\n"}
    assert find_missing_lines(fetched, FLEET, ENVIRONMENTS) == []
    assert find_missing_lines({}, FLEET, ENVIRONMENTS) == []


def test_a_new_environment_needs_its_github_environment() -> None:
    advice = find_advice([make_desired("a")], [make_desired("a"), make_desired("padaria")], [], ENVIRONMENTS)
    assert [str(one) for one in advice] == [
        "New: padaria. Create the GitHub Environment and its secrets, if that is not done: "
        "`reconciler github setup -e padaria`"
    ]
    many = [make_desired(f"e{number}") for number in range(9)]
    assert find_advice([], many, [], ENVIRONMENTS)[0].command == "reconciler github setup"
    assert find_advice([], many, [], SECRET) == [] == find_advice(None, many, [], ENVIRONMENTS)
    assert find_advice(many, many, [], ENVIRONMENTS) == []


def test_a_possible_rename_names_the_command_that_keeps_the_state() -> None:
    """It looks like a removal and a new environment."""
    a, b, c = (make_desired(name) for name in "abc")
    (advice,) = find_advice([a], [b], [], SECRET)
    assert str(advice) == "If a is b now, keep its state, on this branch: `reconciler state rename a b`"
    (advice,) = find_advice([a], [b, c], [], SECRET)
    assert advice.command == "reconciler state rename OLD NEW"
    assert find_advice([a, b], [a], [], SECRET) == []
