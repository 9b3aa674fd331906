"""The description of another run's live intent (docs/state.md#what-it-promises)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from reconciler.model import EVENTS, By, Intent
from reconciler.text.instants import CLOCKS_DIFFER
from reconciler.text.lock import describe_lock
from tests.fakes import START

WEBHOOKS = dict.fromkeys(EVENTS, "https://x")


def intent(by: By, at: datetime = START) -> Intent:
    return Intent("i", WEBHOOKS, False, at, START + timedelta(seconds=900), by)


@pytest.mark.parametrize(
    ("by", "who"),
    [(By("ana", "c0ffee", "7/1"), "ana (run 7/1)"), (By("ana", None, None), "ana"), (By(None, None, None), "someone")],
)
def test_a_lock_is_described_by_its_owner_and_its_times(by: By, who: str) -> None:
    assert describe_lock(intent(by), START) == (
        f"another run is at work: {who}, since 2026-11-23T12:00:00Z, until 2026-11-23T12:15:00Z at the latest"
    )


@pytest.mark.parametrize("ahead", [CLOCKS_DIFFER, CLOCKS_DIFFER + timedelta(seconds=1)])
def test_an_intent_of_the_future_says_that_a_clock_is_wrong(ahead: timedelta) -> None:
    """A small difference between two machines' clocks is normal."""
    text = describe_lock(intent(By("ana"), START + ahead), START)
    assert ("its clock or this machine's is wrong" in text) == (ahead > CLOCKS_DIFFER)
