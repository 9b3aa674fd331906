"""The parts of a change that a plan does not show are found, and shown as groups."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.digest import manifests_digest
from reconciler.core.planner import PlanInput, Planned, make_plan
from reconciler.core.record import adopt
from reconciler.core.workflow.parts import (
    ChangeGroup,
    EnvironmentChange,
    PartChange,
    PinChange,
    find_pin_changes,
    find_unshown,
    group_changes,
    list_parts,
)
from reconciler.model import AuthScheme, BodyForm, By, Desired, Event, Fingerprint, Plan
from reconciler.text.alike import Filled
from tests.fakes import START, make_desired

ONE = make_desired("loja")


def moved(one: Desired, event: Event, url: str) -> Desired:
    return replace(one, webhooks={**one.webhooks, event: url})


def plan(wanted: Desired, applied: Desired | None) -> Plan:
    heads = (
        {} if applied is None else {wanted.environment: adopt(None, applied, Fingerprint(), START, By(), lineage="l")}
    )
    made = make_plan([wanted], heads, lambda one: Fingerprint(), PlanInput(START))
    return Planned(made, {}, heads).plan


DIFFERENT: dict[str, Any] = {
    "wave": 3,
    "endpoint": "https://api.acme.com.br/x",
    "auth_scheme": AuthScheme.BEARER,
    "token_env": "PLUG_TOKEN_X",
    "account_id": "9",
    "organization_id": "org",
    "body": BodyForm.VALUE,
    "webhooks": {**ONE.webhooks, Event.MESSAGE_STATUS: "https://evil.test/x"},
    "description": "other words",
    "vars": {"zap": "1"},
    "partner_base_url": "https://partner.acme.com.br",
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_parts_are_those_of_the_digest(name: str) -> None:
    """So a merge that changes an environment always has a part to show."""
    other = replace(ONE, **{name: DIFFERENT[name]})
    is_part = list_parts(ONE) != list_parts(other)
    assert is_part is (manifests_digest([ONE]) != manifests_digest([other]))


def test_a_url_that_the_state_holds_already_is_shown() -> None:
    """The plan has nothing to send, or shows only another event of the same environment."""
    evil = moved(ONE, Event.MESSAGE_STATUS, "https://evil.test/x")
    shown = PartChange("messageStatus", ONE.webhooks[Event.MESSAGE_STATUS], "https://evil.test/x")
    (found,) = find_unshown([ONE], [evil], ["loja"], plan(evil, evil))
    assert found.parts == (shown,)
    both = moved(evil, Event.START_ATTENDANCE, "https://hooks.acme.com.br/new")
    (found,) = find_unshown([ONE], [both], ["loja"], plan(both, evil))
    assert found.parts == (shown,)
    assert find_unshown([ONE], [both], ["loja"], plan(both, ONE)) == ()


def test_what_a_plan_never_shows_is_shown_beside_an_update() -> None:
    """An endpoint and a body form are part of the plan."""
    pinned = replace(ONE, organization_id="org", wave=3)
    other = replace(ONE, token_env="PLUG_TOKEN_X", auth_scheme=AuthScheme.BEARER, endpoint="https://api.acme.com.br/x")
    (found,) = find_unshown([pinned], [other], ["loja"], plan(other, pinned))
    assert [part.part for part in found.parts] == ["auth_scheme", "token_env", "wave", "organization_id"]


def test_a_new_environment_is_shown_by_its_create_alone() -> None:
    """If the state holds it already, all of it is listed; without a plan too."""
    assert find_unshown([], [ONE], ["loja"], plan(ONE, None)) == ()
    (found,) = find_unshown([], [ONE], ["loja"], plan(ONE, ONE))
    (unplanned,) = find_unshown([], [ONE], ["loja"], None)
    assert found == unplanned
    assert [part.part for part in found.parts][:7] == list(Event)


def test_a_pin_that_is_lost_or_changed_is_found() -> None:
    """A new pin loosens nothing."""

    def pinned(pins: dict[str, str | None]) -> list[Desired]:
        return [replace(make_desired(name), organization_id=pin) for name, pin in pins.items()]

    before = pinned({"a": "x", "b": "x", "c": None, "d": "x", "f": "x"})
    after = pinned({"f": "x", "b": "y", "a": None, "c": "y", "e": None})
    assert find_pin_changes(before, after) == (PinChange("a", "x", None), PinChange("b", "x", "y"))


def test_changes_that_are_alike_are_one_group_with_every_value() -> None:
    """A value that only one environment has comes first."""
    changes = [
        EnvironmentChange(
            name,
            (PartChange("messageStatus", None, f"https://hooks.acme.com.br/{name}/{zap}"),),
            {"zap": zap, "unused": name},
        )
        for name, zap in zip("abcdef", ["one"] * 4 + ["two", "one"], strict=True)
    ]
    (group,) = group_changes(changes)
    assert group == ChangeGroup(
        tuple("abcdef"),
        (PartChange("messageStatus", None, "https://hooks.acme.com.br/{environment}/{zap}"),),
        (Filled((("zap", "two"),), ("e",)), Filled((("zap", "one"),), tuple("abcdf"))),
    )
    assert [one.environments for one in group_changes(changes[:5])] == [(name,) for name in "abcde"]
