"""A saved or expected plan is applied exactly, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.conftest import Cli, canary


@pytest.fixture
def edited(cli: Cli) -> Cli:
    """Return a checkout with two applied environments, of which `loja` was edited, and a plan in plan.json."""
    cli.fleet("loja", "matriz")
    cli.run("apply", "--yes", code=0)
    cli.manifest("loja", version="2")
    cli.run("plan", "--out", "plan.json", code=0)
    return cli


def assert_stale(cli: Cli, *words: str) -> None:
    requests, before = cli.sandbox.plug.requests, cli.state_bytes()
    ran = cli.run("apply", "--yes", "plan.json", "--format", "json", code=4)
    assert ran.out == ""
    assert cli.sandbox.plug.requests == requests
    assert cli.state_bytes() == before
    for word in words:
        assert word in ran.err


def test_a_saved_plan_is_applied_once(edited: Cli) -> None:
    """The first apply does it; the second finds newer serials."""
    ran = edited.run("apply", "--yes", "plan.json", "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied", "matriz": "unchanged"}
    assert edited.held("loja") == edited.desired("loja", "2")
    assert_stale(edited, "loja", "serial")


def test_a_plan_is_stale_after_an_edit(edited: Cli) -> None:
    """A URL other than the reviewed one is not applied."""
    edited.manifest("loja", version="3")
    assert_stale(edited, "manifests")


def test_a_plan_is_stale_after_a_new_manifest(edited: Cli) -> None:
    """A new environment was not reviewed."""
    edited.environ["PLUG_TOKEN_NOVA"] = canary()
    edited.manifest("nova")
    assert_stale(edited, "nova")


def test_a_plan_is_stale_after_another_apply(edited: Cli) -> None:
    """The state that another run wrote isn't overwritten."""
    edited.run("apply", "--yes", code=0)
    assert_stale(edited, "loja", "serial")


def test_a_plan_is_stale_after_forget(edited: Cli) -> None:
    """A document that was created again has another lineage, even with the same serial."""
    edited.run("state", "forget", "loja", "--yes", code=0)
    assert_stale(edited, "loja: its state was forgotten\n")
    edited.manifest("loja", version="1")
    edited.run("apply", "--yes", "-e", "loja", code=0)
    edited.manifest("loja", version="2")
    assert edited.document("loja")["serial"] == 2
    assert_stale(edited, "loja", "lineage")


def change_after(plan: Any) -> None:
    plan["environments"][0]["changes"][0]["after"] = "https://evil.acme.com.br/"


def flip_action(plan: Any) -> None:
    one = plan["environments"][0]
    one["action"], one["reasons"], one["changes"] = "noop", [], []


def drop_environment(plan: Any) -> None:
    del plan["environments"][1]


def narrow_selection(plan: Any) -> None:
    plan["selection"] = ["matriz"]


@pytest.mark.parametrize("edit", [change_after, flip_action, drop_environment, narrow_selection])
def test_an_edited_plan_file_is_refused(edited: Cli, edit: Any) -> None:
    """Only the saved file was reviewed, not one that was edited later."""
    path = edited.folder / "plan.json"
    plan = json.loads(path.read_text())
    assert plan["environments"][0]["environment"] == "loja"
    edit(plan)
    path.write_text(json.dumps(plan, indent=2))
    assert_stale(edited, "edited")


def test_a_foreign_or_unreadable_file_is_invalid_input(edited: Cli) -> None:
    """A file that isn't a plan of this program is exit 3, not 4."""
    plan = json.loads((edited.folder / "plan.json").read_text())
    requests = edited.sandbox.plug.requests
    foreign = ("", "hello", "[]", json.dumps({**plan, "format": "reconciler.plan/2"}), "{" * 100_000)
    for text in foreign:
        edited.write("plan.json", text)
        ran = edited.run("apply", "--yes", "plan.json", code=3)
        assert ran.out == ""
        assert "plan.json" in ran.err
    assert edited.run("apply", "--yes", "manifests", code=3).out == ""
    assert edited.sandbox.plug.requests == requests


def test_a_comment_does_not_make_a_plan_stale(edited: Cli) -> None:
    """The digest is over what would be sent, not over the file's bytes."""
    path = edited.folder / "manifests/loja.yaml"
    path.write_text("# a comment\n\n" + path.read_text() + "description: another text\n")
    assert edited.run("apply", "--yes", "plan.json", "--format", "json", code=0).outcomes["loja"] == "applied"


def test_a_saved_plan_remembers_its_selection(edited: Cli) -> None:
    """A plan made with -e stays within its selection, whatever else has changed."""
    edited.manifest("matriz", version="2")
    edited.run("plan", "-e", "lo*", "--out", "plan.json", code=0)
    edited.manifest("matriz", version="3")
    assert edited.run("apply", "--yes", "plan.json", "--format", "json", code=0).outcomes == {"loja": "applied"}
    assert edited.held("matriz") == edited.desired("matriz", "1")


def test_the_digest_does_not_depend_on_available_tokens_and_secrets(edited: Cli) -> None:
    """A pull request without secrets and its merge with them have the same digest."""
    without: dict[str, str | None] = {
        "PLUG_TOKEN_LOJA": None,
        "PLUG_TOKEN_MATRIZ": None,
        "PLUG_SECRET_RECEIVE": None,
    }
    rotated = {"PLUG_SECRET_RECEIVE": canary("secret")}
    saved = json.loads((edited.folder / "plan.json").read_text())
    bare = edited.run("plan", "--format", "json", code=0, env=without).json
    other = edited.run("plan", "--format", "json", code=0, env=rotated).json
    assert other["summary"]["reassert"] == 1
    assert saved["digest"] == bare["digest"] == other["digest"]
    assert saved["manifests_digest"] == bare["manifests_digest"] == other["manifests_digest"]


def test_a_plan_saved_without_tokens_is_applied_with_them(edited: Cli) -> None:
    """It is planned in a job without secrets, and applied in one that has them."""
    without: dict[str, str | None] = dict.fromkeys(("PLUG_TOKEN_LOJA", "PLUG_TOKEN_MATRIZ", "PLUG_SECRET_RECEIVE"))
    edited.run("plan", "--out", "plan.json", code=0, env=without)
    assert edited.run("apply", "--yes", "plan.json", "--format", "json", code=0).outcomes["loja"] == "applied"


def test_expect_applies_what_was_reviewed_and_nothing_else(edited: Cli) -> None:
    """The right digest is applied, a wrong one shows the new plan and exits 4; with nothing to do it exits 0."""
    digest = json.loads((edited.folder / "plan.json").read_text())["digest"]
    requests, before = edited.sandbox.plug.requests, edited.state_bytes()
    wrong = edited.run("apply", "--yes", "--expect", "sha256:" + "0" * 64, "--format", "json", code=4)
    assert wrong.json["digest"] == digest
    assert edited.sandbox.plug.requests == requests
    assert edited.state_bytes() == before
    ran = edited.run("apply", "--yes", "--expect", digest, "--format", "json", code=0)
    assert ran.outcomes == {"loja": "applied", "matriz": "unchanged"}
    done = edited.run("apply", "--yes", "--expect", digest, "--format", "json", code=0)
    assert set(done.outcomes.values()) == {"unchanged"}
