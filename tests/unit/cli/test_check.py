"""What `check` says beside its result."""

from __future__ import annotations

import pytest

from reconciler.cli import progress as module
from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive
from tests.receiver import serve_receiver

NOTE = "note: receivers are called directly, as Plug calls them: HTTPS_PROXY and ALL_PROXY are not used"


@pytest.fixture
def dead(cli: Cli) -> Cli:
    """A checkout whose receivers are all at a port with nobody behind."""
    with serve_receiver(None) as gone:
        pass
    cli.fleet("loja", host=f"127.0.0.1:{gone.port}")
    cli.environ["RECONCILER_ALLOW_LOCAL_RECEIVERS"] = "true"
    return cli


@pytest.mark.parametrize(
    ("proxy", "noted"),
    [
        ({}, False),
        ({"HTTPS_PROXY": ""}, False),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, True),
        ({"all_proxy": "http://127.0.0.1:9"}, True),
    ],
)
def test_where_nothing_is_reached_it_is_said_that_no_proxy_is_used(
    dead: Cli, proxy: dict[str, str], noted: bool
) -> None:
    """Who is behind one would look for the fault at the receiver."""
    drove = drive(dead.folder, dead.environ | proxy, "check")
    assert (drove.code, "was refused" in drove.out) == (2, True)
    assert drove.err.splitlines() == ([NOTE] if noted else [])


def test_how_far_it_is_comes_to_stderr_now_and_then(dead: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds; here at each receiver."""
    monkeypatch.setattr(module, "LOG_INTERVAL_S", 0.0)
    assert drive(dead.folder, dead.environ, "check").err.splitlines() == [
        f"checking receivers: {number} of 7, {number} failed" for number in range(1, 8)
    ]


def test_changed_checks_what_was_never_applied_and_later_only_what_differs(dead: Cli) -> None:
    """It reads the state. Nothing left to check is no failure."""
    never = drive(dead.folder, dead.environ, "check", "--changed", "--no-post")
    assert (never.code, "7 receivers: 0 passed, 7 failed" in never.out) == (2, True)
    assert drive(dead.folder, dead.environ, "apply", "--yes").code == 0
    nothing = drive(dead.folder, dead.environ, "check", "--changed", "--no-post")
    assert (nothing.code, nothing.out) == (0, "Check: 0 receivers: 0 passed; nothing was posted (--no-post).\n")
    dead.manifest("loja", more="webhooks: {messageStatus: 'https://127.0.0.1:9/x'}\n")
    dead.manifest("matriz")
    drove = drive(dead.folder, dead.environ, "check", "--changed", "--no-post", "-e", "loja")
    assert "1 receiver: 0 passed, 1 failed" in drove.out
