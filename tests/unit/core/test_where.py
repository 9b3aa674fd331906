"""The APIs of a run, and the names close to a mistyped one (docs/contract.md#commands)."""

from __future__ import annotations

import pytest

from reconciler.core.where import find_apis, find_near_names, find_scheme, is_shared
from reconciler.model import ApiUse
from tests.fakes import make_desired


def test_each_host_is_counted_with_its_port_and_the_most_used_comes_first() -> None:
    """The path does not matter for where a token goes; loopback is a sandbox."""
    endpoints = [
        "https://www.plugchat.com.br/api/x",
        "https://WWW.plugchat.com.br/other/x",
        "http://127.0.0.1:8787/api/x",
        "https://app.plugchat.com.br/api/x",
        "https://www.plugchat.com.br:8443/api/x",
        "http://[::1]:8787/api/x",
    ]
    desired = [make_desired(f"e{at}", endpoint=endpoint) for at, endpoint in enumerate(endpoints)]
    assert find_apis(desired) == (
        ApiUse("www.plugchat.com.br", 2, sandbox=False),
        ApiUse("127.0.0.1:8787", 1, sandbox=True),
        ApiUse("[::1]:8787", 1, sandbox=True),
        ApiUse("app.plugchat.com.br", 1, sandbox=False),
        ApiUse("www.plugchat.com.br:8443", 1, sandbox=False),
    )
    assert find_apis([]) == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("reconcilier-state", ["reconciler-state"]),
        ("reconciler_state", ["reconciler-state"]),
        ("reconciler-state", []),
        ("plug", []),
    ],
)
def test_a_near_name_is_close_and_not_the_same(name: str, found: list[str]) -> None:
    assert find_near_names(name, ["main", "reconciler-state", "feature/webhooks", name]) == found


@pytest.mark.parametrize(
    ("state", "scheme"),
    [
        ("git:origin/reconciler-state", "git"),
        ("s3://bucket/plug", "s3"),
        ("gs://bucket", "gs"),
        ("az://container", "az"),
        (".reconciler/state", ""),
        ("git", ""),
        ("file:///srv/state", ""),
        ("C:/state", ""),
        ("./git:origin/x", ""),
    ],
)
def test_a_store_that_a_team_shares_is_known_by_its_scheme(state: str, scheme: str) -> None:
    assert (find_scheme(state), is_shared(state)) == (scheme, scheme != "")
