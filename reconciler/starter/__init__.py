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

_OWN_TOOL = """
      # this repository holds the tool itself: that of the base branch runs, never the pull request's. A link of its
      # name would lead the checkout into the manifests
      - run: rm -rf .tool
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          ref: ${{ github.event.pull_request.base.sha }}
          path: .tool
          persist-credentials: false
"""
_TREE = {
    "manifests/_defaults.yaml": "manifests/_defaults.yaml",
    "manifests/staging.yaml": "manifests/staging.yaml",
    "manifests/production.yaml": "manifests/production.yaml",
    "reconciler.toml": "reconciler.toml",
    ".gitignore": "gitignore",
}


def render_workflow(name: str, action: str) -> str:
    """A workflow that uses `action`, a reference such as `acme/reconciler/.github/actions/reconciler@<commit>`."""
    return _read(f"workflows/{name}.yml").replace("@TOOL@\n", "").replace("@ACTION@", action)


def render_own_workflow(name: str) -> str:
    """The same for the repository that holds the tool."""
    action = f"./.tool/{ACTION_FOLDER}" if name == "plan" else f"./{ACTION_FOLDER}"
    return _read(f"workflows/{name}.yml").replace("@TOOL@\n", _OWN_TOOL).replace("@ACTION@", action)


def starting_files(action: str) -> Mapping[str, str]:
    """Path below the new repository -> text."""
    files = {path: _read(f"tree/{source}") for path, source in _TREE.items()}
    return files | {f".github/workflows/{name}.yml": render_workflow(name, action) for name in WORKFLOWS}


def _read(path: str) -> str:
    return resources.files(__name__).joinpath(path).read_text(encoding="utf-8")
