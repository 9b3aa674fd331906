"""Markdown pages of any fleet keep the bound on their length, and count what they leave out (docs/contract.md#plan)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from reconciler.core.planner import LIVE
from reconciler.model import (
    EVENTS,
    Action,
    Drift,
    EnvironmentPlan,
    EnvironmentResult,
    Finding,
    FindingKind,
    LiveDifference,
    Outcome,
    Plan,
    Problem,
    Reason,
    RunResult,
)
from reconciler.views import markdown, words
from tests.golden.samples import HOSTILE, NOW, changes, create, documents, plan_of, planned, plans, update


def _long(name: str, number: int) -> EnvironmentPlan:
    """Make an update of seven long URLs that is alike to no other."""
    return update(name, f"v1-{number}.com.br", f"v{number}.com.br/" + "x" * (1_000 + number % 900))


def _foul(name: str, number: int) -> EnvironmentPlan:
    return update(name, "v1.com.br", f"v{number}.com.br/<`|@{'<' * (number % 1_000)}{HOSTILE}")


def _short(name: str, number: int) -> EnvironmentPlan:
    return update(name, f"v1-{number}.com.br", f"v2-{number * 7}.com.br")


def _fleet(count: int, make: Callable[[str, int], EnvironmentPlan], warnings: int = 0) -> Plan:
    return plan_of(
        *(make(f"c{number:05}", number) for number in range(count)),
        *(planned(f"r{number:05}{'x' * 50}", Action.REASSERT, Reason.REQUESTED) for number in range(count)),
        *(planned(f"o{number:05}{'x' * 50}", Action.ORPHAN) for number in range(count)),
        *(planned(f"n{number:05}", Action.NOOP) for number in range(count)),
        warnings=tuple(f"warning {number} {HOSTILE}" for number in range(warnings)),
    )


def test_a_problem_with_a_long_text_keeps_its_place_in_the_table() -> None:
    """A reviewer sees where it is, and in order, however long its other parts are."""
    hostile = Problem("m/a.yaml", 3, 5, "k" * 400, "<`|@" * 250, "<`|@" * 250)
    page = markdown.render_validation([hostile, Problem("m/b.yaml", 1, 1, "wave", "is a text")], ())
    rows = page.splitlines()[4:]
    assert rows == [
        "| error | `m/a.yaml:3:5` |  | is too long to show here | run `reconciler validate` |",
        "| error | `m/b.yaml:1:1` | `wave` | is a text |  |",
    ]


def _shown(page: str) -> int:
    return page.count("<details")


@pytest.mark.parametrize("make", [_short, _long, _foul])
@pytest.mark.parametrize("count", [60, 1_200])
def test_a_plan_of_any_size_fits_a_comment(count: int, make: Callable[[str, int], EnvironmentPlan]) -> None:
    """What is left out is counted exactly, and nothing is cut in the middle."""
    page = markdown.render_plan(_fleet(count, make, warnings=count))
    assert len(page) <= 65_000
    left_out = re.search(r"… and ([0-9,]+) more environments with changes: run `reconciler plan` to see all", page)
    assert left_out is not None
    assert _shown(page) + int(left_out[1].replace(",", "")) == count
    assert page.count("<details") == page.count("</details>")
    assert f"**{count:,} environments alike** reassert" in page
    assert f"**{count:,} orphans**" in page
    assert f"Unchanged: {count:,} environments." in page
    assert page.count("```") % 2 == 0


def test_a_block_that_is_too_long_leaves_the_next_one_room() -> None:
    """One environment of hostile length is counted, and the others are shown."""
    huge = update("a", "v1.com.br", "v2.com.br/" + "<" * 40_000)
    page = markdown.render_plan(plan_of(huge, create("b")))
    assert "<code>b</code>" in page
    assert "… and 1 more environment with changes" in page


def test_names_are_left_out_before_hosts() -> None:
    """Each host stays, with one name and its number of environments."""
    environments = [
        replace(update(f"c{at}-{'n' * 50}", "v1.com", "v2.com"), hosts=(f"h{at % 200}.acme.com",))
        for at in range(2_000)
    ]
    page = markdown.render_plan(plan_of(*environments, new_hosts=("h7.acme.com",)))
    assert len(page) <= 65_000
    listed = re.findall(r"^- `(h\d+)\.acme\.com`(.*): 10 environments: `c\d+-n+` and 9 more$", page, re.MULTILINE)
    assert listed[0] == ("h7", " (new)")
    assert sorted(host for host, _ in listed) == sorted(f"h{at}" for at in range(200))
    assert "not shown here" not in page


def _on_a_shared_host(count: int) -> tuple[Plan, dict[str, dict[str, str]]]:
    """Two groups, each of `count` environments with a value of its own."""
    variables = {f"{group}{at:04}": {"zap": f"z{group}{at:04}x"} for group in "ab" for at in range(count)}
    environments = [
        update(name, f"{name[0]}.com", f"shared.com/{one['zap']}/{name[0]}") for name, one in variables.items()
    ]
    return plan_of(*environments), variables


@pytest.mark.parametrize("count", [60, 1_200])
def test_the_values_of_a_group_fill_the_room_that_is_left(count: int) -> None:
    """They push out no other group, and a larger page has all of them."""
    plan, variables = _on_a_shared_host(count)
    page = markdown.render_plan(plan, variables)
    assert len(page) <= 65_000
    assert page.count(f"<b>{count:,} environments alike</b>") == page.count("differs: `{zap}`") == 2
    left_out = re.findall(r"^- … and ([0-9,]+) more environments: see the summary of the check", page, re.MULTILINE)
    rows = re.findall(r"^- `zap` `z(\w+)x`: `(\w+)`$", page, re.MULTILINE)
    assert all(value == name for value, name in rows)
    assert len(rows) + sum(int(one.replace(",", "")) for one in left_out) == 2 * count
    assert len(left_out) == (0 if count == 60 else 2)
    large = markdown.render_plan(plan, variables, max_chars=900_000)
    assert len(re.findall(r"^- `zap` ", large, re.MULTILINE)) == 2 * count


def test_every_name_is_shown_if_there_is_room() -> None:
    """All eighty names of a group or of a host are shown."""
    names = [f"c{at:02}" for at in range(80)]
    hosts = ["big.com"] * 60 + ["big.com other.com"] * 20
    environments = [
        replace(update(name, "v1.com", "v2.com"), hosts=tuple(host.split()))
        for name, host in zip(names, [*hosts], strict=True)
    ]
    page = markdown.render_plan(plan_of(*environments))
    assert ", ".join(f"`{name}`" for name in names) in page
    assert "- `other.com`: 20 environments: " + ", ".join(f"`{name}`" for name in names[60:]) + "\n" in page
    drift = Drift(tuple(Finding(name, FindingKind.SECRET, None, None, None, "replaced") for name in names))
    assert ", ".join(f"`{name}`" for name in names) in markdown.render_drift(drift)


def test_a_host_of_what_is_left_out_is_listed_although_a_shown_block_has_it() -> None:
    """The last environment, which has no room, would send to a host that the page shows for another one."""
    plan = _fleet(60, _long)
    sent = [replace(one, hosts=(f"h{at % 59}.com",)) for at, one in enumerate(plan.environments[:60])]
    page = markdown.render_plan(replace(plan, environments=(*sent, *plan.environments[60:])))
    shown = re.findall(r"<b><code>(c\d+)</code>", page)
    listed = page.partition("\n\n**Hosts of what is left out**\n\n")[2].partition("\n\n")[0]
    left_out = [one for one in sent if one.environment not in shown]
    assert "c00000" in shown
    assert {one.hosts[0] for one in left_out} >= {"h0.com", "h58.com"}
    assert sorted(listed.splitlines()) == sorted(
        f"- `{one.hosts[0]}`: 1 environment: `{one.environment}`" for one in left_out
    )
    assert listed.splitlines()[-1] == "- `h0.com`: 1 environment: `c00059`"


def test_hosts_that_have_no_room_at_all_are_counted() -> None:
    """Hosts that the page shows elsewhere are not counted as hidden."""
    environments = [
        replace(update(f"c{at:04}", "v1.com", f"v{at * 7}.com/{'x' * 900}"), hosts=(f"{'h' * 90}{at}.com", "known.com"))
        for at in range(900)
    ]
    page = markdown.render_plan(plan_of(*environments))
    assert len(page) <= 65_000
    said = re.search(r" and ([0-9]+) more hosts, of which ([0-9]+) are not shown here: run", page)
    assert said is not None
    assert int(said[1]) == int(said[2]) + 1
    listed = page.partition("**Hosts of what is left out**")[2].count(f"`{'h' * 90}")
    assert int(said[2]) + listed + _shown(page) == 900


def test_hosts_that_were_observed_at_plug_are_listed_in_a_group() -> None:
    live = [
        replace(
            planned(f"c{at}", Action.REASSERT, Reason.LIVE_DRIFT, unchanged=("h.com",)),
            live=(LiveDifference(EVENTS[0], f"https://c{at}.evil.com/", "https://h.com/"),),
        )
        for at in range(6)
    ]
    page = markdown.render_plan(plan_of(*live))
    assert "- `h.com`: 6 environments\n- observed at Plug `c0.evil.com`: 1 environment: `c0`\n" in page


@pytest.mark.parametrize("count", [80, 2_000])
def test_hosts_of_drift_are_listed_as_far_as_there_is_room(count: int) -> None:
    """The list does not end at fifty hosts; those that don't fit are counted."""
    findings = [
        Finding(f"c{at}", FindingKind.UNAPPLIED, EVENTS[0], f"https://c{at}.com/2", "https://old.com/", "it differs")
        for at in range(count)
    ]
    page = markdown.render_drift(Drift(tuple(findings)))
    assert len(page) <= 65_000
    listed = len(re.findall(r"^- expected `c\d+\.com`: 1 environment(?:: `c\d+`)?$", page, re.MULTILINE))
    said = re.search(r"^- … and ([0-9,]+) more hosts?$", page, re.MULTILINE)
    assert listed + (int(said[1].replace(",", "")) if said else 0) == count + (1 if said else 0)
    assert (said is None) == (count == 80)
    assert said is not None or "- actual `old.com`: 80 environments\n" in page


def test_a_plan_of_a_part_says_with_what_its_hosts_were_compared() -> None:
    """A host may look new only because the state of other environments was not compared."""
    plan = plan_of(update("a", "v1.com", "v2.com"), new_hosts=("v2.com",))
    assert "were not compared" not in markdown.render_plan(plan)
    assert "those of others were not compared" in markdown.render_plan(replace(plan, selection=("a",)))


def test_a_small_plan_leaves_nothing_out() -> None:
    """There is no note about missing parts."""
    assert "… and" not in markdown.render_plan(plans()["mixed"])


def test_the_digest_is_shown_whole_as_code() -> None:
    """The user copies it for `apply --expect`."""
    plan = plans()["mixed"]
    assert f"\nDigest: `{plan.digest}`\n" in markdown.render_plan(plan)


def test_every_other_page_keeps_the_bound_too() -> None:
    """Results, findings, problems and states that are too large for a page are cut to whole rows."""
    outcomes = [
        EnvironmentResult(f"c{number}", Outcome.FAILED, (), 1, None, f"{number % 977} {'x' * (number % 1_000)}", 1.0)
        for number in range(1_200)
    ]
    findings = [
        Finding(f"c{number}", FindingKind.LIVE, None, HOSTILE, f"{number}", HOSTILE * (number % 9))
        for number in range(1_200)
    ]
    problems = [Problem(f"m/{number}.yaml", 1, 1, "wave", HOSTILE) for number in range(1_200)]
    fleet = [documents()["settled"], documents()["hostile"]] * 600
    pages = [
        markdown.render_result(RunResult(tuple(outcomes))),
        markdown.render_drift(Drift(tuple(findings))),
        markdown.render_validation(problems, problems),
        markdown.render_state_list(fleet, NOW),
    ]
    for page, total in zip(pages, (1_200, 1_200, 2_400, 1_200), strict=True):
        assert len(page) <= 65_000
        left_out = re.search(r"… and ([0-9,]+) more", page.splitlines()[-1]) or re.search(
            r"\n… and ([0-9,]+) more", page
        )
        assert left_out is not None
        rows = page.count("<details") or sum(1 for line in page.splitlines() if line.startswith("| ")) - 2
        assert rows + int(left_out[1].replace(",", "")) == total


def test_the_tables_of_every_page_render_whole() -> None:
    """A real renderer finds as many cells in every row as in its header."""
    result = RunResult((EnvironmentResult(HOSTILE, Outcome.REJECTED, (), 1, 400, HOSTILE, 1.0),))
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = renderer.render(markdown.render_result(result))
    assert page.count("<th>") == page.count("<td>") == 5
    allowed = {"h2", "table", "thead", "tbody", "tr", "th", "td", "code", "p", "ul", "li"}
    assert set(re.findall(r"</?([a-z0-9]+)", page)) <= allowed


def test_changes_of_one_environment_come_from_their_own_lines() -> None:
    """A reviewer can open the line of the manifest."""
    before, after = dict.fromkeys(EVENTS, "https://x.com"), dict.fromkeys(EVENTS, "https://y.com")
    changed = changes("a", before, after)
    page = markdown.render_plan(plan_of(planned("a", Action.UPDATE, Reason.WEBHOOKS_CHANGED, changed=changed)))
    assert "# receiveMessage (manifests/a.yaml:10)\n- https://x.com\n+ https://y.com\n" in page


@pytest.mark.parametrize("kind", FindingKind)
def test_an_issue_names_no_command_that_applies_or_plans_on_a_laptop(kind: FindingKind) -> None:
    """The team's workflows do that. Commands for the state alone have no workflow."""
    text = words.next_for_kind(kind, on_github=True)
    assert not re.search("reconciler (apply|plan|drift)|state list", text)
    assert text.startswith(f"{kind.value}: ") and words.next_for_kind(kind, on_github=False).startswith(
        f"{kind.value}: "
    )


def test_a_job_without_tokens_says_so_once() -> None:
    """A read of an account that failed is still reported, as it is not about tokens."""
    plan = plan_of(*(replace(create(name), unchecked=("account", "secret:PLUG_SECRET_A")) for name in "ab"))
    plan = replace(plan, environments=(*plan.environments, replace(create("c"), unchecked=("account", LIVE))))
    shown, note = words.leave_out_unchecked(plan)
    assert [one.unchecked for one in shown.environments] == [(), (), (LIVE,)]
    assert note == "Tokens and secrets are not available here: the job that applies compares them."
    assert words.leave_out_unchecked(shown) == (shown, "")
    text = markdown.render_plan(shown)
    assert "not compared" not in text and "not observed: the read failed" in text
