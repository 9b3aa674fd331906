"""The keys `state` and `apis`, which plan, result and drift share (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.formats.json_text import ExactPart
from reconciler.model import ApiUse, Where


def encode_where(where: Where | None) -> dict[str, Any]:
    """Return the two keys; `state` is null if no state was read."""
    if where is None:
        return {"state": None, "apis": []}
    return {
        "state": {"location": where.location, "documents": where.documents},
        "apis": [{"host": api.host, "environments": api.environments, "sandbox": api.sandbox} for api in where.apis],
    }


class StatePlacePart(ExactPart):
    location: str
    documents: int


class ApiUsePart(ExactPart):
    host: str
    environments: int
    sandbox: bool

    def value(self) -> ApiUse:
        return ApiUse(self.host, self.environments, self.sandbox)


def decode_where(
    state: StatePlacePart | None, apis: Iterable[ApiUsePart], *, is_new: bool = False, state_id: str | None = None
) -> Where | None:
    """Return the state and the APIs as a file has them; None if no state was read."""
    if state is None:
        return None
    return Where(state.location, state.documents, tuple(api.value() for api in apis), is_new, state_id=state_id)
