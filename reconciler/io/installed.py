"""The way in which this program was installed, and the command that adds one of its extras.

Nothing here runs another program: the folder of the interpreter and the package's own metadata are enough.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from itertools import pairwise
from pathlib import PurePath
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "plug-reconciler"
"""The name on the package index. `reconciler` alone is the name of another project there."""


def describe_extra_install(extra: str) -> str:
    """Return the command that installs this program again with `extra`, in the way in which it was installed."""
    return make_extra_command(extra, prefix=PurePath(sys.prefix), python=sys.executable, checkout=_find_checkout())


def make_extra_command(extra: str, *, prefix: PurePath, python: str, checkout: str | None) -> str:
    """Return the command for a program in the virtual environment `prefix`, run by `python`.

    `checkout` is the folder from which it was installed; None if it came from an index.
    """
    source = f"{checkout}[{extra}]" if checkout else f"{DISTRIBUTION}[{extra}]"
    wanted = shlex.quote(source)
    parts = [part.lower() for part in prefix.parts]
    if _are_adjacent(parts, "pipx", "venvs"):
        return f"pipx install --force {wanted}"
    if _are_adjacent(parts, "uv", "tools"):
        return f"uv tool install --force {wanted}"
    if _are_adjacent(parts, "uv", "archive-v0") or _are_adjacent(parts, "uv", "environments-v2"):
        return f"uvx --from {wanted} reconciler"
    return f"{shlex.quote(python)} -m pip install {wanted}"


def _are_adjacent(parts: list[str], first: str, second: str) -> bool:
    return (first, second) in pairwise(parts)


def _find_checkout() -> str | None:
    """Return the folder that the package was installed from; None if it came from an index, or without metadata."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    return parse_checkout(text)


def parse_checkout(text: str | None) -> str | None:
    """Return the folder in a `direct_url.json` (PEP 610); None if the package was not installed from a folder."""
    try:
        origin = json.loads(text or "null")
    except ValueError:
        return None
    if not isinstance(origin, Mapping) or "dir_info" not in origin or not isinstance(origin.get("url"), str):
        return None
    address = urlsplit(origin["url"])
    return url2pathname(address.path) if address.scheme == "file" else None
