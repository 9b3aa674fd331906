"""Alike environments are read once (CONTRACT §5)."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import Action, EnvironmentPlan, EnvironmentResult, Event, LiveDifference, Outcome, Reason
from reconciler.text.groups import Group, group_alike, group_failures, message_of
from tests.golden.samples import create, plan_of, planned, update

NAMES = [f"cliente-{number:02}" for number in range(6)]


def _urls(group: Group) -> list[str]:
    return [change.after for change in group.representative.changes]


def test_five_alike_are_shown_one_by_one() -> None:
    """Only more than five make a group."""
    environments = [create(name) for name in NAMES[:5]]
    assert group_alike(plan_of(*environments)) == [Group((one,), one) for one in environments]


def test_six_alike_are_one_group_with_placeholders() -> None:
    """The name of each environment is written as {environment}."""
    (group,) = group_alike(plan_of(*(create(name) for name in NAMES)))
    assert group.environments == tuple(NAMES)
    assert _urls(group) == [f"https://hooks.acme.com.br/plug/{{environment}}/{event}" for event in Event]


def test_vars_that_differ_are_written_as_their_name_and_shared_ones_as_they_are() -> None:
    """A host of its own in each environment folds; a host that all share stays legible."""
    environments = [update(name, "old.com.br", f"h{at}.{name}.com.br") for at, name in enumerate(NAMES)]
    variables = {name: {"host": f"h{at}.{name}.com.br", "plug": "plug"} for at, name in enumerate(NAMES)}
    (group,) = group_alike(plan_of(*environments), variables)
    assert _urls(group)[0] == "https://{host}/plug/{environment}/finishAttendance"
    assert group.representative.changes[0].before == "https://old.com.br/plug/{environment}/finishAttendance"


def test_a_name_within_a_word_does_not_keep_an_environment_out() -> None:
    """`plu`, `hook` and `a` stand in every URL, and are names an environment may have."""
    names = ["acm", "plu", "hook", "a", "finish", "e"]
    (group,) = group_alike(plan_of(*(create(name) for name in names)))
    assert group.environments == tuple(sorted(names))


def test_a_name_glued_to_a_word_is_found_too() -> None:
    """What whole words don't fold, any occurrence may."""
    (group,) = group_alike(plan_of(*(update(name, "a.com", f"{name}corp.com") for name in NAMES)))
    assert _urls(group)[0] == "https://{environment}corp.com/plug/{environment}/finishAttendance"


def test_other_changes_actions_and_reasons_are_not_alike() -> None:
    """A seventh that differs stands on its own, in the plan's order."""
    others: list[EnvironmentPlan] = [
        create("b-other"),
        update("c-other", "v1.com", "v3.com"),
        replace(update("d-other", "v1.com", "v2.com"), reasons=(Reason.WEBHOOKS_CHANGED, Reason.SECRET_CHANGED)),
    ]
    groups = group_alike(plan_of(*others, *(update(name, "v1.com", "v2.com") for name in NAMES)))
    assert [len(group.members) for group in groups] == [1, 1, 6, 1]


def test_every_environment_that_is_put_is_in_one_group() -> None:
    """Nothing is lost or doubled; unchanged environments and orphans are left to one line each."""
    environments = [
        *(update(name, "v1.com", "v2.com", wave=at) for at, name in enumerate(NAMES)),
        *(planned(f"r{number}", Action.REASSERT, Reason.REQUESTED) for number in range(7)),
        create("new"),
        planned("same", Action.NOOP),
        planned("gone", Action.ORPHAN),
    ]
    groups = group_alike(plan_of(*environments))
    members = sorted(member.environment for group in groups for member in group.members)
    assert members == sorted(one.environment for one in environments if one.action.puts)


def test_live_differences_are_compared_too() -> None:
    """Alike drift of a whole fleet is one group."""
    live = [
        planned(
            name,
            Action.REASSERT,
            Reason.LIVE_DRIFT,
            live=(LiveDifference(Event.MESSAGE_STATUS, f"https://evil.com/{name}"),),
        )
        for name in NAMES
    ]
    (group,) = group_alike(plan_of(*live))
    assert group.representative.live == (LiveDifference(Event.MESSAGE_STATUS, "https://evil.com/{environment}"),)


def _rejected(name: str, variable: str, status: int = 401) -> EnvironmentResult:
    message = f"{status}: Plug did not accept the token of {variable} for {name}"
    return EnvironmentResult(name, Outcome.REJECTED, (), 1, status, message, 1.0)


def test_failures_alike_but_for_the_environment_are_grouped() -> None:
    """The variable of an environment's token counts as its name."""
    results = [_rejected(name, f"PLUG_TOKEN_{name.upper().replace('-', '_')}") for name in NAMES]
    other = _rejected("other", "PLUG_TOKEN_OTHER", status=403)
    assert group_failures([*results, other]) == [results, [other]]


def test_how_often_it_was_tried_and_when_a_lease_began_keep_nobody_out() -> None:
    """The group's message holds the first instant and the last; one that all share is left as it is."""
    locked = [
        EnvironmentResult(
            name, Outcome.LOCKED, (), 0, None, f"locked since 2026-11-23T12:00:0{at}Z until 2026-11-23T13:00:00Z", 0.0
        )
        for at, name in enumerate(NAMES)
    ]
    (group,) = group_failures(locked)
    assert message_of(group) == ("locked since 2026-11-23T12:00:00Z to 2026-11-23T12:00:05Z until 2026-11-23T13:00:00Z")
    tried = [
        EnvironmentResult(name, Outcome.UNCERTAIN, (), at + 2, 503, f"503: not available (tried {at + 2} times)", 0.0)
        for at, name in enumerate(NAMES)
    ]
    (group,) = group_failures(tried)
    assert message_of(group) == "503: not available"
    assert message_of(tried[:1]) == "503: not available (tried 2 times)"


def test_the_largest_group_comes_first_and_nobody_is_lost() -> None:
    """Hundreds of failing environments with three kinds of failures are three groups, and the few others."""
    results = [
        EnvironmentResult(f"e{number}", Outcome.REJECTED, (), 1, 400 + number % 6 // 2 % 3, "said", 1.0)
        for number in range(600)
    ]
    results += results[:100]
    few = [EnvironmentResult(f"few{number}", Outcome.REJECTED, (), 1, 418, "alone", 1.0) for number in range(3)]
    groups = group_failures([few[0], *results, *few[1:]])
    sizes = [len(group) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3:] == [1, 1, 1]
    assert sum(sizes) == 703
    assert [group[0] for group in groups[3:]] == few


def test_a_message_that_says_TIME_itself_is_told_as_it_is() -> None:
    group = [
        replace(_rejected(name, f"PLUG_TOKEN_{name.upper()}"), message=f"TIME is up at 2026-11-23T12:00:0{at}Z")
        for at, name in enumerate("abcdefg")
    ]
    assert message_of(group) == "TIME is up at TIME"
