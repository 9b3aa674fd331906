"""Tokens that are rotated, and tokens that were swapped between two environments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.bad_day.world import assert_converges
from tests.acceptance.conftest import Cli, canary, make_jwt

FLEET = ("loja", "matriz", "filial")


def swap(cli: Cli, one: str, other: str) -> None:
    ours, theirs = cli.token_env(one), cli.token_env(other)
    cli.environ[ours], cli.environ[theirs] = cli.environ[theirs], cli.environ[ours]


@pytest.fixture(params=["opaque", "JWT"])
def applied(cli: Cli, request: pytest.FixtureRequest) -> Cli:
    """Return a checkout with an applied fleet, with tokens of one form."""
    cli.fleet(*FLEET)
    if request.param == "JWT":
        for name in FLEET:
            cli.environ[cli.token_env(name)] = make_jwt(f"org-{name}")
    cli.run("apply", "--yes", code=0)
    return cli


@pytest.mark.parametrize("selection", [(), ("-e", "loja")], ids=["all", "one"])
def test_swapped_tokens_are_refused_before_anything_is_sent(applied: Cli, selection: tuple[str, ...]) -> None:
    """Each company would get the other's webhooks. Both are named, plan warns; after the fix nothing is left to do."""
    swap(applied, "loja", "matriz")
    before = applied.state_bytes()
    plan = applied.run("plan", *selection, "--format", "json", code=0).json
    assert any("apply would refuse" in warning and "loja" in warning for warning in plan["warnings"])
    ran = applied.run("apply", "--yes", "--reassert", *selection, code=3)
    assert ran.out == ""
    assert "the token of loja belongs to" in ran.err
    assert "--accept-account-change loja" in ran.err
    assert ("--accept-account-change matriz" in ran.err) is (not selection)
    assert applied.state_bytes() == before
    swap(applied, "loja", "matriz")
    assert [applied.puts(name) for name in FLEET] == [1, 1, 1]
    assert_converges(applied, *FLEET)


def test_an_intended_swap_is_accepted_by_name(applied: Cli) -> None:
    """Two companies were really exchanged: one PUT each."""
    swap(applied, "loja", "matriz")
    accept = ("--accept-account-change", "loja", "--accept-account-change", "matriz")
    applied.run("apply", "--yes", *accept, code=0)
    assert_converges(applied, *FLEET)


def _new_opaque(name: str) -> str:
    return canary()


def _same_company(name: str) -> str:
    return make_jwt(f"org-{name}", iat=2)


@pytest.mark.parametrize(
    ("first", "then"), [(_new_opaque, _new_opaque), (_same_company, _same_company), (_new_opaque, _same_company)]
)
def test_a_rotated_token_is_noticed_and_costs_one_put(
    cli: Cli, first: Callable[[str], str], then: Callable[[str], str]
) -> None:
    """No other environment had it, so no guard stops it; secrets are signed again, other environments unchanged."""
    cli.fleet(*FLEET)
    for name in FLEET:
        cli.environ[cli.token_env(name)] = first(name)
    cli.run("apply", "--yes", code=0)
    cli.environ[cli.token_env("loja")] = then("loja") if then is not _same_company else make_jwt("org-loja", iat=3)
    plan = cli.run("plan", "--format", "json", code=0)
    assert plan.actions == {"loja": "reassert", "matriz": "noop", "filial": "noop"}
    assert plan.json["warnings"] == []
    assert_converges(cli, *FLEET)
    assert cli.puts("loja") == 1


def test_an_old_token_of_another_environment_is_refused(cli: Cli) -> None:
    """Rotated for loja, and pasted into a new environment by mistake: loja's company would lose its webhooks."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    old = cli.token("loja")
    cli.environ["PLUG_TOKEN_LOJA"] = canary()
    cli.manifest("nova")
    cli.environ["PLUG_TOKEN_NOVA"] = old
    ran = cli.run("apply", "--yes", code=3)
    assert "the token of nova belongs to the Plug company that loja was last applied to" in ran.err
    cli.environ["PLUG_TOKEN_NOVA"] = canary()
    assert_converges(cli, "loja", "nova")


def test_a_renamed_environment_needs_state_rename(cli: Cli) -> None:
    """Before that, its old name, which is in no manifest, has the company; the refusal says what to run."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    (cli.folder / "manifests" / "loja.yaml").unlink()
    cli.manifest("loja-centro")
    cli.environ[cli.token_env("loja-centro")] = cli.environ.pop("PLUG_TOKEN_LOJA")
    refused = cli.run("apply", "--yes", code=3)
    assert "run `reconciler state rename loja loja-centro`" in refused.err
    assert "if it is not needed any more, `reconciler state forget loja`" in refused.err
    cli.run("state", "rename", "loja", "loja-centro", "--yes", code=0)
    ran = cli.run("apply", "--yes", "--format", "json", code=0)
    assert ran.outcomes == {"loja-centro": "applied"}
