"""How many updates one run may make (CONTRACT §6.2)."""

from __future__ import annotations

import pytest

from reconciler.core.guards import MaxChanged, find_too_many_updates, parse_max_changed
from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.record import adopt
from reconciler.model import By, Fingerprint, Plan
from tests.fakes import START, make_desired


def fleet(size: int, updates: int) -> Plan:
    """`size` applied environments, of which `updates` are edited."""
    names = [f"e{number:02}" for number in range(size)]
    documents = {name: adopt(None, make_desired(name), Fingerprint(), START, By(), lineage="l") for name in names}
    wanted = [make_desired(name, "2" if place < updates else "1") for place, name in enumerate(names)]
    return make_plan(wanted, documents, lambda one: Fingerprint(), PlanInput(START))


@pytest.mark.parametrize(
    ("size", "updates", "limit", "refused"),
    [
        (9, 9, None, False),
        (10, 5, None, False),
        (10, 6, None, True),
        (4, 4, "3", True),
        (4, 3, "3", False),
        (4, 2, "25%", True),
        (4, 1, "25%", False),
        (20, 20, "100%", False),
        (20, 1, "0", True),
        (20, 0, "0", False),
    ],
)
def test_the_guard(size: int, updates: int, limit: str | None, refused: bool) -> None:
    """The default is half, from ten environments on; an own limit always holds."""
    parsed = None if limit is None else parse_max_changed(limit)
    assert (find_too_many_updates(fleet(size, updates), size, parsed) is not None) is refused


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "1.5", "50 %%", "½"])
def test_what_is_neither_count_nor_percentage_is_refused(text: str) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match="write a"):
        parse_max_changed(text)


def test_a_percentage_is_rounded_down() -> None:
    """A third of ten is three."""
    assert MaxChanged(33.4, percent=True).allowed(10) == 3
