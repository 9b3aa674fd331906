"""The results of `doctor`: an item for each thing that must be right in a set-up."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


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
    UNKNOWN = "unknown"  # it can't be checked: a token lacks a permission, or something else must be fixed first


FAILING = frozenset({ItemState.MISSING, ItemState.WRONG})


class Item(Struct, frozen=True):
    """One thing that was checked. `hint` says what to do: a command to type, if there is one."""

    area: Area
    name: str
    state: ItemState
    message: str
    hint: str = ""

    @property
    def fails(self) -> bool:
        return self.state in FAILING
