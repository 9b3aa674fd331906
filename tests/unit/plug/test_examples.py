"""The documented example bodies (docs/plug-api.md#what-plug-sends)."""

from __future__ import annotations

import json

import pytest

from reconciler.model import EVENTS, Event
from reconciler.plug.examples import example_bodies


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_body_that_is_a_json_object(event: Event) -> None:
    """A receiver can be called for each of the seven."""
    assert all(isinstance(json.loads(body), dict) for body in example_bodies(event))
    assert len(example_bodies(event)) == (2 if event is Event.FINISH_ATTENDANCE else 1)


def test_an_undocumented_body_is_an_empty_object() -> None:
    """No page shows a messageDeliveryError."""
    assert example_bodies(Event.MESSAGE_DELIVERY_ERROR) == (b"{}",)


def test_the_spelling_of_the_api_is_kept() -> None:
    """Its misspellings and the trailing space are part of the interface."""
    one, several = (json.loads(body)["attendance"] for body in example_bodies(Event.FINISH_ATTENDANCE))
    assert {"operatorReport ", "departament", "attendanceCategory"} <= one.keys()
    assert {"operatorReport ", "departament", "attendanceCategories"} <= several.keys()
    assert "momment" in json.loads(example_bodies(Event.RECEIVE_MESSAGE)[0])
