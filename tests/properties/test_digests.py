"""Digests of plans over random fleets: equal digests mean equal webhooks and equal destinations of tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.digest import manifests_digest
from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.record import adopt
from reconciler.core.urls import host_of
from reconciler.model import (
    EVENTS,
    Action,
    AuthScheme,
    BodyForm,
    By,
    Desired,
    Document,
    EnvironmentPlan,
    Fingerprint,
    Plan,
)
from tests.fakes import START, make_desired

# With few values, two fleets often differ in only one place.
URLS = st.sampled_from(["https://a.example.com/x", "https://b.example.com/x"])
ENDPOINTS = st.sampled_from(["https://www.plug.example/u", "https://app.plug.example/u"])


@st.composite
def environments(draw: st.DrawFn, name: str) -> Desired:
    return make_desired(
        name,
        webhooks={one: draw(URLS) if one in EVENTS[:2] else "https://c.example.com/x" for one in EVENTS},
        endpoint=draw(ENDPOINTS),
        body=draw(st.sampled_from(BodyForm)),
        auth_scheme=draw(st.sampled_from(AuthScheme)),
        token_env=draw(st.sampled_from(["PLUG_TOKEN_A", "PLUG_TOKEN_B"])),
        wave=draw(st.integers(0, 1)),
        organization_id=draw(st.sampled_from([None, "1"])),
    )


class Fleet(Struct, frozen=True):
    """Environments with the applied record of each; None if it was never applied."""

    desired: Sequence[Desired]
    applied: Mapping[str, Desired | None]

    def plan(self) -> Plan:
        return make_plan(self.desired, self._documents(), lambda one: Fingerprint("org:1"), PlanInput(START))

    def _documents(self) -> dict[str, Document]:
        return {
            name: adopt(None, one, Fingerprint("org:1"), START, By(), lineage="l")
            for name, one in self.applied.items()
            if one is not None
        }


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    names = draw(st.sets(st.sampled_from("abc"), min_size=1))
    return Fleet(
        [draw(environments(name)) for name in sorted(names)],
        {name: draw(st.none() | environments(name)) for name in sorted(names)},
    )


@st.composite
def twins(draw: st.DrawFn) -> tuple[Fleet, Fleet]:
    """Return a fleet, and another that differs from it in at most one value or applied record."""
    fleet = draw(fleets())
    one = draw(st.sampled_from(fleet.desired))
    other = draw(environments(one.environment))
    name = draw(st.sampled_from(["webhooks", "endpoint", "body", "auth_scheme", "token_env", "organization_id"]))
    changed = replace(one, **{name: getattr(other, name)})
    if draw(st.booleans()):
        return fleet, replace(fleet, applied={**fleet.applied, one.environment: changed})
    return fleet, replace(fleet, desired=[changed if each is one else each for each in fleet.desired])


def changing(plan: Plan) -> list[EnvironmentPlan]:
    return sorted(
        (one for one in plan.environments if one.action in (Action.CREATE, Action.UPDATE)),
        key=lambda one: one.environment,
    )


def sent(plan: Plan) -> list[object]:
    """Return what a reviewer has to see of a plan: texts, and destinations before and after."""
    return [
        (
            one.environment,
            [(change.event, change.before, change.after) for change in one.changes],
            one.destination,
            one.endpoint_before,
            one.body_before,
        )
        for one in changing(plan)
    ]


def hosts(plan: Plan) -> set[str]:
    urls = [change.after for one in changing(plan) for change in one.changes]
    urls += [one.destination.endpoint for one in changing(plan) if one.destination is not None]
    return {host_of(url) for url in urls}


@given(twins())
def test_plans_of_equal_digest_put_the_same_to_the_same_destinations(pair: tuple[Fleet, Fleet]) -> None:
    """Plans that would change anything differently have different digests."""
    first, second = (fleet.plan() for fleet in pair)
    event("equal" if first.digest == second.digest else "different")
    assert (first.digest == second.digest) == (sent(first) == sent(second))
    if first.digest == second.digest:
        assert hosts(first) == hosts(second)


@given(twins())
def test_fleets_of_equal_digest_desire_the_same_at_the_same_destinations(pair: tuple[Fleet, Fleet]) -> None:
    """The applied records don't matter."""
    first, second = (fleet.plan() for fleet in pair)
    assert first.fleet_digest == first.manifests_digest
    assert (first.fleet_digest == second.fleet_digest) == (pair[0].desired == pair[1].desired)


@given(fleets())
def test_a_changed_destination_is_an_update_with_before_and_after(fleet: Fleet) -> None:
    """A reviewer sees both destinations of each environment that is sent to another one."""
    for one in fleet.plan().environments:
        was = fleet.applied[one.environment]
        assert one.destination is not None
        if was is None:
            assert (one.action, one.endpoint_before) == (Action.CREATE, None)
            continue
        moved = (was.endpoint, was.body) != (one.destination.endpoint, one.destination.body)
        assert moved == bool(one.destination_changes)
        assert not moved or one.action is Action.UPDATE
        for change in one.destination_changes:
            assert change.before == getattr(was, change.part)
            assert change.after == getattr(one.destination, change.part)


@given(st.lists(st.text(max_size=8) | st.sampled_from([chr(code) for code in range(0x81)]), max_size=4))
def test_the_digest_is_over_canonical_json(texts: list[str]) -> None:
    """Every character is escaped as the standard library does it, so that digests never differ between versions."""
    desired = [
        make_desired(f"e{number}", webhooks=dict.fromkeys(EVENTS, text), organization_id=text)
        for number, text in enumerate(texts)
    ]
    values = [
        [
            one.environment,
            one.wave,
            [one.endpoint, str(one.body), str(one.auth_scheme), one.token_env],
            one.account_id,
            one.organization_id,
            list(one.webhooks.values()),
        ]
        for one in desired
    ]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    assert manifests_digest(desired) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
