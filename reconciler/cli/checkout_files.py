"""The files of a checkout that GitHub reads: the workflows, and who owns which files."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli.session import Session
from reconciler.core.workflow.setup import OWNERS_PLACES, names_owner
from reconciler.io.files import read_regular
from reconciler.starter import WORKFLOWS_FOLDER

MAX_WORKFLOW_BYTES = 1024 * 1024
MAX_OWNERS_BYTES = 3 * 1024 * 1024  # GitHub ignores a larger one


def find_github_top(session: Session) -> Path:
    """Return the folder that contains .github, which is the top of the checkout."""
    from reconciler.io.git.checkout import find_top

    return find_top(session.folder, session.environ) or session.folder


def read_workflows(top: Path) -> dict[str, str]:
    """Return the texts of all workflows by file name, also of those that are not ours. Unreadable ones are left out."""
    texts = {}
    for path in sorted((top / WORKFLOWS_FOLDER).glob("*.y*ml")):
        try:
            texts[path.name] = read_regular(path, MAX_WORKFLOW_BYTES).decode(errors="replace")
        except OSError:
            continue  # `doctor` reports an unreadable one of ours, and another does not use this tool
    return texts


def has_code_owners(top: Path) -> bool:
    """Return whether the checkout has a CODEOWNERS that names an owner. GitHub reads the first of the three places."""
    for path in OWNERS_PLACES:
        try:
            return names_owner(read_regular(top / path, MAX_OWNERS_BYTES).decode(errors="replace"))
        except OSError:
            continue
    return False
