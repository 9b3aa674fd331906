"""The users who set labels that lift guards, and whether they have write permission.

GITHUB_TOKEN may make both calls: a pull request's labels and events need `pull-requests: read`, and a user's permission
needs only what every token has (docs/github.md).
"""

from __future__ import annotations

import re

from reconciler.core.workflow.labels import WRITERS, Label, LabelSetting, find_setter
from reconciler.errors import PostFailed, TransientError
from reconciler.github.api import MAX_PAGES, PAGE, GitHub

# A user's login, for use in an address. The login of a bot ends in "[bot]", and no bot lifts a guard.
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,100}", re.ASCII)


def find_lifting_label(github: GitHub, number: int, label: Label) -> LabelSetting | None:
    """Return who set a label on a pull request; None if the label is not on it. Raises PostFailed.

    The setter is None if there are too many events to read, or if they don't agree with the labels.
    """
    labels = github.list_all(f"issues/{number}/labels")
    if not any(one.get("name") == label for one in labels):
        return None
    events = github.retry(lambda: list(github.pages(f"issues/{number}/events")))
    setter = find_setter(events, label) if len(events) < MAX_PAGES * PAGE else None
    return LabelSetting(label, setter, counts=setter is not None and _may_write(github, setter))


def _may_write(github: GitHub, login: str) -> bool:
    """Return whether a user is known to have write permission. Raises TransientError."""
    if not _LOGIN.fullmatch(login):
        return False
    try:
        answer = github.get(f"collaborators/{login}/permission")
    except TransientError:
        raise
    except PostFailed:  # The user has left, or the token may not ask. An unknown permission doesn't count.
        return False
    return isinstance(answer, dict) and answer.get("permission") in WRITERS
