"""A beginner's mistakes are reported with what to do next."""

from __future__ import annotations

import subprocess

import pytest

from tests.acceptance.conftest import Cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "-e", "loj"], "--environment: 'loj' matches no environment (did you mean loja?)"),
        (["plan", "-e", "loja,matriz"], "(give each its own -e, as in -e one -e another)"),
        (["plan", "--manifests", "elsewhere"], "(run in the folder that holds it, set `manifests` to where it is, or "),
        (["plan", "--api-base-url", "localhost:8787"], "or http://127.0.0.1:8787 of a sandbox)"),
        (["plan", "--out", "manifests"], "(name a file in a folder that can be written)"),
        (["apply", "--yes", "loja"], "(make one with `reconciler plan --out FILE`; one environment is `-e NAME`)"),
        (["apply", "--yes", "--tokens-file", "none.yaml"], "(create it with mode 600, or set `tokens_file` to where "),
    ],
)
def test_a_wrong_word_is_reported_with_the_right_one(cli: Cli, arguments: list[str], message: str) -> None:
    """The input is invalid, and nothing was sent."""
    cli.fleet("loja", "matriz")
    assert message in cli.run(*arguments, code=3).err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vars:\n\thost: hooks.acme.com.br\n", "indent with spaces, never with tabs"),
        ("description: @acme\n", "put a text that begins with @, ` or % in quotes"),
        ("vars: {\n", "look at this line and the one before"),
        ("webhooks:\n  messageStatus:https://hooks.acme.com.br/\n", "with a space after each colon"),
    ],
)
def test_a_mistake_in_a_manifest_is_reported_with_its_fix(cli: Cli, text: str, message: str) -> None:
    """These are the YAML mistakes that people make most."""
    cli.fleet("loja")
    cli.write("manifests/slip.yaml", text)
    assert message in cli.run("validate", code=3).out


def test_an_empty_state_is_reported_with_its_location(cli: Cli) -> None:
    """After a typo in the setting, or in another folder, it looks as if nothing was ever applied."""
    cli.fleet("loja")
    assert "looked in nowhere/state" in cli.run("state", "list", "--state", "nowhere/state", code=0).err
    cli.run("apply", "--yes", code=0)
    assert cli.run("state", "list", code=0).err == ""


def test_a_missing_remote_is_reported_with_how_to_add_it(cli: Cli) -> None:
    """The remote is missing right after `init` and `git init`."""
    cli.fleet("loja")
    subprocess.run(["git", "init", "--quiet", str(cli.folder)], check=True)
    ran = cli.run("plan", "--state", "git:origin/reconciler-state", code=4)
    assert "there is no remote named 'origin' here. Add it (`git remote add NAME URL`)" in ran.err


@pytest.mark.parametrize(("names", "count"), [(["loja"], "1 environment."), (["loja", "matriz"], "2 environments.")])
def test_a_copy_counts_in_good_english(cli: Cli, names: list[str], count: str) -> None:
    """The message has the singular for one."""
    cli.fleet(*names)
    cli.run("apply", "--yes", code=0)
    assert f"copied: {count} Now set" in cli.run("state", "copy", ".reconciler/state", "other", "--yes", code=0).err
