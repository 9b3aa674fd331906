"""Edits of the state by the user: what is refused, and the messages about what can't be known."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive


@pytest.mark.parametrize("token", ["canary-5ecret with a blank", "canary-5ecret-ção", "canary-5ecret\x07"])
def test_adopt_refuses_a_malformed_token(cli: Cli, token: str) -> None:
    """It has no account to record; the message has the variable, never the value."""
    cli.fleet("loja")
    cli.environ["PLUG_TOKEN_LOJA"] = token
    drove = drive(cli.folder, cli.environ, "state", "adopt", "loja", "--unverified", "--yes", hidden=[token, "5ecret"])
    assert (drove.code, drove.out) == (3, "")
    assert "PLUG_TOKEN_LOJA" in drove.err
    assert not cli.state_folder.exists()


def test_adopt_without_a_token_says_that_the_account_is_not_recorded(cli: Cli) -> None:
    """A later token of another company would not be noticed."""
    cli.fleet("loja")
    del cli.environ["PLUG_TOKEN_LOJA"]
    drove = drive(cli.folder, cli.environ, "state", "adopt", "loja", "--unverified", "--yes")
    assert (drove.code, drove.out) == (0, "")
    assert drove.err == (
        "warning: what Plug holds of loja was not read: its manifest has no account_id\n"
        "adopted: the state of loja is what the manifest says\n"
        "warning: its account is not recorded, as no token is in PLUG_TOKEN_LOJA\n"
    )
    applied = cli.document("loja")["applied"]
    assert (applied["account"], applied["adopted"]) == (None, True)


def test_adopt_of_an_environment_of_no_manifest_is_refused(cli: Cli) -> None:
    """There is nothing to record."""
    cli.fleet("loja")
    drove = drive(cli.folder, cli.environ, "state", "adopt", "matriz", "--unverified", "--yes")
    assert drove.code == 3
    assert drove.err == "error: ENV: 'matriz' is in no manifest (adopt records what a manifest wants)\n"


def test_a_copy_of_nothing_is_refused(cli: Cli) -> None:
    """FROM is misspelt, and an empty TO would look like a new state."""
    drove = drive(cli.folder, cli.environ, "state", "copy", "nowhere", "other", "--yes")
    assert drove.code == 3
    assert drove.err == "error: FROM: nowhere holds no state (name the store that is used now)\n"
    assert not (cli.folder / "other").exists()


def test_a_rename_carries_the_record_over(cli: Cli) -> None:
    """Only a valid name is accepted, and only once the manifests have it."""
    cli.fleet("loja")
    assert drive(cli.folder, cli.environ, "state", "adopt", "loja", "--unverified", "--yes").code == 0
    before = cli.document("loja")
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
    assert drove.code == 3
    assert drove.err == "error: OLD: a manifest still names 'loja' (rename it in the manifests first)\n"
    (cli.folder / "manifests" / "loja.yaml").unlink()
    cli.fleet("filial")
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "../filial", "--yes")
    assert (drove.code, "'../filial' is not a valid name" in drove.err) == (3, True)
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial")
    assert (drove.code, "add --yes to go ahead" in drove.err) == (3, True)
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
    assert (drove.code, drove.err) == (0, "renamed: the state of loja is now that of filial\n")
    assert not (cli.state_folder / "loja.json").exists()
    assert cli.document("filial") == {**before, "environment": "filial", "serial": before["serial"] + 1}
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
    assert (drove.code, "'loja' is not in the state" in drove.err) == (3, True)


def test_a_rename_needs_the_names_of_the_manifests_and_nothing_else_of_them(cli: Cli) -> None:
    """A fault in another manifest does not matter; one that names OLD counts even if it has faults."""
    cli.fleet("loja")
    assert drive(cli.folder, cli.environ, "state", "adopt", "loja", "--unverified", "--yes").code == 0
    manifest = cli.folder / "manifests" / "loja.yaml"
    whole = manifest.read_text()
    for faulty in ("[", f"wave: x\n{whole}"):
        manifest.write_text(faulty)
        drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
        assert (drove.code, "a manifest still names 'loja'" in drove.err) == (3, True)
    manifest.unlink()
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
    assert (drove.code, "holds no manifest" in drove.err) == (3, True)
    (cli.folder / "manifests" / "filial.yaml").write_text("wave: x\n" + whole.replace("loja", "filial"))
    drove = drive(cli.folder, cli.environ, "state", "rename", "loja", "filial", "--yes")
    assert (drove.code, drove.err) == (0, "renamed: the state of loja is now that of filial\n")


def test_a_corrupt_document_is_listed_beside_the_others_and_can_be_forgotten(cli: Cli) -> None:
    """The list has the healthy ones; the error names the command that deletes the bad one unread."""
    cli.fleet("loja", "matriz")
    for name in ("loja", "matriz"):
        assert drive(cli.folder, cli.environ, "state", "adopt", name, "--unverified", "--yes").code == 0
    (cli.state_folder / "loja.json").write_text("{")
    drove = drive(cli.folder, cli.environ, "state", "list")
    assert drove.code == 4
    assert drove.out.endswith("1 environment. 1 document can't be read.\n")
    assert drove.err.startswith("error: state of loja: ")
    assert "`reconciler state forget loja`" in drove.err
    drove = drive(cli.folder, cli.environ, "state", "list", "--format", "json")
    assert [one["environment"] for one in json.loads(drove.out)["environments"]] == ["matriz"]
    assert drove.code == 4
    assert drive(cli.folder, cli.environ, "state", "list", "-e", "matriz").code == 0
    drove = drive(cli.folder, cli.environ, "state", "list", "-e", "loja")
    assert (drove.code, drove.out) == (4, "1 document can't be read.\n")
    drove = drive(cli.folder, cli.environ, "state", "forget", "loja")
    assert (drove.code, "add --yes to go ahead" in drove.err) == (3, True)
    drove = drive(cli.folder, cli.environ, "state", "forget", "loja", "--yes")
    assert (drove.code, drove.err.splitlines()[-1]) == (0, "forgotten: loja is no longer in the state")
    assert not (cli.state_folder / "loja.json").exists()
    (cli.state_folder / "matriz.json").write_text('{"format": "reconciler.state/9"}')
    drove = drive(cli.folder, cli.environ, "state", "forget", "matriz", "--yes")
    assert (drove.code, "Update reconciler" in drove.err) == (4, True)
    assert (cli.state_folder / "matriz.json").exists()
