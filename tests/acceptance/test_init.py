"""`init` writes a starting tree that is valid as it is, and overwrites nothing."""

from __future__ import annotations

import os
import stat

from reconciler import starter
from tests.acceptance.conftest import Cli, only
from tests.workflows.conftest import ACTION


def test_a_new_repository_passes_validate_as_it_is(cli: Cli) -> None:
    """Its hosts are reserved, so a warning says that apply won't send them."""
    made = cli.run("init", "new", "--action", ACTION, code=0)
    assert [line.split()[0] for line in made.out.splitlines()] == ["wrote"] * (10 + len(starter.WORKFLOWS))
    cli.folder /= "new"
    assert cli.run("validate", "--format", "json", code=0).json["ok"]
    assert "reserved" in cli.run("validate", code=0).out
    text = (cli.folder / ".github/workflows/plan.yml").read_text()
    assert f"uses: {ACTION}\n" in text and "@ACTION@" not in text and "@TOOL@" not in text
    cli.environ |= {"PLUG_TOKEN_STAGING": "a-made-up-one", "PLUG_TOKEN_PRODUCTION": "another-made-up-one"}
    applied = cli.run("apply", "--yes", "--state", ".reconciler/state", "--format", "json", code=0)
    assert applied.outcomes == {"staging": "applied", "production": "applied"}


def test_init_keeps_existing_files_and_names_them(cli: Cli) -> None:
    """Settings in pyproject.toml count as settings: both files would be an error."""
    cli.write("manifests/mine.yaml", "{}\n")
    cli.write("pyproject.toml", "[tool.reconciler]\n")
    cli.write(".github/workflows/plan.yml", "mine\n")
    cli.write(".github/dependabot.yml", "mine\n")
    made = cli.run("init", "--action", ACTION, code=0)
    left = [line for line in made.out.splitlines() if line.startswith("left")]
    assert [line.split()[1] for line in left] == [
        "manifests/_defaults.yaml:",
        "manifests/staging.yaml:",
        "manifests/production.yaml:",
        "reconciler.toml:",
        ".github/workflows/plan.yml:",
        ".github/dependabot.yml:",
    ]
    for path in (".github/workflows/plan.yml", ".github/dependabot.yml"):
        assert (cli.folder / path).read_text() == "mine\n"
    assert sorted(path.name for path in (cli.folder / "manifests").iterdir()) == ["mine.yaml"]
    again = cli.run("init", "--action", ACTION, code=0)
    assert {line.split()[0] for line in again.out.splitlines()} == {"left"}


def test_init_writes_no_second_dependabot_settings(cli: Cli) -> None:
    """GitHub accepts the file with either ending."""
    cli.write(".github/dependabot.yaml", "mine\n")
    made = cli.run("init", "--action", ACTION, code=0)
    assert "left   .github/dependabot.yml: .github/dependabot.yaml is there" in made.out
    assert not (cli.folder / ".github/dependabot.yml").exists()


def test_init_names_what_to_fill_in_if_the_actions_repository_is_unknown(cli: Cli) -> None:
    """An installation from a wheel doesn't know which repository holds the action."""
    made = cli.run("init", "new", code=0)
    if "OWNER/reconciler" in (cli.folder / "new/.github/workflows/plan.yml").read_text():
        assert "the action of the workflows is not known" in made.err
        assert "the action" not in cli.run("init", "new", code=0).err  # Everything is kept: init wrote none of it.
    assert cli.run("init", "new", "--action", "$(touch x)", code=3).out == ""


def test_init_fails_if_it_cannot_write(cli: Cli) -> None:
    """A file in the way is reported with its path."""
    cli.write("taken", "")
    ran = cli.run("init", "taken", code=3)
    assert "taken" in only([line for line in ran.err.splitlines() if "can't be written" in line])
    assert stat.S_ISREG(os.stat(cli.folder / "taken").st_mode)


def test_init_writes_through_no_link_that_leads_outside(cli: Cli) -> None:
    """Files outside are not a part of this repository."""
    (cli.folder / "elsewhere").mkdir()
    (cli.folder / "here").mkdir()
    (cli.folder / "here/.github").symlink_to("../elsewhere")
    done = cli.run("init", "here", "--action", "acme/reconciler@main", code=0)
    assert "left   .github/workflows/plan.yml: a link leads out of the folder" in done.out
    assert list((cli.folder / "elsewhere").iterdir()) == []
