"""The promises of the text views beyond their stored documents."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import (
    Action,
    DestinationPart,
    Drift,
    EnvironmentPlan,
    Event,
    Finding,
    FindingKind,
    LiveDifference,
    Reason,
    Remedy,
    RunResult,
)
from reconciler.views import annotations as github
from reconciler.views import markdown, style, text, text_plan
from tests.golden.samples import (
    DESTINATION,
    HOSTILE,
    WHERE,
    changes,
    create,
    documents,
    drifts,
    plan_of,
    planned,
    plans,
    results,
    update,
    webhooks,
)


def _without_colour(rendered: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", rendered)


def test_the_last_line_of_a_plan_is_its_summary() -> None:
    """A user who reads only the end knows what would happen."""
    plan = plan_of(create("a"), update("b", "x.com", "y.com"), *(planned(n, Action.NOOP) for n in "cde"))
    last = text.render_plan(plan, colour=False).splitlines()[-1]
    assert last == "Plan: 1 to create, 1 to update, 0 to reassert, 3 unchanged, 0 orphans."


def test_a_plan_without_work_says_so() -> None:
    """A row of zeros is easily misread."""
    plan = plan_of(planned("a", Action.NOOP), planned("gone", Action.ORPHAN))
    assert text.render_plan(plan, colour=False).endswith("1 unchanged, 1 orphan. Nothing to do.\n")


def test_the_values_of_a_group_after_the_fiftieth_are_counted() -> None:
    """The rarest come first. A value that many environments share is one row."""
    values = {f"c{at:03}": f"z{at}z" if at < 60 else "shared" for at in range(80)}
    plan = plan_of(*(update(name, "x.com", f"y.com/{value}") for name, value in values.items()))
    page = text.render_plan(plan, {name: {"zap": value} for name, value in values.items()}, colour=False)
    rows = re.findall(r"^      zap (\S+): (\S+)$", page, re.MULTILINE)
    assert rows == [(value, name) for name, value in list(values.items())[:50]]
    assert "\n      and 30 more environments: see them with --format json\n" in page


def test_advice_never_contradicts_the_message_of_an_environment() -> None:
    """An apply at once would find this run's own lock, or nothing to do."""
    one = results()["mixed"].environments[23]
    usual = "uncertain: run apply again: it sends the desired webhooks again."
    locked = "still locked by this run: fix what the message names, then reconciler state unlock ENVIRONMENT, and apply"
    lost = "not in the state: fix what the message names, then reconciler apply --reassert -e ENVIRONMENT."
    for remedies, expected in (
        ([Remedy.APPLY], {usual}),
        ([Remedy.UNLOCK, Remedy.UNLOCK], {locked}),
        ([Remedy.APPLY, Remedy.REASSERT, Remedy.UNLOCK], {usual, locked, lost}),
    ):
        result = RunResult(tuple(replace(one, remedy=remedy) for remedy in remedies))
        for page in (text.render_result(result, colour=False, width=200), markdown.render_result(result)):
            assert {advice for advice in (usual, locked, lost) if advice in page} == expected
            assert page.count(locked) <= 1


def _other_token(name: str, token_env: str) -> EnvironmentPlan:
    destination = replace(DESTINATION, token_env=token_env)
    return planned(name, Action.NOOP, destination=destination, overrides=frozenset({DestinationPart.TOKEN_ENV}))


def test_every_environment_with_an_unusual_token_variable_is_named() -> None:
    """One in eighty is named; environments with the same variable share a line."""
    many = [_other_token(f"c{number:03}", f"PLUG_TOKEN_K{number}") for number in range(60)]
    alike = [_other_token(f"d{number:03}", "PLUG_TOKEN_ALL") for number in range(60)]
    plan = plan_of(*many, *alike)
    lines = text.render_plan(plan, colour=False).splitlines()
    assert "note: token_env is not the name's default in 120 environments" in lines
    assert "      PLUG_TOKEN_K41: c041" in lines
    listed = " ".join(lines[lines.index("      PLUG_TOKEN_ALL:") + 1 :]).split("Unchanged")[0]
    assert re.findall(r"d\d{3}", listed) == [f"d{number:03}" for number in range(60)]
    page = markdown.render_plan(plan)
    assert "- `PLUG_TOKEN_K41`: `c041`\n" in page
    assert all(f"`d{number:03}`" in page for number in range(60))
    annotated = github.render_plan(plan, path_of=str)
    assert (
        "reconciler plan%3A token_env is not the name's default in 120 environments::PLUG_TOKEN_K0: c000%0A"
        in annotated
    )
    assert "%0A… and 115 more environments: see the log\n" in annotated


def test_notes_that_do_not_fit_a_comment_are_counted() -> None:
    plan = plan_of(*(_other_token(f"c{number:05}", f"PLUG_TOKEN_K{number}") for number in range(3_000)))
    page = markdown.render_plan(plan)
    shown = page.count("- `PLUG_TOKEN_")
    assert 64_000 < len(page) <= 65_000
    assert f"- … and {3_000 - shown:,} more environments: run `reconciler plan` to see all" in page


@pytest.mark.parametrize(("action", "shown"), [(Action.REASSERT, 0), (Action.CREATE, 1), (Action.UPDATE, 1)])
def test_a_digest_of_nothing_is_shown_nowhere(action: Action, shown: int) -> None:
    """The digest is over creates and updates, so with reasserts alone there is nothing to compare."""
    plan = plan_of(planned("a", action, Reason.REQUESTED, changed=changes("a", None, webhooks("a.com", "a"))))
    rendered = (
        text.render_plan(plan, colour=False),
        markdown.render_plan(plan),
        github.render_plan(plan, path_of=str),
    )
    assert [one.count("Digest: ") for one in rendered] == [shown] * 3


def test_the_carets_are_below_the_differing_word() -> None:
    """Without colour the difference is marked by position."""
    rendered = text.render_plan(plan_of(update("e", "hooks.a.com", "hooks2.a.com")), colour=False)
    start = rendered.index("        before")
    assert rendered[start:].splitlines()[:4] == [
        "        before  https://hooks.a.com/plug/e/finishAttendance",
        "                        ^^^^^",
        "        after   https://hooks2.a.com/plug/e/finishAttendance",
        "                        ^^^^^^",
    ]


def test_a_webhook_that_was_not_there_has_no_before() -> None:
    """Nothing is compared, and nothing is marked."""
    changed = changes("e", None, webhooks("a.com", "e"))[:2]
    plan = plan_of(planned("e", Action.UPDATE, Reason.WEBHOOKS_CHANGED, changed=changed))
    lines = text.render_plan(plan, colour=False).splitlines()
    assert [line for line in lines if line.startswith("        ")] == [
        "        after   https://a.com/plug/e/finishAttendance",
        "        after   https://a.com/plug/e/startAttendance",
    ]


def test_of_many_orphans_the_first_are_listed() -> None:
    """Each has the command that drops it; the rest is counted."""
    plan = plan_of(*(planned(f"gone-{number:03}", Action.ORPHAN) for number in range(1_234)))
    lines = text.render_plan(plan, colour=False).splitlines()
    assert lines[0] == "1,234 orphans: in the state, in no manifest. Plug keeps calling their webhooks."
    shown = [line for line in lines if "reconciler state forget" in line]
    assert (len(shown), shown[-1].split()[0]) == (50, "gone-049")
    assert lines[lines.index(shown[-1]) + 1] == "  and 1,184 more"


@pytest.mark.parametrize("name", plans())
def test_colour_changes_no_word_of_a_plan(name: str) -> None:
    """Only the carets are replaced by colour."""
    plain = text.render_plan(plans()[name], colour=False).splitlines()
    coloured = _without_colour(text.render_plan(plans()[name], colour=True)).splitlines()
    assert [line for line in plain if set(line.strip()) != {"^"}] == coloured


@pytest.mark.parametrize("name", results())
def test_colour_changes_no_word_of_a_result(name: str) -> None:
    """Colour only adds codes."""
    result = results()[name]
    assert _without_colour(text.render_result(result, colour=True)) == text.render_result(result, colour=False)


@pytest.mark.parametrize("name", drifts())
def test_colour_changes_no_word_of_drift(name: str) -> None:
    """Only the carets are replaced by colour."""
    plain = text.render_drift(drifts()[name], colour=False).splitlines()
    coloured = _without_colour(text.render_drift(drifts()[name], colour=True)).splitlines()
    assert [line for line in plain if set(line.strip()) != {"^"}] == coloured


def test_a_group_of_thousands_names_them_all() -> None:
    """Unlike a comment, text has no limit, and a user can search it."""
    plan = plan_of(*(planned(f"c{number:05}", Action.REASSERT, Reason.REQUESTED) for number in range(10_000)))
    rendered = text.render_plan(plan, colour=False)
    assert "= 10,000 environments alike  reassert: requested with --reassert" in rendered
    assert rendered.count(" c0") == 10_000


@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_the_marked_parts_are_all_that_differs(before: str, after: str) -> None:
    """Outside of the spans both texts are the same."""
    found = style.find_difference(before, after)
    (start, end), (start_after, end_after) = found.before, found.after
    assert start == start_after
    assert before[:start] == after[:start]
    assert before[end:] == after[end_after:]
    assert start <= end <= len(before)
    assert start <= end_after <= len(after)
    assert (before == after) == (start == end and start == end_after)


@given(
    words=st.lists(st.sampled_from(["::error::x", "a", ":", HOSTILE, "x" * 30]), max_size=20), width=st.integers(1, 90)
)
def test_no_wrapped_line_starts_a_workflow_command(words: list[str], width: int) -> None:
    """A line break before `::` is escaped too."""
    for line in style.wrap(" ".join(words), indent="  ", width=width):
        assert not line.strip().startswith("::")


def test_the_question_names_numbers_apis_and_state() -> None:
    """For a new state, the first line says that nothing was ever applied to it."""
    plain = plan_of(create("a"), update("b", "x.com", "y.com"), where=WHERE)
    apis = WHERE.apis
    sent = "Put 2 environments (1 to create, 1 to update, 0 to reassert) at"
    state = "with the state git:origin/reconciler-state (8 documents)?"
    assert text_plan.render_question(plain, apis[:1]) == f"{sent} www.plugchat.com.br, {state}"
    both = "www.plugchat.com.br (7 environments), the sandbox 127.0.0.1:8787 (1 environment)"
    assert text_plan.render_question(plain, apis) == f"{sent} {both}, {state}"
    new = replace(plain, where=replace(WHERE, is_new=True, near="reconciler-stats"))
    first, question = text_plan.render_question(new, apis[1:]).split("\n")
    assert first.endswith("check the setting `state`: did you mean reconciler-stats?")
    assert question == f"{sent} the sandbox 127.0.0.1:8787, {state}"


def test_a_narrow_terminal_keeps_the_columns_that_matter() -> None:
    """Name, standing and age stay; a line names the others, and a file has all columns."""
    known = [one for one in documents().values() if one.environment in ("production", "staging")]
    now = datetime(2026, 11, 24, tzinfo=UTC)
    narrow = text.render_state_list(known, now, colour=False, width=60)
    wide = text.render_state_list(known, now, colour=False)
    assert narrow.splitlines()[0].split()[:3] == wide.splitlines()[0].split()[:3] == ["ENVIRONMENT", "STANDING", "AGE"]
    assert wide.splitlines()[0].split()[3:] == ["APPLIED", "BY", "COMMIT", "SERIAL"]
    assert max(map(len, narrow.splitlines()[: 1 + len(known)])) <= 60
    assert narrow.splitlines()[-1].startswith("This terminal is too narrow for ")
    assert "commit, serial: --format json has them." in narrow
    assert "too narrow" not in wide


def test_what_was_not_compared_is_counted_each_on_its_own() -> None:
    """Every token is missing, and one environment also lacks a secret."""
    environments = [
        planned(f"c{at}", Action.REASSERT, Reason.REQUESTED, unchecked=("account",) + ("secret:A", "live") * (at == 3))
        for at in range(6)
    ]
    page = text.render_plan(plan_of(*environments), colour=False)
    assert "not compared, as not available: account (in 6 of them), secret:A (in 1 of them); not observed:" in page
    assert "the read failed (in 1 of them)" in page


def test_a_group_lists_the_hosts_that_were_observed_at_plug() -> None:
    """The URL shows {environment} for a part of each host."""
    live = [
        replace(
            planned(f"c{at}", Action.REASSERT, Reason.LIVE_DRIFT, unchanged=("h.com",)),
            live=(LiveDifference(Event.MESSAGE_STATUS, f"https://c{at}.evil.com/", "https://h.com/"),),
        )
        for at in range(6)
    ]
    page = text.render_plan(plan_of(*live), colour=False)
    assert (
        "    hosts\n      h.com  6 environments\n    hosts observed at Plug\n      c0.evil.com  1 environment: c0\n"
        in page
    )


def test_drift_lists_every_host_of_expected_and_actual() -> None:
    """All sixty hosts of one side and the one of the other are shown."""
    findings = [
        Finding(f"c{at}", FindingKind.UNAPPLIED, Event.MESSAGE_STATUS, f"https://c{at}.com/", "https://old.com/", "m")
        for at in range(60)
    ]
    page = text.render_drift(Drift(tuple(findings)), colour=False)
    listed, _, actual = page.partition("    hosts expected\n")[2].partition("    hosts actual\n")
    assert [line.split() for line in listed.splitlines()] == [
        [f"{name}.com", "1", "environment:", name] for name in sorted(f"c{at}" for at in range(60))
    ]
    assert actual.startswith("      old.com  60 environments\n    environments\n")
