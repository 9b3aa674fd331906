"""The workflows that an upgrade may replace: those without edits."""

from __future__ import annotations

import pytest

from reconciler import starter
from reconciler.starter.workflow_files import (
    MAX_SECRET_LINES,
    FileState,
    Places,
    compare,
    find_action_in,
    find_branch_in,
    find_secrets_in,
    keep_newer_pins,
    make_digest,
    merge_secrets,
    sign,
)

OLD = "acme/reconciler/.github/actions/reconciler@" + "0" * 40
NEW = "acme/reconciler/.github/actions/reconciler@" + "1" * 40
PINNED = "actions/checkout@" + "2" * 40
SOURCE = f"""on:
  push:
    branches: [main]
jobs:
  plan:
    steps:
      - uses: {PINNED} # v7.0.1
      - uses: {OLD}
        env:
          # one line for each secret
          PLUG_SECRET_RECEIVE: ${{{{ secrets.PLUG_SECRET_RECEIVE }}}}
"""
WRITTEN = sign(SOURCE, "0.1.0")
NEXT = sign(SOURCE.replace(OLD, NEW) + "# something new\n", "0.2.0")


def test_what_init_wrote_may_be_replaced() -> None:
    """It is current while the version is the same."""
    assert compare(WRITTEN, NEXT) is FileState.OLDER
    assert compare(NEXT, NEXT) is FileState.CURRENT
    assert compare(None, NEXT) is FileState.MISSING
    assert compare(NEXT.replace("\n", "\r\n"), NEXT) is FileState.CURRENT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PINNED + " # v7.0.1", "actions/checkout@" + "3" * 40 + " # v7.0.2"),  # Dependabot
        (OLD, NEW),
        (OLD, OLD + " # v1"),
        ("branches: [main]", 'branches: ["trunk"]'),
        ("PLUG_SECRET_RECEIVE", "PLUG_SECRET_OTHER"),
        (
            "          PLUG_SECRET_RECEIVE: ${{ secrets.PLUG_SECRET_RECEIVE }}\n",
            "          PLUG_SECRET_A: ${{ secrets.PLUG_SECRET_A }}\n"
            "          PLUG_SECRET_B: ${{ secrets.PLUG_SECRET_B }}\n",
        ),
        ("\n", "\r\n"),
    ],
)
def test_what_a_team_is_expected_to_change_is_not_an_edit(before: str, after: str) -> None:
    assert before in WRITTEN
    assert compare(WRITTEN.replace(before, after), NEXT) is FileState.OLDER


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  plan:\n", "  plan:\n    runs-on: our-own\n"),
        ("# one line for each secret", "# ours"),
        ("secrets.PLUG_SECRET_RECEIVE", "secrets.OTHER"),
        (f"      - uses: {PINNED} # v7.0.1\n", ""),
        ("actions/checkout@", "evil/checkout@"),
        (PINNED, "actions/checkout@v7"),
    ],
)
def test_anything_else_is_an_edit(before: str, after: str) -> None:
    assert before in WRITTEN
    assert compare(WRITTEN.replace(before, after), NEXT) is FileState.EDITED


def test_without_the_first_line_only_what_earlier_versions_wrote_is_known() -> None:
    assert compare(SOURCE, NEXT) is FileState.EDITED


def test_a_newer_pin_stays() -> None:
    """Dependabot may be ahead of this tool's release; an older pin is replaced."""
    newer, older = "actions/checkout@" + "3" * 40 + " # v7.10.0", "actions/checkout@" + "4" * 40 + " # v7.0.0"
    assert f"uses: {newer}\n" in keep_newer_pins(SOURCE, f"uses: {newer}\n")
    assert keep_newer_pins(SOURCE, f"uses: {older}\n") == SOURCE
    assert keep_newer_pins(SOURCE, "uses: actions/checkout@" + "5" * 40 + "\n") == SOURCE


def test_the_parts_of_a_team_are_found_in_its_workflows() -> None:
    texts = [SOURCE, SOURCE.replace("RECEIVE", "A")]
    assert find_action_in(texts) == OLD
    assert find_branch_in(texts) == "main"
    assert find_branch_in([SOURCE, SOURCE.replace("[main]", '["a/b"]')]) == "a/b"
    assert find_secrets_in(texts) == ("PLUG_SECRET_A", "PLUG_SECRET_RECEIVE")


@pytest.mark.parametrize(
    ("written", "branch"),
    [
        ("[main]", "main"),
        ('["trunk"]', "trunk"),
        ("[main, master]", None),
        ("[main, master, trunk]", "trunk"),
        ("[a, b]", None),
    ],
)
def test_a_branch_that_a_team_added_to_the_first_version_is_its_default(written: str, branch: str | None) -> None:
    """Otherwise the repository's default branch is used."""
    assert find_branch_in([SOURCE.replace("[main]", written)]) == branch


@pytest.mark.parametrize("name", starter.WORKFLOWS)
def test_a_shipped_workflow_has_the_places_of_a_repository(name: str) -> None:
    """It has the branch, the action and a line for each secret; its digest depends on none of them."""
    places = Places(NEW, "trunk", ("PLUG_SECRET_A", "PLUG_SECRET_B"))
    ours = starter.render_workflow(name, places)
    assert "@ACTION@" not in ours and "branches: [main]" not in ours and "PLUG_SECRET_RECEIVE:" not in ours
    assert make_digest(ours) == make_digest(starter.render_workflow(name, Places(OLD)))


def test_the_workflows_together_name_branch_and_secrets() -> None:
    texts = starter.signed_workflows(Places(NEW, "trunk", ("PLUG_SECRET_A", "PLUG_SECRET_B"))).values()
    assert find_branch_in(texts) == "trunk"
    assert find_secrets_in(texts) == ("PLUG_SECRET_A", "PLUG_SECRET_B")


def test_an_upgrade_adds_the_lines_of_new_secrets_and_keeps_the_others() -> None:
    """As many as a GitHub Environment can have. Without any, the example's line stays."""
    assert merge_secrets(["PLUG_SECRET_B"], ["PLUG_SECRET_A"]) == ["PLUG_SECRET_A", "PLUG_SECRET_B"]
    assert merge_secrets([], []) == ["PLUG_SECRET_RECEIVE"]
    many = [f"PLUG_SECRET_{number}" for number in range(MAX_SECRET_LINES)]
    assert merge_secrets(["PLUG_SECRET_B"], many) == ["PLUG_SECRET_B"]
