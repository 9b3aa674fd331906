"""Which remotes are repositories on GitHub; nothing of a remote's user information is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.io.git.remotes import find_repository, parse_remote

NAME = "acme/plug.webhooks"
PAGE = f"https://github.com/{NAME}"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/plug.webhooks",
        "https://github.com/acme/plug.webhooks.git",
        "https://github.com/acme/plug.webhooks/",
        "https://x-access-token:ghs_canary@github.com/acme/plug.webhooks.git",
        "https://ghs_canary@GitHub.com/acme/plug.webhooks",
        "git@github.com:acme/plug.webhooks.git",
        "github.com:acme/plug.webhooks",
        "git@ssh.github.com:acme/plug.webhooks.git",
        "https://www.github.com/acme/plug.webhooks/",
        "git+https://github.com/acme/plug.webhooks.git",
        "ssh://git@github.com/acme/plug.webhooks.git",
        "ssh://git@github.com:22/acme/plug.webhooks",
        "ssh://git@ssh.github.com:443/acme/plug.webhooks.git",
    ],
)
def test_every_form_of_a_github_remote_leads_to_its_page(url: str) -> None:
    """They are over https and ssh, with and without credentials, which are dropped."""
    assert parse_remote(url) == NAME


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/git/plug.git",
        "https://gitlab.com/acme/plug.git",
        "https://github.com.evil.test/acme/plug",
        "https://evil.test/github.com/acme/plug",
        "https://evil.test/@github.com/acme/plug",
        "https://github.com/acme",
        "https://github.com/acme/plug/tree/main",
        "https://github.com/acme/..",
        "https://github.com/acme/plug?x=<script>",
        "https://github.com/ac me/plug",
        "javascript:alert(1)//github.com/acme/plug",
        "git@github.com:acme/plug.git\nhttps://evil.test",
    ],
)
def test_no_other_remote_leads_to_a_page(url: str) -> None:
    """Only what is clearly a repository on GitHub is linked."""
    assert parse_remote(url) is None


def test_the_remote_of_the_checkout_is_found(tmp_path: Path) -> None:
    """It is `origin`, from any folder of the checkout; outside of one there is none."""
    environ = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    assert find_repository(environ, tmp_path) is None
    folder = tmp_path / "work" / "deep"
    folder.mkdir(parents=True)
    for command in (["init", "-q"], ["remote", "add", "origin", "git@github.com:acme/plug.webhooks.git"]):
        subprocess.run(["git", *command], cwd=folder.parent, env=environ, check=True)
    assert find_repository(environ, folder) == PAGE
    assert find_repository({**environ, "PATH": ""}, folder) is None
