"""What `doctor` says of a set-up: an item for each thing that must be right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Area(StrEnum):
    """The parts of a set-up, in the order in which they are shown."""

    SETTINGS = "settings"
    MANIFESTS = "manifests"
    STATE = "state"
    GIT = "git"
    TOKENS = "tokens"
    SECRETS = "secrets"
    PARTNER = "partner"
    WORKFLOWS = "workflows"
    GITHUB = "github"


class ItemState(StrEnum):
    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # it can't be looked at: a token may not ask, or something else comes first


FAILING = frozenset({ItemState.MISSING, ItemState.WRONG})


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at. `hint` is what to do: a command to type, where there is one."""

    area: Area
    name: str
    state: ItemState
    message: str
    hint: str = ""

    @property
    def fails(self) -> bool:
        return self.state in FAILING
