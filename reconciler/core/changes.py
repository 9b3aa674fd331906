"""Which of the seven webhooks differ. The only module that knows deepdiff.

Environments whose text is equal never get here: the caller compares first, which is a thousand times
cheaper than a diff and, at ten thousand environments, what decides how long a plan takes.
"""

from __future__ import annotations

from reconciler.core.masking import find_secretive_events, show_url
from reconciler.model import EVENTS, Change, Desired, Event, Webhooks


def find_changed_events(before: Webhooks, after: Webhooks) -> tuple[Event, ...]:
    """The events whose text differs or that one side lacks, in the order of the vendor's page."""
    from deepdiff import DeepDiff  # late: its import costs more than a plan without any change

    changed = DeepDiff(dict(before), dict(after), view="tree").affected_root_keys
    return tuple(event for event in EVENTS if event in changed)


def make_changes(desired: Desired, applied: Webhooks | None) -> tuple[Change, ...]:
    """Return what a PUT of `desired` would change over `applied`; with None (never applied) all seven.

    `before` is as it may be shown. The past has no say in that: a plan made with it and one made without are the same.
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
