"""Completion with the Tab key, asked for as click's script does."""

from __future__ import annotations

from tests.acceptance.conftest import Cli


def complete(cli: Cli, *words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    ran = cli.run(
        env={
            "_RECONCILER_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["reconciler", *words]),
            "COMP_CWORD": str(len(words)),
        },
        code=0,
    )
    assert ran.err == ""
    return [line.partition(",")[2] for line in ran.out.splitlines() if line]


def test_commands_options_and_formats_are_offered(cli: Cli) -> None:
    """The words that the help names are offered."""
    assert complete(cli, "sta") == ["state"]
    assert {"show", "adopt", "unlock"} <= set(complete(cli, "state", ""))
    assert complete(cli, "plan", "--detailed") == ["--detailed-exitcode"]
    assert complete(cli, "plan", "--format", "") == ["text", "json", "markdown", "github"]


def test_environments_of_the_manifests_are_offered(cli: Cli) -> None:
    """After -e, and where a command takes an environment; from the folder of the flag if one is given."""
    cli.fleet("loja", "loja-2", "matriz")
    assert complete(cli, "plan", "-e", "lo") == ["loja", "loja-2"]
    assert complete(cli, "state", "show", "") == ["loja", "loja-2", "matriz"]
    assert complete(cli, "show", "lo") == ["loja", "loja-2"]
    assert complete(cli, "plan", "--manifests", "elsewhere", "-e", "") == []


def test_an_environment_that_only_the_state_has_is_offered(cli: Cli) -> None:
    """`state forget` needs it; if a manifest is broken, the state's names are still offered."""
    cli.fleet("loja", "velha")
    cli.run("apply", "--yes", code=0)
    (cli.folder / "manifests" / "velha.yaml").unlink()
    assert complete(cli, "state", "forget", "v") == ["velha"]
    cli.write("manifests/broken.yaml", "webhooks: [")
    assert complete(cli, "state", "forget", "") == ["loja", "velha"]


def test_a_broken_manifest_offers_nothing_and_says_nothing(cli: Cli) -> None:
    """An error would be written over the line that is being typed."""
    cli.write("manifests/broken.yaml", "webhooks: [")
    assert complete(cli, "plan", "-e", "") == []
