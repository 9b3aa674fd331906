"""Mending the state by hand: what is refused, and what is said where something can't be known."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive


@pytest.mark.parametrize("token", ["canary-5ecret with a blank", "canary-5ecret-ção", "canary-5ecret\x07"])
def test_adopt_refuses_a_token_that_can_be_none(cli: Cli, token: str) -> None:
    """The account that is recorded would be of nobody; the variable is named, the value never."""
    cli.fleet("loja")
    cli.environ["PLUG_TOKEN_LOJA"] = token
    drove = drive(cli.folder, cli.environ, "state", "adopt", "loja", "--yes", hidden=[token, "5ecret"])
    assert (drove.code, drove.out) == (3, "")
    assert "PLUG_TOKEN_LOJA" in drove.err
    assert not cli.state_folder.exists()


def test_adopt_without_a_token_says_that_the_account_is_not_recorded(cli: Cli) -> None:
    """A later token of another company would go unnoticed."""
    cli.fleet("loja")
    del cli.environ["PLUG_TOKEN_LOJA"]
    drove = drive(cli.folder, cli.environ, "state", "adopt", "loja", "--yes")
    assert (drove.code, drove.out) == (0, "")
    assert drove.err == (
        "adopted: the state of loja is what the manifest says\n"
        "warning: its account is not recorded, as no token is in PLUG_TOKEN_LOJA\n"
    )
    applied = cli.document("loja")["applied"]
    assert (applied["account"], applied["adopted"]) == (None, True)


def test_adopt_of_what_no_manifest_wants_is_refused(cli: Cli) -> None:
    """There is nothing to vouch for."""
    cli.fleet("loja")
    drove = drive(cli.folder, cli.environ, "state", "adopt", "matriz", "--yes")
    assert drove.code == 3
    assert drove.err == "error: ENV: 'matriz' is in no manifest (adopt records what a manifest wants)\n"


def test_a_copy_of_nothing_is_refused(cli: Cli) -> None:
    """FROM is misspelt, and an empty TO would be taken for a state in which nothing was ever applied."""
    drove = drive(cli.folder, cli.environ, "state", "copy", "nowhere", "other", "--yes")
    assert drove.code == 3
    assert drove.err == "error: FROM: nowhere holds no state (name the store that is used now)\n"
    assert not (cli.folder / "other").exists()


def test_a_rename_carries_the_memory_over(cli: Cli) -> None:
    """A valid name alone is taken, and only once the manifests have it."""
    cli.fleet("loja")
    assert drive(cli.folder, cli.environ, "state", "adopt", "loja", "--yes").code == 0
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
