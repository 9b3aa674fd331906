"""The words for a state to which nothing was ever applied: a first apply, or a typing error in the setting."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model import Where


def describe_new_state(where: Where, show: Callable[[str], str] = str) -> str:
    """Return what to check before a first apply. `show` escapes the setting for the place where it is shown."""
    near = f": did you mean {show(where.near)}?" if where.near else ""
    state = show(where.location)
    fact = f"{state} has only what a sandbox got" if where.had_trials else f"nothing was ever applied to {state}"
    return f"{fact}; if that is wrong, check the setting `state`{near}"
