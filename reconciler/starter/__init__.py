"""The files that `reconciler init` writes: a starting tree, and the workflows.

The workflows here are the sources. Those in this repository's own `.github/workflows` are made from them, with the
action of the checkout in place of a pinned one (a test compares them). Dependabot updates the pinned actions in both,
so the sources are valid YAML: the action is the local action `./@ACTION@`, which Dependabot does not touch, and the
default branch is `main`, which `init` replaces in each line `branches: [main]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib import metadata, resources
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler import __version__
from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import GitError
from reconciler.io.git.remotes import parse_remote
from reconciler.io.installed import DISTRIBUTION
from reconciler.starter.workflow_files import Places, fill_in, sign

WORKFLOWS = tuple(
    sorted(path.name.removesuffix(".yml") for path in resources.files(__name__).joinpath("workflows").iterdir())
)
WORKFLOWS_FOLDER = ".github/workflows"
ACTION_FOLDER = ".github/actions/reconciler"
UNKNOWN_ACTION = f"OWNER/reconciler/{ACTION_FOLDER}@COMMIT"
SCHEMA_FILE = ".vscode/manifest.schema.json"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TREE = {
    "manifests/_defaults.yaml": "manifests/_defaults.yaml",
    "manifests/staging.yaml": "manifests/staging.yaml",
    "manifests/production.yaml": "manifests/production.yaml",
    "reconciler.toml": "reconciler.toml",
    ".gitignore": "gitignore",
    ".vscode/settings.json": "vscode-settings.json",
}
_OWNED = ("/manifests/", "/reconciler.toml", "/.github/")
_NO_OWNER = "@OWNER/TEAM"


class Language(StrEnum):
    """The language of the repository's README."""

    ENGLISH = "en"
    PORTUGUESE = "pt-BR"


class Start(Struct, frozen=True):
    """The values that are filled into one repository's files. `owners` are `@USER` or `@ORG/TEAM`, for CODEOWNERS."""

    places: Places
    owners: Sequence[str] = ()
    language: Language = Language.ENGLISH
    schema: str = "{}\n"  # the JSON Schema of a manifest, for editors


def render_workflow(name: str, places: Places, *, before_action: str = "") -> str:
    """Return a workflow. `before_action` are steps, as YAML, that fetch the action first."""
    return fill_in(_read(f"workflows/{name}.yml").replace("      # @TOOL@\n", before_action), places)


def starting_files(start: Start) -> Mapping[str, str]:
    """Return the texts of all files by their paths in the new repository."""
    workflows = {f"{WORKFLOWS_FOLDER}/{name}.yml": text for name, text in signed_workflows(start.places).items()}
    return {
        **{path: _read(f"tree/{source}") for path, source in _TREE.items()},
        SCHEMA_FILE: start.schema,
        "README.md": _render_readme(start),
        **workflows,
        ".github/dependabot.yml": _read("tree/dependabot.yml"),
        ".github/CODEOWNERS": render_owners(start.owners),
    }


def signed_workflows(places: Places) -> Mapping[str, str]:
    """Return the workflows of this version by name, each with its first line."""
    return {name: sign(render_workflow(name, places), __version__) for name in WORKFLOWS}


def render_owners(owners: Sequence[str]) -> str:
    """Return the text of CODEOWNERS; its lines are comments if no owner is given."""
    mark, names = ("", " ".join(owners)) if owners else ("# ", _NO_OWNER)
    width = max(map(len, _OWNED))
    lines = [f"{mark}{path:<{width}} {names}" for path in _OWNED]
    return _read("tree/codeowners") + "\n".join(lines) + "\n"


def _render_readme(start: Start) -> str:
    """Return the README of the repository. The tool is installed at the commit that the workflows use."""
    install = f'pipx install "{make_tool_address(start.places.action)}"'
    text = _read("tree/README.pt-BR.md" if start.language is Language.PORTUGUESE else "tree/README.md")
    return text.replace("@INSTALL@", install).replace("@BRANCH@", start.places.default_branch)


def make_tool_address(action: str) -> str:
    """Return the address that installs the tool at the commit of an action."""
    repository, _, commit = action.replace(f"/{ACTION_FOLDER}", "").partition("@")
    return f"git+https://github.com/{repository}@{commit}"


def find_action(environ: Mapping[str, str]) -> str | None:
    """Return the action at the commit that this tool was installed from (PEP 610); None if it is unknown.

    It is known if the tool was installed from GitHub, or from a checkout whose remote `origin` is on GitHub.
    """
    try:
        origin = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
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
    """Return the remote's address and HEAD of the checkout at a file: URL, each "" if it is unknown."""
    from urllib.request import url2pathname  # imports the whole of http.client

    try:
        checkout = Checkout(Path(url2pathname(urlsplit(url).path)), environ)
        return checkout.find_origin() or "", checkout.find_head() or ""
    except GitError:
        return "", ""


def _read(path: str) -> str:
    return resources.files(__name__).joinpath(path).read_text(encoding="utf-8")
