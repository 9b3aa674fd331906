"""Groups of results with the same message (docs/contract.md#plan)."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model import EnvironmentResult, Outcome
from reconciler.text.groups import group_failures, message_of

NAMES = [f"cliente-{number:02}" for number in range(6)]


def _rejected(name: str, variable: str, status: int = 401) -> EnvironmentResult:
    message = f"{status}: Plug did not accept the token of {variable} for {name}"
    return EnvironmentResult(name, Outcome.REJECTED, (), 1, status, message, 1.0)


def test_failures_that_differ_in_the_environment_alone_are_grouped() -> None:
    """The variable of an environment's token counts as its name."""
    results = [_rejected(name, f"PLUG_TOKEN_{name.upper().replace('-', '_')}") for name in NAMES]
    other = _rejected("other", "PLUG_TOKEN_OTHER", status=403)
    assert group_failures([*results, other]) == [results, [other]]


def test_the_number_of_tries_and_the_times_of_leases_do_not_split_a_group() -> None:
    """The group's message has the first and the last instant; one that all share is left as it is."""
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


def test_the_largest_group_comes_first_and_no_result_is_lost() -> None:
    """Hundreds of failing environments with three kinds of failures are three groups; the few others stay alone."""
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


def test_a_message_that_contains_the_word_TIME_is_not_changed() -> None:
    group = [
        replace(_rejected(name, f"PLUG_TOKEN_{name.upper()}"), message=f"TIME is up at 2026-11-23T12:00:0{at}Z")
        for at, name in enumerate("abcdefg")
    ]
    assert message_of(group) == "TIME is up at TIME"
