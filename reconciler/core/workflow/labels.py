"""The labels on a pull request that lift a guard, and who set them (docs/github.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Label(StrEnum):
    """A label that lets one pull request pass a guard, if a user with write permission sets it."""

    LARGE_CHANGE = "reconciler: large change"  # lifts max_changed
    FIRST_APPLY = "reconciler: first apply"  # confirms that an empty state is the right one


class LabelSetting(Struct, frozen=True):
    """A label on a pull request. `set_by` is the login of the user who set it last; None if GitHub doesn't say.

    It `counts` only if that user is known to have write permission.
    """

    label: Label
    set_by: str | None
    counts: bool


WRITERS = frozenset({"admin", "maintain", "write"})  # GitHub's names of the permissions that include writing


def find_setter(events: Iterable[Mapping[str, Any]], label: Label) -> str | None:
    """Return the login of the user who set a label last, from a pull request's events, the oldest first.

    It is None if the label was removed since, or if the last event names no user (the account was deleted).
    """
    setter: str | None = None
    for event in events:
        named = event.get("label")
        if not isinstance(named, Mapping) or named.get("name") != label:
            continue
        if event.get("event") == "labeled":
            actor = event.get("actor")
            login = actor.get("login") if isinstance(actor, Mapping) else None
            setter = login if isinstance(login, str) else None
        elif event.get("event") == "unlabeled":
            setter = None
    return setter
