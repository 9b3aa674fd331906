"""Annotations as GitHub's runner parses them, and the limits that it has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import (
    Action,
    Destination,
    Drift,
    EnvironmentPlan,
    EnvironmentResult,
    Event,
    Finding,
    FindingKind,
    LiveDifference,
    Outcome,
    Problem,
    Reason,
    RunResult,
)
from reconciler.views import annotations as github
from tests.golden import samples
from tests.golden.samples import plan_of, planned


@dataclass(frozen=True)
class Command:
    """A workflow command after the runner's parsing (actions/runner, ActionCommand.TryParseV2)."""

    level: str
    properties: dict[str, str]
    message: str


def parse(text: str) -> list[Command]:
    """Return the commands of a text. Fails the test if a line is not a command."""
    commands = []
    for line in text.splitlines():
        head, separator, message = line.removeprefix("::").partition("::")
        assert line.startswith("::") and separator, line
        level, _, listed = head.partition(" ")
        pairs = [pair.partition("=")[::2] for pair in listed.split(",")]
        commands.append(Command(level, {key: _undo(value) for key, value in pairs}, _undo(message)))
    return commands


def _undo(value: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(escape, character)
    return value


def problem(number: int, message: str) -> Problem:
    return Problem(f"manifests/{number}.yaml", number, 3, "wave", message, "write 1")


def test_an_error_points_at_its_line() -> None:
    """The file is the repository's path, and the hint is below the message."""
    text = github.render_validation([problem(7, "not a number")], [], path_of=lambda file: f"deploy/{file}")
    (command,) = parse(text)
    assert command == Command(
        "error",
        {"file": "deploy/manifests/7.yaml", "line": "7", "col": "3", "title": "reconciler: wave"},
        "not a number\nwrite 1",
    )


def test_a_file_outside_the_repository_is_not_pointed_at() -> None:
    """GitHub would show the annotation at a wrong place, or nowhere."""
    (command,) = parse(github.render_validation([problem(7, "x")], [], path_of=lambda _: None))
    assert set(command.properties) == {"title"}


def test_of_many_errors_one_of_each_kind_comes_first_and_the_rest_is_counted() -> None:
    """GitHub drops the eleventh error, so a fault that occurs a hundred times must not hide another one."""
    errors = [problem(number, "the same") for number in range(1, 101)] + [problem(200, "rare"), problem(201, "other")]
    commands = parse(github.render_validation(errors, [], path_of=str))
    assert len(commands) == 10
    assert [command.message.split("\n")[0] for command in commands[:9]] == ["the same"] * 7 + ["rare", "other"]
    assert commands[-1].message == "… and 93 more errors: see the log"


def test_a_key_with_many_texts_hides_no_other_key() -> None:
    """A kind is a key; the keys of the seven events are one kind."""
    texts = [Problem("a.yaml", number, 1, f"webhooks.{number}", f"text {number}") for number in range(1, 30)]
    commands = parse(github.render_validation([], [*texts, problem(40, "rare"), problem(41, "other")], path_of=str))
    assert [command.message.split("\n")[0] for command in commands[7:9]] == ["text 8", "rare"]


def test_a_flood_of_a_manifests_warnings_hides_no_guard() -> None:
    """A guard's warnings are a kind for each key, and so are those of the manifests."""
    flood = [f"manifests/c{number}.yaml:3:5: webhooks.messageStatus: text {number}" for number in range(40)]
    guards = ["apply would refuse: max_changed: 2 of 2", "apply would refuse: manifests/a.yaml:1:1: organization_id: x"]
    for warnings in ((*flood, *guards), (*guards, *flood)):
        commands = parse(github.render_plan(samples.plan_of(warnings=warnings), path_of=str))
        assert set(guards) <= {command.message for command in commands}


def moved_to(name: str, endpoint: str) -> EnvironmentPlan:
    plan = samples.update(name, "a.acme.com.br", "b.acme.com.br")
    assert plan.destination is not None
    destination: Destination = replace(plan.destination, endpoint=endpoint)
    return replace(plan, destination=destination)


def test_of_many_changes_of_the_endpoint_the_one_to_a_new_host_comes_first_and_none_is_dropped() -> None:
    """They share one annotation. A host that all other environments have, or had, comes last."""
    moves = [moved_to(f"c{number:02}", f"https://www.plugchat.com.br/p{number}") for number in range(12)]
    plan = samples.plan_of(*moves, moved_to("z", "https://www.evil.io/x"), warnings=("apply would refuse: state: x",))
    shown = [one for one in parse(github.render_plan(plan, path_of=str)) if one.level == "warning"]
    assert [one.properties["title"] for one in shown] == [
        "reconciler plan: endpoint of z, c00, c01, c02, c03 and 8 more",
        "reconciler plan",
    ]
    after = [line for line in shown[0].message.split("\n") if line.startswith("after")]
    assert len(after) == 13
    assert after[0] == "after https://www.evil.io/x (z)"


def test_errors_and_warnings_have_ten_each() -> None:
    """Errors and warnings are counted separately."""
    many = [problem(number, str(number)) for number in range(1, 31)]
    commands = parse(github.render_validation(many, many, path_of=str))
    assert [command.level for command in commands] == ["error"] * 10 + ["warning"] * 10


def test_alike_failures_are_one_annotation() -> None:
    """If Plug is down, the whole fleet is one annotation, with the names."""
    results = tuple(
        EnvironmentResult(f"loja-{number}", Outcome.FAILED, (), 0, None, "refused", 0.1) for number in range(3000)
    )
    commands = parse(github.render_result(RunResult(results), path_of=str))
    assert [command.properties["title"] for command in commands] == [
        "reconciler apply",
        "loja-0, loja-1, loja-2, loja-3, loja-4 and 2,995 more: failed",
    ]


@given(st.text(max_size=60), st.text(min_size=1, max_size=40), st.text(max_size=60))
def test_no_value_starts_or_breaks_a_command(message: str, file: str, key: str) -> None:
    """Whatever is in a message, a file's name or a key, the result is one command that reads back."""
    rendered = github.render_validation([Problem(file, 1, 1, key, message)], [], path_of=str)
    assert rendered.count("\n") == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", rendered)
    (command,) = parse(rendered)
    assert list(command.properties) == ["file", "line", "col", "title"]


def _drift_with_hosts(count: int, path: str = "") -> str:
    findings = [
        Finding(
            f"c{at}", FindingKind.UNAPPLIED, Event.MESSAGE_STATUS, f"https://c{at}.com/{path}", "https://o.com/", "m"
        )
        for at in range(count)
    ]
    return github.render_drift(Drift(tuple(findings)), path_of=str).splitlines()[0].replace("%0A", "\n")


def test_drift_lists_the_hosts_of_a_group_as_far_as_they_fit() -> None:
    """Names are dropped first, then hosts are counted. A long URL does not push the hosts out."""
    assert _drift_with_hosts(6).endswith(
        "\nactual https://o.com/\n"
        + "".join(f"expected c{at}.com: 1 environment: c{at}\n" for at in range(6))
        + "actual o.com: 6 environments"
    )
    assert _drift_with_hosts(120).endswith("expected c99.com: 1\nactual o.com: 120")
    cut = _drift_with_hosts(2_000, "x" * 5_000)
    assert len(cut) < 4_300
    said = re.search(r"… and ([0-9,]+) more hosts: see the log", cut)
    assert said is not None
    assert "… and 2 more lines: see the log" in cut
    assert cut.count("\nexpected c") + int(said[1].replace(",", "")) == 2_001


def test_hosts_that_were_observed_at_plug_are_a_notice() -> None:
    live = [
        replace(
            planned(f"c{at}", Action.REASSERT, Reason.LIVE_DRIFT, unchanged=("h.com",)),
            live=(LiveDifference(Event.MESSAGE_STATUS, f"https://c{at}.evil.com/", "https://h.com/"),),
        )
        for at in range(2)
    ]
    last = github.render_plan(plan_of(*live), path_of=str).splitlines()[-1]
    assert last == (
        "::notice title=reconciler plan%3A 2 hosts observed at Plug::"
        "c0.evil.com: 1 environment: c0%0Ac1.evil.com: 1 environment: c1"
    )
