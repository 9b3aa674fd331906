"""The texts of the workflows in a checkout."""

from __future__ import annotations

from pathlib import Path

from reconciler.io.files import read_regular
from reconciler.starter import WORKFLOWS_FOLDER

MAX_WORKFLOW_BYTES = 1024 * 1024


def read_workflows(top: Path) -> dict[str, str]:
    """Return the texts of all workflows by file name, also of those that are not ours. Unreadable ones are left out."""
    texts = {}
    for path in sorted((top / WORKFLOWS_FOLDER).glob("*.y*ml")):
        try:
            texts[path.name] = read_regular(path, MAX_WORKFLOW_BYTES).decode(errors="replace")
        except OSError:
            continue  # `doctor` reports an unreadable one of ours, and another does not use this tool
    return texts
