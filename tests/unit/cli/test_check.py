"""The messages of `check` beside its result."""

from __future__ import annotations

import pytest

from reconciler.cli import progress as module
from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive
from tests.receiver import serve_receiver

NOTE = "note: receivers are called directly, as Plug calls them: HTTPS_PROXY and ALL_PROXY are not used"


@pytest.fixture
def dead(cli: Cli) -> Cli:
    """A checkout whose receivers are all at a port without a server."""
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
def test_if_no_receiver_is_reached_a_note_says_that_no_proxy_is_used(
    dead: Cli, proxy: dict[str, str], noted: bool
) -> None:
    """A user behind a proxy would otherwise search for the fault at the receiver."""
    drove = drive(dead.folder, dead.environ | proxy, "check")
    assert (drove.code, "was refused" in drove.out) == (2, True)
    assert drove.err.splitlines() == ([NOTE] if noted else [])


def test_progress_is_written_to_stderr_regularly(dead: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes every ten seconds; here after each receiver."""
    monkeypatch.setattr(module, "LOG_INTERVAL_S", 0.0)
    assert drive(dead.folder, dead.environ, "check").err.splitlines() == [
        f"checking receivers: {number} of 7, {number} failed" for number in range(1, 8)
    ]


def test_changed_checks_what_was_never_applied_and_later_only_what_differs(dead: Cli) -> None:
    """It reads the state. A check without receivers succeeds."""
    never = drive(dead.folder, dead.environ, "check", "--changed", "--no-post")
    assert (never.code, "7 receivers: 0 passed, 7 failed" in never.out) == (2, True)
    assert drive(dead.folder, dead.environ, "apply", "--yes").code == 0
    nothing = drive(dead.folder, dead.environ, "check", "--changed", "--no-post")
    assert (nothing.code, nothing.out) == (0, "Check: 0 receivers: 0 passed; nothing was posted (--no-post).\n")
    dead.manifest("loja", more="webhooks: {messageStatus: 'https://127.0.0.1:9/x'}\n")
    dead.manifest("matriz")
    drove = drive(dead.folder, dead.environ, "check", "--changed", "--no-post", "-e", "loja")
    assert "1 receiver: 0 passed, 1 failed" in drove.out
