"""The guards of a run (docs/contract.md#guards)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.core.guards import (
    FirstApply,
    MaxChanged,
    count_updates,
    describe_shared_trials,
    find_new_state,
    find_reserved_receivers,
    find_too_many_updates,
    find_trials,
    parse_max_changed,
)
from reconciler.core.planner import Fleet, PlanInput, Planned, make_plan
from reconciler.core.record import adopt
from reconciler.core.shard import holds
from reconciler.model import By, Desired, Fingerprint, Shard, Where
from tests.fakes import START, make_desired

TEAM, PLUG, SANDBOX = "git:origin/reconciler-state", "https://plug.example.com/x", "http://127.0.0.1:8787/x"


def fleet(size: int, updates: int, shard: Shard | None = None) -> tuple[Planned, list[Desired]]:
    """Return the plan of a shard of `size` applied environments, of which `updates` were edited."""
    names = [f"e{number:02}" for number in range(size)]
    documents = {name: adopt(None, make_desired(name), Fingerprint(), START, By(), lineage="l") for name in names}
    desired = [make_desired(name, "2" if index < updates else "1") for index, name in enumerate(names)]
    wanted = [one for one in desired if shard is None or holds(shard, one.environment)]
    heads = {one.environment: documents[one.environment] for one in wanted}
    plan = make_plan(wanted, heads, lambda one: Fingerprint(), PlanInput(START), shard=shard)
    return Planned(plan, {}, {}, fleet=Fleet(frozenset(names), documents)), desired


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
def test_max_changed_refuses_too_many_updates(size: int, updates: int, limit: str | None, refused: bool) -> None:
    """The default is half, from ten environments on; a limit that is set always counts."""
    parsed = None if limit is None else parse_max_changed(limit)
    planned, desired = fleet(size, updates)
    updated = count_updates(planned, desired)
    assert (find_too_many_updates(updated, planned.fleet.applied_count, parsed) is not None) is refused


def test_updates_are_counted_over_all_shards() -> None:
    """Jobs for single shards must not pass an update that is refused for the whole fleet."""
    for number in (1, 2, 3):
        planned, desired = fleet(12, 7, Shard(number, 3))
        assert 0 < len(planned.plan.environments) < 12
        assert (count_updates(planned, desired), planned.fleet.applied_count) == (7, 12)


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "1.5", "50 %%", "½"])
def test_a_limit_that_is_neither_count_nor_percentage_is_refused(text: str) -> None:
    """The error says what would be right."""
    with pytest.raises(ValueError, match="write a"):
        parse_max_changed(text)


def test_a_percentage_is_rounded_down() -> None:
    """33.4 % of ten are three. It is exact: 18.4 % of 375 are 69, not one less."""
    assert MaxChanged(33.4, percent=True).allowed(10) == 3
    assert MaxChanged(18.4, percent=True).allowed(375) == 69
    assert MaxChanged(99.999, percent=True).allowed(100_000) == 99_999


@pytest.mark.parametrize("text", ["0", "20", "1234567", "0%", "50%", "33.4%", "99.999%"])
def test_a_limit_is_shown_as_it_was_written(text: str) -> None:
    assert str(parse_max_changed(text)) == text


@pytest.mark.parametrize(
    ("location", "applied_to", "sent_to", "refused", "warned"),
    [
        (TEAM, PLUG, SANDBOX, True, False),
        ("s3://acme/plug", PLUG, SANDBOX, True, False),
        (".reconciler/state", PLUG, SANDBOX, False, False),
        (".reconciler/state", None, SANDBOX, False, False),
        (TEAM, "http://127.0.0.1:9/x", SANDBOX, False, False),
        (TEAM, None, SANDBOX, False, True),
        (TEAM, PLUG, "https://www.plugchat.com.br/x", False, False),
        (TEAM, None, PLUG, False, False),
    ],
)
@pytest.mark.parametrize("applied", ["loja", "matriz"])
def test_a_sandbox_never_writes_beside_a_record_that_plug_confirmed(
    location: str, applied_to: str | None, sent_to: str, refused: bool, warned: bool, applied: str
) -> None:
    """The rule is for a state that a team shares, also if the record is another environment's; before, it warns."""
    heads = {}
    if applied_to is not None:
        before = make_desired(applied, endpoint=applied_to)
        heads = {applied: adopt(None, before, Fingerprint(), START, By(), lineage="l")}
    desired = make_desired("loja", endpoint=sent_to)
    own = {name: head for name, head in heads.items() if name == "loja"}
    plan = make_plan([desired], own, lambda one: Fingerprint(), PlanInput(START))
    planned = Planned(
        replace(plan, where=Where(location, len(heads), ())),
        {"loja": desired},
        own,
        fleet=Fleet(frozenset({"loja"}), heads),
    )
    found, warnings = find_trials(planned), describe_shared_trials(planned)
    assert (bool(found), bool(warnings)) == (refused, warned)
    assert all("--state .reconciler/sandbox" in str(one) for one in (*found, *warnings))


def test_without_a_state_there_is_no_first_apply_and_no_trial() -> None:
    """Such a plan was made without reading a state."""
    desired = make_desired("loja")
    plan = make_plan([desired], {}, lambda one: Fingerprint(), PlanInput(START))
    planned = Planned(plan, {"loja": desired}, {})
    assert (plan.where, find_new_state(planned, FirstApply(declared=True)), find_trials(planned)) == (None, [], [])


def test_a_reserved_host_that_is_not_sent_is_not_refused() -> None:
    """Examples are an environment that is already as the manifest wants, and one without a manifest."""
    kept, gone, new = make_desired("kept"), make_desired("gone"), make_desired("new")
    heads = {one.environment: adopt(None, one, Fingerprint(), START, By(), lineage="l") for one in (kept, gone)}
    plan = make_plan([kept, new], heads, lambda one: Fingerprint(), PlanInput(START))
    (found,) = find_reserved_receivers(Planned(plan, {"kept": kept, "new": new}, heads))
    assert found.message.startswith("the host hooks.example.com, in 7 webhooks of new, is reserved")
