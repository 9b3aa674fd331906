"""The user who set a label last."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.workflow.labels import Label, find_setter

LARGE = Label.LARGE_CHANGE


def event(what: str, login: str | None, label: str = LARGE) -> dict[str, Any]:
    return {"event": what, "actor": None if login is None else {"login": login}, "label": {"name": label}}


@pytest.mark.parametrize(
    ("events", "setter"),
    [
        ([], None),
        ([event("labeled", "ana")], "ana"),
        ([event("labeled", "ana"), event("labeled", "bob", "other")], "ana"),
        ([event("labeled", "ana"), event("unlabeled", "bob"), event("labeled", "eve")], "eve"),
        ([event("labeled", "ana"), event("unlabeled", "ana")], None),
        ([event("labeled", "ana"), event("labeled", None)], None),
        ([event("labeled", "ana"), {"event": "closed"}, {"event": "labeled", "label": "x"}], "ana"),
    ],
)
def test_the_last_event_of_the_label_names_its_setter(events: list[dict[str, Any]], setter: str | None) -> None:
    """A deleted user has no login."""
    assert find_setter(events, LARGE) == setter
