"""The files that `init` writes, those that can't be written, and those that `--upgrade` replaces."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from tests.fuzz.hostile import Drove, drive

ACTION = "acme/reconciler/.github/actions/reconciler@" + "c0ffee" * 6 + "c0ff"


def test_a_file_where_a_folder_is_needed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is not changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").write_text("mine\n")
    drove = drive(tmp_path, {}, "init")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == (
        "error: DIR: manifests/_defaults.yaml can't be written: a file is where a folder is needed (choose a "
        "folder that can be written)\n"
    )
    assert (tmp_path / "manifests").read_text() == "mine\n"


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call would take it for a file of the user's. What was written until then is listed."""
    monkeypatch.chdir(tmp_path)
    write = os.write

    def write_a_part(descriptor: int, data: bytes) -> int:
        if b"version: 2" in bytes(data):  # dependabot.yml, a late file
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, bytes(data)[:100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_a_part)
        drove = drive(tmp_path, {}, "init", "--action", ACTION)
    assert (drove.code, "can't be written: No space left on device" in drove.err) == (3, True)
    written = {line.removeprefix("wrote  ") for line in drove.out.splitlines()}
    assert "manifests/_defaults.yaml" in written
    assert written == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    again = drive(tmp_path, {}, "init", "--action", ACTION)
    assert again.code == 0
    assert drive(tmp_path, {}, "init", "--upgrade", "--action", ACTION).code == 0


@pytest.mark.posix
@pytest.mark.parametrize(("target", "reason"), [(".github", "Too many levels of symbolic links"), ("x" * 300, None)])
def test_a_link_that_leads_nowhere_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, reason: str | None
) -> None:
    """It leads in a circle, or to an impossible name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".github").symlink_to(target)
    drove = drive(tmp_path, {}, "init")
    assert (drove.code, "wrote  README.md" in drove.out, ".github" in drove.out) == (3, True, False)
    assert drove.err.startswith("error: DIR: .github/")
    assert f"can't be written: {reason or ''}" in drove.err


@pytest.mark.posix
def test_a_folder_of_an_impossible_name_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is that of any folder that can't be written."""
    monkeypatch.chdir(tmp_path)
    drove = drive(tmp_path, {}, "init", "x" * 300)
    assert (drove.code, "can't be written: File name too long" in drove.err) == (3, True)


def test_git_ignores_files_of_tokens_and_secrets_and_never_a_manifest(tmp_path: Path) -> None:
    """The names that the documentation uses, and those that are close to them."""
    init(tmp_path, "--action", ACTION)
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "new")], check=True)
    ignored = ["secrets.yaml", "secrets-loja.yml", "customers/tokens.json", "tokens_2.yaml", ".env", "manifests/.env"]
    kept = ["manifests/secrets-shop.yaml", "manifests/south/tokens.yml", "reconciler.toml"]
    ask = ["git", "-C", str(tmp_path / "new"), "check-ignore", *kept, *ignored]
    assert subprocess.run(ask, check=True, capture_output=True, text=True).stdout.splitlines() == ignored


def init(folder: Path, *arguments: str) -> Drove:
    return drive(folder, {}, "init", str(folder / "new"), *arguments)


def read(folder: Path, name: str) -> str:
    return (folder / "new" / name).read_text()


def test_the_team_is_named_as_owner(tmp_path: Path) -> None:
    """Without one the lines are comments, so that GitHub doesn't search for a missing team."""
    assert init(tmp_path, "--owner", "@acme/integrations", "--owner", "ana").code == 0
    assert "\n/manifests/      @acme/integrations @ana\n" in read(tmp_path, ".github/CODEOWNERS")
    assert drive(tmp_path, {}, "init", str(tmp_path / "other")).code == 0
    lines = (tmp_path / "other/.github/CODEOWNERS").read_text().splitlines()
    assert {line[0] for line in lines} == {"#"} and "# /manifests/      @OWNER/TEAM" in lines
    assert init(tmp_path, "--owner", "a b").err.splitlines()[0].endswith("'a b': write @USER or @ORG/TEAM")


def test_the_readme_is_in_the_language_of_the_team(tmp_path: Path) -> None:
    """It says how to install the tool, at the commit that the workflows use."""
    assert init(tmp_path, "--language", "pt-BR", "--action", ACTION, "--default-branch", "principal").code == 0
    text = read(tmp_path, "README.md")
    assert "Quando você faz o merge de uma\nmudança em `principal`, o GitHub Actions a envia ao Plug" in text
    assert f'pipx install "git+https://github.com/acme/reconciler@{"c0ffee" * 6}c0ff"' in text


@pytest.mark.parametrize(
    ("language", "false", "true"),
    [
        ("en", "the next apply would overwrite it", "without `PLUG_OBSERVE` the edit is not noticed"),
        ("pt-BR", "o próximo apply sobrescreveria", "sem `PLUG_OBSERVE` ninguém percebe a"),
    ],
)
def test_the_readme_does_not_promise_that_an_edit_elsewhere_is_undone(
    tmp_path: Path, language: str, false: str, true: str
) -> None:
    """An unchanged environment is not sent again, and only an observing drift sees the edit."""
    init(tmp_path, "--language", language, "--action", ACTION)
    text = read(tmp_path, "README.md")
    sentences = " ".join(text.split())
    assert false not in sentences
    assert true in sentences
    (row,) = [line for line in text.splitlines() if "*Webhook drift*" in line]
    assert "PLUG_OBSERVE" in row


def test_an_action_that_can_be_moved_is_warned_of(tmp_path: Path) -> None:
    moved = init(tmp_path, "--action", "acme/reconciler/.github/actions/reconciler@v1")
    assert moved.code == 0
    assert moved.err.startswith("warning: v1 is not a commit: a tag or a branch can be moved")
    assert "not a commit" not in init(tmp_path, "--action", ACTION).err


def test_the_workflows_get_the_default_branch_and_the_secrets_of_the_manifests(tmp_path: Path) -> None:
    """A new repository's default branch is its first one."""
    new = tmp_path / "new"
    new.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(new)], check=True)
    (new / "manifests").mkdir()
    (new / "manifests/loja.yaml").write_text("webhooks: {messageStatus: 'https://a.b/{secret:PLUG_SECRET_LOJA}'}\n")
    assert init(tmp_path, "--action", ACTION).code == 0
    text = read(tmp_path, ".github/workflows/apply.yml")
    assert 'branches: ["trunk"]\n' in text
    texts = "".join(path.read_text() for path in (new / ".github/workflows").iterdir())
    assert "PLUG_SECRET_LOJA: ${{ secrets.PLUG_SECRET_LOJA }}\n" in texts and "PLUG_SECRET_RECEIVE:" not in texts


def test_the_editor_checks_manifests_and_defaults_by_the_schema(tmp_path: Path) -> None:
    """`policy` is only valid in _defaults.yaml, but the editor has one schema for both."""
    assert init(tmp_path, "--action", ACTION).code == 0
    settings = re.sub(r"^ *//.*$", "", read(tmp_path, ".vscode/settings.json"), flags=re.MULTILINE)
    (schema,) = json.loads(settings)["yaml.schemas"]
    assert {"webhooks", "policy"} <= set(json.loads(read(tmp_path, schema))["properties"])


# --- upgrade -------------------------------------------------------------------------------------------------------

LATER = ACTION.replace("c0ffee", "decade")


def test_an_upgrade_shows_what_it_would_change(tmp_path: Path) -> None:
    """It changes nothing."""
    init(tmp_path, "--action", ACTION)
    before = read(tmp_path, ".github/workflows/drift.yml")
    shown = init(tmp_path, "--upgrade", "--action", LATER)
    assert shown.code == 0
    assert f"-        uses: {ACTION}\n+        uses: {LATER}\n" in shown.out
    assert "would replace  .github/workflows/drift.yml\n" in shown.out
    assert "add --yes to make these changes" in shown.err
    assert read(tmp_path, ".github/workflows/drift.yml") == before


def test_an_upgrade_adds_the_line_of_a_new_secret(tmp_path: Path) -> None:
    """Where a manifest names it and the workflows were not edited."""
    init(tmp_path, "--action", ACTION)
    (tmp_path / "new/manifests/loja.yaml").write_text("vars: {key: '{secret:PLUG_SECRET_STATUS}'}\n")
    line = "PLUG_SECRET_STATUS: ${{ secrets.PLUG_SECRET_STATUS }}\n"
    done = init(tmp_path, "--upgrade", "--yes", "--action", ACTION)
    assert done.out.count(f"+          {line}") == 2
    for name in ("apply-wave", "drift"):
        assert line in read(tmp_path, f".github/workflows/{name}.yml")
    assert "would" not in init(tmp_path, "--upgrade", "--action", ACTION).out


@pytest.mark.parametrize("upgrade", [(), ("--upgrade", "--yes")])
def test_a_fleet_whose_secrets_are_in_one_secret_gets_no_line_for_each(
    tmp_path: Path, upgrade: tuple[str, ...]
) -> None:
    """PLUG_SECRETS has the values. A line that is there already stays."""
    (tmp_path / "new/manifests").mkdir(parents=True)
    (tmp_path / "new/manifests/loja.yaml").write_text("vars: {key: '{secret:PLUG_SECRET_STATUS}'}\n")
    assert init(tmp_path, "--action", ACTION, "--tokens-from", "secret", *upgrade).code == 0
    text = read(tmp_path, ".github/workflows/apply-wave.yml")
    assert "PLUG_SECRET_STATUS" not in text and "PLUG_SECRET_RECEIVE: ${{" in text


def test_an_upgrade_leaves_an_edited_workflow_and_names_it(tmp_path: Path) -> None:
    """In the others, the lines of secrets, the branch and newer pins are kept."""
    init(tmp_path, "--action", ACTION, "--default-branch", "trunk")
    folder = tmp_path / "new/.github/workflows"
    (folder / "drift.yml").write_text(read(tmp_path, ".github/workflows/drift.yml").replace("17 * * * *", "5 * * * *"))
    edited = (folder / "drift.yml").read_text()
    (folder / "plan.yml").unlink()
    secrets = "PLUG_SECRET_MORE: ${{ secrets.PLUG_SECRET_MORE }}\n"
    wave = folder / "apply-wave.yml"
    wave.write_text(wave.read_text().replace("PLUG_SECRET_RECEIVE:", f"{secrets}          PLUG_SECRET_RECEIVE:"))
    text = read(tmp_path, ".github/workflows/apply.yml")
    (folder / "apply.yml").write_text(re.sub("checkout@[0-9a-f]{40} # v7.0.1", f"checkout@{'a' * 40} # v7.1.0", text))
    done = init(tmp_path, "--upgrade", "--yes", "--action", LATER)
    assert done.code == 0
    assert "left   .github/workflows/drift.yml: it was edited, so make the change above by hand" in done.out
    assert "1 workflow edited" in done.err
    assert (folder / "drift.yml").read_text() == edited
    applied = (folder / "apply.yml").read_text()
    assert LATER in applied and ACTION not in applied and f"checkout@{'a' * 40} # v7.1.0" in applied
    assert 'branches: ["trunk"]' in applied
    assert secrets in wave.read_text() and LATER in wave.read_text()
    assert LATER in (folder / "plan.yml").read_text()
    again = init(tmp_path, "--upgrade", "--action", LATER)
    assert "would" not in again.out


def test_an_upgrade_without_a_known_action_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This version's workflows need this version's action."""
    monkeypatch.setattr(metadata, "distribution", _not_installed)
    init(tmp_path, "--action", ACTION)
    assert "keeps the action of the workflows; --yes needs --action\n" in init(tmp_path, "--upgrade").err
    refused = init(tmp_path, "--upgrade", "--yes")
    assert (refused.code, refused.out) == (3, "")
    assert "(name it: OWNER/REPO/.github/actions/reconciler@COMMIT)" in refused.err


def _not_installed(name: str) -> None:
    raise metadata.PackageNotFoundError(name)


def test_an_upgrade_from_the_first_version_names_the_new_check(tmp_path: Path) -> None:
    """Its job was called Plan; a rule that requires this check would wait for ever."""
    init(tmp_path, "--action", ACTION)
    plan = tmp_path / "new/.github/workflows/plan.yml"
    plan.write_text(plan.read_text().replace("name: Webhooks plan\n", "name: Plan\n"))
    assert "the required check is now `Webhooks plan`" in init(tmp_path, "--upgrade", "--action", ACTION).err
    plan.write_text(plan.read_text().replace("name: Plan\n", "name: Webhooks plan\n"))
    assert "the required check" not in init(tmp_path, "--upgrade", "--action", ACTION).err


def test_workflows_without_an_action_are_answered_with_the_command_that_fills_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call names the action, but init changes no file that exists."""
    monkeypatch.setattr(metadata, "distribution", _not_installed)
    init(tmp_path)
    before = read(tmp_path, ".github/workflows/plan.yml")
    again = init(tmp_path, "--action", ACTION)
    assert {line.split()[0] for line in again.out.splitlines()} == {"left"}
    assert read(tmp_path, ".github/workflows/plan.yml") == before
    command = f"reconciler init {tmp_path / 'new'} --upgrade --yes --action {ACTION}"
    assert f"Run `{command}`\n" in again.err
    shown = init(tmp_path, "--upgrade", "--action", ACTION)
    assert "would change   README.md: the address of the tool\n" in shown.out
    assert "OWNER/reconciler@COMMIT" in read(tmp_path, "README.md")
    assert "wrote  README.md: the address of the tool\n" in drive(tmp_path, {}, *command.split()[1:]).out
    files = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert [path for path in files if "OWNER/reconciler" in path.read_text()] == []
    assert init(tmp_path, "--action", ACTION).err.startswith("next: ")


def test_the_name_of_a_folder_is_escaped_in_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", _not_installed)
    drove = drive(tmp_path, {}, "init", str(tmp_path / "a\x1b[31m"))
    assert "the action of the workflows is not known" in drove.err and "\x1b" not in drove.err


def test_an_upgrade_moves_the_commit_in_the_readme_and_leaves_another_address(tmp_path: Path) -> None:
    """The address is that of the commit that the workflows had; another one is the team's own."""
    init(tmp_path, "--action", ACTION)
    init(tmp_path, "--upgrade", "--yes", "--action", LATER)
    text = read(tmp_path, "README.md")
    assert f'pipx install "git+https://github.com/acme/reconciler@{"decade" * 6}c0ff"' in text
    own = text.replace("decade" * 6, "facade" * 6)
    (tmp_path / "new/README.md").write_text(own)
    assert "README.md" not in init(tmp_path, "--upgrade", "--yes", "--action", ACTION).out
    assert read(tmp_path, "README.md") == own
