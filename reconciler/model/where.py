"""The places where a run acts: the APIs that it sends to, and the state (docs/contract.md#commands)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class ApiUse(Struct, frozen=True):
    """One host that environments are sent to. `sandbox`: it is loopback."""

    host: str  # with its port if the base URL has one
    environments: int
    sandbox: bool


class Where(Struct, frozen=True):
    """The state and the APIs of the planned environments.

    `location` is the setting `state` as it is written. `documents` counts those of the whole state, selected or not.
    `apis` are sorted by their number of environments, the most first, then by host.
    """

    location: str
    documents: int
    apis: tuple[ApiUse, ...]
    is_new: bool = False  # no document of the state has an applied record; for Plug, those of a sandbox don't count
    had_trials: bool = False  # of a new state: it has applied records of a sandbox
    near: str | None = None  # for a new state: another branch or folder that may be meant
    state_id: str | None = None  # a digest of what the setting resolves to; None if it is not known

    @property
    def needs_vouching(self) -> bool:
        """Return whether the user must confirm that this state is meant: it is new, and not all APIs are a sandbox."""
        return self.is_new and not all(api.sandbox for api in self.apis)

    def with_more_documents(self, count: int) -> Where:
        """Return the same with `count` more documents."""
        return replace(self, documents=self.documents + count)
