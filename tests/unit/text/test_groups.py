"""Results that say the same are read once (docs/contract.md#plan)."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import EnvironmentResult, Outcome
from reconciler.text.groups import group_failures, message_of

NAMES = [f"cliente-{number:02}" for number in range(6)]


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
