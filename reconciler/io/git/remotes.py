"""The GitHub repository of a remote's address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import GitError

# https://github.com/o/r.git, https://name:password@github.com/o/r, git@github.com:o/r.git,
# ssh://git@github.com:22/o/r, ssh://git@ssh.github.com:443/o/r; user information is matched and not kept
_GITHUB = re.compile(
    r"(?:(?:git\+)?(?:https?|ssh|git)://(?:[^@/\s]*@)?(?:www\.|ssh\.)?github\.com(?::[0-9]{1,5})?/"
    r"|(?:[^@:/\s]+@)?(?:www\.|ssh\.)?github\.com:/?)"
    r"(?P<owner>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))/(?P<name>[A-Za-z0-9._-]{1,100}?)(?:\.git)?/?",
    re.IGNORECASE | re.ASCII,
)

# OWNER/NAME, where it becomes a part of an address or a link
REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]+/(?!\.{1,2}$)[A-Za-z0-9._-]+")


def parse_remote(url: str) -> str | None:
    """Return OWNER/NAME of a remote on GitHub; None for any other. The user information is dropped."""
    match = _GITHUB.fullmatch(url)
    if match is None or match["name"] in (".", ".."):
        return None
    return f"{match['owner']}/{match['name']}"


def find_name(environ: Mapping[str, str], folder: Path) -> str | None:
    """Return OWNER/NAME of the checkout around `folder`, None without a remote `origin` on GitHub."""
    try:
        origin = Checkout(folder, environ).find_origin()
    except GitError:
        return None
    return parse_remote(origin or "")


def find_repository(environ: Mapping[str, str], folder: Path) -> str | None:
    """Return `https://github.com/OWNER/NAME` of the checkout around `folder`, None without one on GitHub."""
    repository = find_name(environ, folder)
    return f"https://github.com/{repository}" if repository else None
