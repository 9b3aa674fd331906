"""Hostile values in every foreign field of every view, checked by a parser of that output.

See docs/contract.md#what-no-output-does.

Markdown goes through cmark-gfm, GitHub's own renderer, with its extensions: what it links, it would link there.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.planner import Planned
from reconciler.core.workflow.before_merge import Advice
from reconciler.core.workflow.change import Loosening, MergeChange, Review, SettingChange
from reconciler.core.workflow.endings import Ending, EndReport, RunJob
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.parts import PinChange
from reconciler.core.workflow.steps import Job
from reconciler.model import (
    EVENTS,
    Action,
    ApiUse,
    Applied,
    Area,
    By,
    Change,
    CheckResult,
    CheckStage,
    Document,
    Drift,
    EnvironmentResult,
    Event,
    Finding,
    FindingKind,
    HistoryEntry,
    Intent,
    Item,
    ItemState,
    LiveDifference,
    Location,
    Origin,
    Outcome,
    Problem,
    Quote,
    Reason,
    ResolvedEnvironment,
    ResolvedValue,
    ResolvedVar,
    ResolvedWebhook,
    RunResult,
    SettingPlace,
    Where,
)
from reconciler.text import escape
from reconciler.text.commit_message import describe_commit
from reconciler.views import annotations as github
from reconciler.views import markdown, text, text_plan
from reconciler.views.diagnostics import Layout, render_line
from reconciler.views.github_review import render_review, render_unposted
from reconciler.views.markdown_begin import render_begin
from reconciler.views.markdown_failure import render_failure
from reconciler.views.markdown_run_result import RunText, render_pull_request, render_run
from tests import json_view
from tests.acceptance.conftest import assert_harmless
from tests.fuzz.hostile import bounded, hostile_texts
from tests.golden.samples import HOSTILE, NOW, checked, plan_of, planned, unshown
from tests.renderers import find_encoders, find_renderers

values = hostile_texts | st.sampled_from(
    [HOSTILE, "@octo", "a@b.test", "mailto:a@b.test", "xmpp:a@b.test/x", "http://x.test", "GH-1", "o/r#1"]
)
ALLOWED_TAGS = {
    *("h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "strong", "em"),
    *("br", "details", "summary", "sub", "hr", "b"),
}


def plan_with(value: str) -> Any:
    url = f"https://hooks.acme.com.br/{value}"
    source = Location(value, 3, 1)
    changes = (Change(Event.RECEIVE_MESSAGE, value, url, source), Change(Event.MESSAGE_STATUS, url, value, source))
    live = (LiveDifference(Event.SENDING_MESSAGE, value, value), LiveDifference(Event.MESSAGE_STATUS, None, value))
    one = planned(value, Action.UPDATE, Reason.WEBHOOKS_CHANGED, Reason.LIVE_DRIFT, changed=changes, live=live)
    other = planned(value + "x", Action.ORPHAN)
    third = planned(value + "y", Action.REASSERT, Reason.UNCERTAIN, unchecked=(value,))
    return plan_of(replace(one, source=source), other, third, warnings=(value, f"{value}: {value}"))


def document_with(value: str) -> Document:
    by = By(value, value, value)
    seven = dict.fromkeys(EVENTS, value)
    applied = Applied(value, value, seven, {value: value}, NOW, by, adopted=True)
    return Document(value, value, 2, applied, Intent(value, seven, True, NOW, NOW, by), (HistoryEntry(NOW, by, seven),))


def everything(value: str) -> dict[str, tuple[Any, ...]]:
    """Return what each function that renders a result gets, with the value in every place that others may write to."""
    quote = Quote(value, len(value) // 3, len(value) // 2)
    problems = [Problem(value, 1, 1, value, value, value, 2, quote), Problem.of("", value)]
    result = RunResult(
        tuple(EnvironmentResult(value, one, (), 1, 500, value, 1.0) for one in Outcome), state_trouble=True
    )
    findings = tuple(Finding(value, kind, Event.MESSAGE_STATUS, value, value, value) for kind in FindingKind)
    drift = Drift(findings, Where(value, 1, (ApiUse(value, 1, sandbox=True),), is_new=True, near=value))
    receivers = tuple(
        checked(
            value,
            host=value,
            url=value,
            environments=(value,),
            place=value,
            ok=ok,
            stage=stage,
            message=value,
            warning=value,
            addresses=(value,),
        )
        for ok, stage in ((False, CheckStage.DNS), (False, CheckStage.POST), (True, CheckStage.POST))
    )
    check = CheckResult(receivers)
    document, plan = document_with(value), plan_with(value)
    source, place = Location(value, 3, 1), SettingPlace(value, "api.base_url")
    resolved = ResolvedEnvironment(
        value,
        source,
        value,
        (
            ResolvedValue("api.base_url", value, Origin.MANIFEST, source=source),
            ResolvedValue("api.base_url", value, Origin.SETTING, setting=place),
        ),
        (ResolvedVar(value, value, source, used=False),),
        (ResolvedWebhook(Event.MESSAGE_STATUS, value, f"{value}x", source, (value,), (value,)),),
    )
    return {
        "render_plan": (plan,),
        "render_result": (result,),
        "render_drift": (drift,),
        "render_check": (check,),
        "render_validation": (problems, problems),
        "render_environment": (resolved,),
        "render_doctor": ([Item(Area.GITHUB, value, state, value, value) for state in ItemState],),
        "render_state_list": ([document], NOW),
        "render_state_show": (document, NOW),
        "render_state_history": (document,),
    }


RESULTS = list(everything(""))
# What the steps of the workflows post and show, and what is not a whole result, with the value in the same way.
POSTED: dict[Callable[..., str], Callable[[str], str]] = {
    render_run: lambda value: render_run(ends(value), run_with(value)),
    render_pull_request: lambda value: render_pull_request(ends(value), run_with(value)),
    render_failure: lambda value: render_failure("Refused", value),
    render_begin: lambda value: render_begin([value], ((Job(value, value, 1, value),),), value, [value]),
    render_review: lambda value: "\n".join(render_review(one, "RUN") for one in reviews_with(value)),
}
FOR_A_TERMINAL: dict[Callable[..., str], Callable[[str], str]] = {
    text_plan.render_question: lambda value: text_plan.render_question(
        plan_with(value), [ApiUse(value, 1, sandbox=True)]
    ),
    render_line: lambda value: render_line(problem_with(value)),
}
MESSAGES = [github.render_error, github.render_warning]


def ends(value: str) -> list[EndReport]:
    """Return each end of a run. The value is in the state, a refusal or a job's name."""
    by, job = By(value, value, value), RunJob(value, value)
    return [EndReport(f"{value}{one}", one, value, by, NOW, job, commit=value) for one in Ending]


def run_with(value: str) -> RunText:
    """The link to a job was checked before."""
    return RunText("RUN", value, value, value, (value,))


def problem_with(value: str) -> Problem:
    return Problem(value, 1, 1, value, value, value)


def reviews_with(value: str) -> list[Review]:
    """Return a review for each thing that can be in the place of the plan, each with every other section."""
    problems = (problem_with(value),)
    pins = (PinChange(value, value, None), PinChange(value, value, value))
    review = Review(
        base=value,
        head=value,
        change=MergeChange((value,), (value,)),
        unshown=unshown(value),
        loosening=Loosening((SettingChange(value, value, value),), (value,), (value,), pins, ("settings", "policy")),
        base_fault=value,
        refused=problems,
        lifted=problems,
        later=problem_with(value),
        labels=tuple(LabelSetting(label, value, counts=False) for label in Label),
        label_fault=value,
        combined=(value,),
        checked=CheckResult((checked(value, ok=False, message=value, warning=value),)),
        advice=(Advice(value, value),),
    )
    return [
        replace(review, planned=Planned(plan_with(value), {}, {})),
        replace(review, errors=problems, warnings=problems),
        replace(review, unplanned=value),
        replace(review, failed=value),
    ]


def have(view: Any) -> list[str]:
    """Return the results that a view has a function for."""
    return [name for name in RESULTS if hasattr(view, name)]


def test_every_function_that_renders_a_result_is_tested_here() -> None:
    """Add a new one to `everything`, or to one of the tables below it if no command renders it alone."""
    tested = {getattr(view, name) for view in (text, markdown, json_view, github) for name in have(view)}
    tested |= {*POSTED, *FOR_A_TERMINAL, *MESSAGES, render_unposted}  # The last has no value of others.
    assert (find_renderers() | find_encoders()) - tested == set()


def as_github_does(text: str) -> str:
    extensions = ["table", "strikethrough", "autolink", "tagfilter"]
    page = cmarkgfm.markdown_to_html_with_extensions(text, options=Options.CMARK_OPT_UNSAFE, extensions=extensions)
    return str(page)


def assert_data(page: str) -> None:
    """Check that only our links, pictures and tags exist and are closed, no user is mentioned, and rows fit headers."""
    page = page.replace("<!-- -->", "")
    tags = re.findall(r"<(/?)([a-zA-Z0-9]+)([^>]*)>", page)
    assert {name for _, name, _ in tags} <= ALLOWED_TAGS, page
    assert all(not rest or rest in (" open", " /") or name in ("pre", "code", "th", "td") for _, name, rest in tags), (
        page
    )
    for name in ALLOWED_TAGS - {"br", "hr"}:
        assert sum(1 for slash, one, _ in tags if one == name and not slash) == sum(
            1 for slash, one, _ in tags if one == name and slash
        )
    outside = re.sub(r"<(code|pre)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]*>", "", outside))
    assert not re.search(r"(?<![\w/])@[A-Za-z0-9]|(?<!\w)#[0-9]|\bGH-[0-9]", text, re.IGNORECASE), text
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        width = table.count("<th")
        assert all(row.count("<td") == width for row in re.findall(r"<tr>\s*<td.*?</tr>", table, re.DOTALL)), table


def assert_markdown_is_data(shown: str) -> None:
    """Check the text itself, and the page that GitHub makes of it."""
    assert not re.search(r"@[A-Za-z0-9]", shown), "a mention in the raw text"
    assert not any(line.strip().startswith("::") for line in shown.splitlines()) and "##[" not in shown
    assert_data(as_github_does(shown).replace("<thead>", "").replace("</thead>", ""))


@pytest.mark.parametrize("name", have(markdown))
@bounded
@given(value=values)
@example(value=HOSTILE)
@example(value="a@b.test")
def test_markdown_is_data_to_githubs_renderer(name: str, value: str) -> None:
    """A comment, an issue, a summary: the page holds our markup and nothing else."""
    assert_markdown_is_data(getattr(markdown, name)(*everything(value)[name]))


@pytest.mark.parametrize("render", POSTED)
@bounded
@given(value=values)
@example(value=HOSTILE)
@example(value="a@b.test")
def test_what_the_workflows_post_is_data_to_githubs_renderer(render: Callable[..., str], value: str) -> None:
    assert_markdown_is_data(POSTED[render](value).replace("[this run](RUN)", ""))


@pytest.mark.parametrize("render", FOR_A_TERMINAL)
@bounded
@given(value=values)
def test_a_question_and_a_problem_are_data_to_a_terminal(render: Callable[..., str], value: str) -> None:
    assert_harmless(FOR_A_TERMINAL[render](value))


@pytest.mark.parametrize("name", have(text))
@bounded
@given(value=values)
def test_text_is_data_to_a_terminal(name: str, value: str) -> None:
    """No escape but our colours, no second line, no workflow command: a log shows a text without its colours."""
    given_to, render = everything(value)[name], getattr(text, name)
    for colour in (False, True):
        # On a terminal, each problem is a block of lines.
        layout: Any = {"layout": Layout(colour, 60 if colour else None)} if name == "render_validation" else {}
        shown = render(*given_to, **(layout or {"colour": colour}))
        assert_harmless(re.sub(r"\x1b\[[0-9;]*m", "", shown) if colour else shown)


@pytest.mark.parametrize("name", have(json_view))
@bounded
@given(value=values)
def test_json_is_data_to_a_log(name: str, value: str) -> None:
    """It is read back unchanged, and no line is a workflow command."""
    shown = getattr(json_view, name)(*everything(value)[name])
    assert_harmless(shown)
    assert shown.isascii() and json.loads(shown)["format"].startswith("reconciler.")


@pytest.mark.parametrize("name", have(github))
@bounded
@given(value=values)
def test_annotations_are_ours_alone(name: str, value: str) -> None:
    """Each line is one command, and no value can end a part of it."""
    assert_annotations(getattr(github, name)(*everything(value)[name], path_of=str))


@pytest.mark.parametrize("render", MESSAGES)
@bounded
@given(value=values)
def test_the_annotation_of_a_message_is_ours_alone(render: Callable[[str], str], value: str) -> None:
    assert_annotations(render(value))


def assert_annotations(shown: str) -> None:
    part = "(file|line|col|endColumn|title)=[^:,\n]*"
    for line in shown.splitlines():
        assert re.fullmatch(rf"::(error|warning|notice) {part}(,{part})*::.*", line), line
        assert re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line) is None and "##[" not in line


@bounded
@given(value=values)
@example(value="@octo/team fixes #12, GH-3, o/r#4 and https://github.com/o/r/issues/5")
def test_a_commit_of_the_state_mentions_no_user(value: str) -> None:
    """Its message is pushed to GitHub, which notifies the users that it mentions and links what it refers to."""
    message = describe_commit([("loja", None, replace(document_with(value), environment="loja", intent=None))])
    assert_harmless(message)
    assert not re.search(r"@|#[0-9]|GH-[0-9]|://", message, re.IGNORECASE)
    assert len(message.splitlines()) <= 7
    assert escape.for_commit("ana") == "ana" and escape.for_commit("7000/1") == "7000/1"
