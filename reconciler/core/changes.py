"""The webhooks of an environment that differ. No other module uses deepdiff.

A diff is made only if the webhooks are not equal: to compare them first is a thousand times cheaper, which decides how
long a plan of ten thousand environments takes.
"""

from __future__ import annotations

from reconciler.core.masking import find_secretive_events, show_url
from reconciler.model import EVENTS, Change, Desired, Event, Webhooks


def find_changed_events(before: Webhooks, after: Webhooks) -> tuple[Event, ...]:
    """Return the events whose text differs or that one side lacks, in the order of `EVENTS`."""
    from deepdiff import DeepDiff  # late: its import costs more than a plan without any change

    changed = DeepDiff(dict(before), dict(after), view="tree").affected_root_keys
    return tuple(event for event in EVENTS if event in changed)


def make_changes(desired: Desired, applied: Webhooks | None) -> tuple[Change, ...]:
    """Return the changes that a PUT of `desired` would make to `applied`; all seven if it is None (never applied).

    `before` is masked as it may be shown. The history does not influence that, so that plans with and without the
    history are equal.
    """
    if applied is None:
        return tuple(Change(event, None, desired.webhooks[event], desired.sources[event]) for event in EVENTS)
    if applied == desired.webhooks:
        return ()
    secretive = find_secretive_events((desired.webhooks, applied))
    return tuple(
        Change(
            event=event,
            before=show_url(applied[event], secretive=event in secretive) if event in applied else None,
            after=desired.webhooks[event],
            source=desired.sources[event],
        )
        for event in find_changed_events(applied, desired.webhooks)
    )
