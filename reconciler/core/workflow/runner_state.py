"""The state of a workflow's step: a folder of the runner is lost with the runner (docs/github.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.core.where import is_shared
from reconciler.model import Fault

ELSEWHERE = 'write state = "git:origin/reconciler-state" into reconciler.toml'
_LOST = "a folder of the runner is lost with it, and with the folder the memory of what was applied"
_ABSOLUTE = re.compile(r"(?:file:)?(?://)?(?:/|~|[A-Za-z]:[/\\])")
_SCRATCH = ("GITHUB_WORKSPACE", "RUNNER_TEMP")  # what the runner empties


def find_lost_state(state: str, environ: Mapping[str, str]) -> Fault | None:
    """Return why a step with these variables of the runner can't use the state; None if it can.

    A runner of one's own may keep a folder that is outside of the checkout.
    """
    if is_shared(state):
        return None
    if environ.get("RUNNER_ENVIRONMENT") != "self-hosted":
        return Fault(_LOST, f"{ELSEWHERE}; the variable PLUG_STATE of the repository, if it is set, comes first")
    path = state.removeprefix("file:").removeprefix("//").replace("\\", "/")
    folders = (environ.get(name, "").replace("\\", "/").rstrip("/") for name in _SCRATCH)
    if is_relative(state) or any(folder and f"{path}/".startswith(f"{folder}/") for folder in folders):
        return Fault(_LOST, f"{ELSEWHERE}, or an absolute path outside of the checkout that all your runners share")
    return None


def is_relative(state: str) -> bool:
    """Return whether the state is a folder below the settings file, and so in the checkout."""
    return not is_shared(state) and _ABSOLUTE.match(state) is None
