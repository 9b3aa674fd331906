"""The labels on a pull request that lift a guard, and who set one. Both are fixed names (docs/github.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Label(StrEnum):
    """A label that somebody with write permission sets to let one pull request pass a guard."""

    LARGE_CHANGE = "reconciler: large change"  # lifts max_changed
    FIRST_APPLY = "reconciler: first apply"  # vouches that an empty state is the right one


@dataclass(frozen=True, slots=True)
class LabelSetting:
    """A label that is on a pull request. `set_by` is the login of who set it last; None where GitHub doesn't say.

    It `counts` only where that user is known to have write permission.
    """

    label: Label
    set_by: str | None
    counts: bool


WRITERS = frozenset({"admin", "maintain", "write"})  # GitHub's names of the permissions that include writing


def find_setter(events: Iterable[Mapping[str, Any]], label: Label) -> str | None:
    """Return the login of who set a label last, from a pull request's events, the oldest first.

    None where it was removed since, or where the last event names nobody (a user who was deleted).
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
