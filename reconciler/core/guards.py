"""Guards that stop a run before anything is sent (CONTRACT §6.1, §6.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.model import Action, Plan

DEFAULT_PERCENT = 50.0
DEFAULT_FLOOR = 10  # below this many applied environments the default guard says nothing


@dataclass(frozen=True, slots=True)
class MaxChanged:
    """How many updates one run may make: a count, or a percentage of the applied environments."""

    amount: float
    percent: bool

    def allowed(self, applied: int) -> int:
        return int(applied * self.amount / 100) if self.percent else int(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{self.amount:g}"


def parse_max_changed(text: str) -> MaxChanged:
    """`"20"` or `"50%"`. Raises ValueError saying what would be right."""
    match = re.fullmatch(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%", text.strip(), re.ASCII)
    if match is None:
        raise ValueError("write a whole number of environments such as 20, or a percentage such as 50%")
    if match[1] is not None:
        return MaxChanged(int(match[1]), percent=False)
    percent = float(match[2])
    if percent > 100:
        raise ValueError("write a percentage from 0% to 100%")
    return MaxChanged(percent, percent=True)


def find_too_many_updates(plan: Plan, applied: int, limit: MaxChanged | None) -> str | None:
    """The guard's message, or None. `applied`: how many planned environments have an applied record.

    Without an own `limit` it is half of them, and only from ten on: a small fleet is reviewed by eye.
    """
    updates = sum(1 for planned in plan.environments if planned.action is Action.UPDATE)
    if limit is None:
        if applied < DEFAULT_FLOOR:
            return None
        limit = MaxChanged(DEFAULT_PERCENT, percent=True)
    allowed = limit.allowed(applied)
    if updates <= allowed:
        return None
    return f"{updates} of {applied} applied environments would be updated, at most {allowed} are allowed ({limit})"
