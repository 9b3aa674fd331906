"""Where the checkout's commits can be looked at: GitHub, where the remote `origin` is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

GIT_TIMEOUT_S = 10
# https://github.com/o/r.git, https://name:password@github.com/o/r, git@github.com:o/r.git,
# ssh://git@github.com:22/o/r, ssh://git@ssh.github.com:443/o/r; user information is matched and left behind
_GITHUB = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/\s]*@)?(?:www\.|ssh\.)?github\.com(?::[0-9]{1,5})?/|(?:[^@:/\s]+@)?github\.com:/?)"
    r"(?P<owner>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))/(?P<name>[A-Za-z0-9._-]{1,100}?)(?:\.git)?/?",
    re.IGNORECASE | re.ASCII,
)


def find_repository(environ: Mapping[str, str], folder: Path) -> str | None:
    """`https://github.com/OWNER/NAME` of the checkout around `folder`; None where there is none."""
    try:
        found = subprocess.run(
            ["git", "remote", "get-url", "origin"],  # noqa: S607 - the user's git
            cwd=folder,
            env=dict(environ),
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_remote(found.stdout.decode(errors="replace").strip()) if found.returncode == 0 else None


def parse_remote(url: str) -> str | None:
    """The repository's page, without the user information that a remote's URL may hold; None where it isn't GitHub."""
    match = _GITHUB.fullmatch(url)
    if match is None or match["name"] in (".", ".."):
        return None
    return f"https://github.com/{match['owner']}/{match['name']}"
