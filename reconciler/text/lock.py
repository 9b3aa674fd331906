"""Another run's live intent, in words (docs/state.md#what-it-promises)."""

from __future__ import annotations

from datetime import datetime

from reconciler.model import Intent
from reconciler.text.instants import instant, is_in_future


def describe_lock(intent: Intent, now: datetime) -> str:
    """Return who has the lock, since when and until when, with a warning if one of the two clocks must be wrong."""
    who = intent.by.actor or "someone"
    run = f" (run {intent.by.run})" if intent.by.run else ""
    assert intent.lease_until is not None, "a live intent has a lease"
    skewed = "; that began in the future, so its clock or this machine's is wrong"
    return (
        f"another run is at work: {who}{run}, since {instant(intent.at)}, "
        f"until {instant(intent.lease_until)} at the latest"
        f"{skewed if is_in_future(intent.at, now) else ''}"
    )
