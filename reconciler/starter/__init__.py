"""What `reconciler init` writes: a starting tree, and the three workflows.

The workflows here are the source; those in this repository's own `.github/workflows` are made of them, with the
action of the checkout in place of a pinned one (a test compares them).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

WORKFLOWS = ("plan", "apply", "drift")
ACTION_FOLDER = ".github/actions/reconciler"
UNKNOWN_ACTION = f"OWNER/reconciler/{ACTION_FOLDER}@COMMIT"

_TREE = {
    "manifests/_defaults.yaml": "manifests/_defaults.yaml",
    "manifests/staging.yaml": "manifests/staging.yaml",
    "manifests/production.yaml": "manifests/production.yaml",
    "reconciler.toml": "reconciler.toml",
    ".gitignore": "gitignore",
}


def render_workflow(name: str, action: str, *, before_action: str = "") -> str:
    """A workflow that uses `action`, a reference such as `acme/reconciler/.github/actions/reconciler@<commit>`.

    `before_action` are steps, as YAML, that bring the action there first.
    """
    return _read(f"workflows/{name}.yml").replace("@TOOL@\n", before_action).replace("@ACTION@", action)


def starting_files(action: str) -> Mapping[str, str]:
    """Path below the new repository -> text."""
    files = {path: _read(f"tree/{source}") for path, source in _TREE.items()}
    return files | {f".github/workflows/{name}.yml": render_workflow(name, action) for name in WORKFLOWS}


def _read(path: str) -> str:
    return resources.files(__name__).joinpath(path).read_text(encoding="utf-8")
