"""The files that `reconciler init` writes: a starting tree, and the workflows.

The workflows here are the source. Those in this repository's own `.github/workflows` are made of them, with the action
of the checkout in place of a pinned one (a test compares them). Dependabot updates the pinned actions in both, so the
sources are valid YAML: the action is the local action `./@ACTION@`, which Dependabot leaves alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import GitError
from reconciler.io.git.remotes import parse_remote

WORKFLOWS = ("plan", "apply", "apply-wave", "drift")
ACTION_FOLDER = ".github/actions/reconciler"
UNKNOWN_ACTION = f"OWNER/reconciler/{ACTION_FOLDER}@COMMIT"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TREE = {
    "manifests/_defaults.yaml": "manifests/_defaults.yaml",
    "manifests/staging.yaml": "manifests/staging.yaml",
    "manifests/production.yaml": "manifests/production.yaml",
    "reconciler.toml": "reconciler.toml",
    ".gitignore": "gitignore",
}


def render_workflow(name: str, action: str, *, before_action: str = "") -> str:
    """Return a workflow that uses `action`, a reference such as `acme/reconciler/.github/actions/reconciler@<commit>`.

    `before_action` are steps, as YAML, that bring the action there first.
    """
    text = _read(f"workflows/{name}.yml")
    return text.replace("      # @TOOL@\n", before_action).replace("./@ACTION@", action)


def starting_files(action: str) -> Mapping[str, str]:
    """Path below the new repository -> text."""
    files = {path: _read(f"tree/{source}") for path, source in _TREE.items()}
    workflows = {f".github/workflows/{name}.yml": render_workflow(name, action) for name in WORKFLOWS}
    return files | workflows | {".github/dependabot.yml": _read("tree/dependabot.yml")}


def find_action(environ: Mapping[str, str]) -> str | None:
    """Return the action at the commit that this tool was installed from (PEP 610), None where that is not known.

    It is known of an installation from GitHub, and of one from a checkout whose remote `origin` is there.
    """
    try:
        origin = json.loads(metadata.distribution("reconciler").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    url, commit = origin.get("url", ""), origin.get("vcs_info", {}).get("commit_id", "")
    if url.startswith("file:"):
        url, commit = _read_checkout(url, environ)
    repository = parse_remote(url)
    if repository is None or not _COMMIT.fullmatch(commit):
        return None
    return f"{repository}/{ACTION_FOLDER}@{commit}"


def _read_checkout(url: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The remote's address and HEAD of the checkout at a file: URL, each empty where it is not known."""
    from urllib.request import url2pathname  # imports the whole of http.client

    try:
        checkout = Checkout(Path(url2pathname(urlsplit(url).path)), environ)
        return checkout.find_origin() or "", checkout.find_head() or ""
    except GitError:
        return "", ""


def _read(path: str) -> str:
    return resources.files(__name__).joinpath(path).read_text(encoding="utf-8")
