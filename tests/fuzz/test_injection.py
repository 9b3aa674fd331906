"""Hostile values in every foreign field of every view, checked by a parser of that output.

See docs/contract.md#what-no-output-does.

Markdown goes through cmark-gfm, GitHub's own renderer, with its extensions: what it links, it would link there.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.protocol.endings import Ending, EndReport, RunJob
from reconciler.model import (
    EVENTS,
    Action,
    ApiUse,
    Applied,
    By,
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
    LiveDifference,
    Location,
    Outcome,
    Problem,
    Quote,
    Reason,
    RunResult,
    Where,
)
from reconciler.text import escape
from reconciler.text.commit_message import describe_commit
from reconciler.views import annotations as github
from reconciler.views import markdown, text_check, text_drift, text_plan, text_result, text_state, text_validation
from reconciler.views.diagnostics import Layout
from reconciler.views.markdown_run_result import RunText, render_pull_request, render_run
from tests import json_view
from tests.acceptance.conftest import assert_harmless
from tests.fuzz.hostile import bounded, hostile_texts
from tests.golden.samples import HOSTILE, NOW, checked, plan_of, planned

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
    from reconciler.model import Change

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


def everything(value: str) -> dict[str, Callable[[Any], str]]:
    """Each of our results with the value wherever somebody else's stands: a name -> how a view renders it."""
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
    return {
        "plan": lambda view: view.render_plan(plan),
        "result": lambda view: view.render_result(result),
        "drift": lambda view: view.render_drift(drift),
        "check": lambda view: view.render_check(check),
        "validation": lambda view: view.render_validation(problems, problems),
        "state list": lambda view: view.render_state_list([document], NOW),
        "state show": lambda view: view.render_state_show(document, NOW),
        "state history": lambda view: view.render_state_history(document),
    }


RESULTS = list(everything(""))


def as_github_does(text: str) -> str:
    extensions = ["table", "strikethrough", "autolink", "tagfilter"]
    page = cmarkgfm.markdown_to_html_with_extensions(text, options=Options.CMARK_OPT_UNSAFE, extensions=extensions)
    return str(page)


def assert_data(page: str) -> None:
    """Check that only our links, pictures and tags exist and are closed, nobody is mentioned, and rows fit headers."""
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


@pytest.mark.parametrize("name", RESULTS)
@bounded
@given(value=values)
@example(value=HOSTILE)
@example(value="a@b.test")
def test_markdown_is_data_to_githubs_renderer(name: str, value: str) -> None:
    """A comment, an issue, a summary: the page holds our markup and nothing else."""
    text = everything(value)[name](markdown)
    assert not re.search(r"@[A-Za-z0-9]", text), "a mention in the raw text"
    assert not any(line.strip().startswith("::") for line in text.splitlines()) and "##[" not in text
    assert_data(as_github_does(text).replace("<thead>", "").replace("</thead>", ""))


@bounded
@given(value=values)
@example(value=HOSTILE)
@example(value="a@b.test")
def test_the_end_of_a_run_is_data_to_githubs_renderer(value: str) -> None:
    """The value is in the state, a refusal or a job's name. The link to a job was checked before."""
    by, job = By(value, value, value), RunJob(value, value)
    told = [EndReport(f"{value}{one}", one, value, by, NOW, job, commit=value) for one in Ending]
    run = RunText("RUN", value, value, value, (value,))
    for text in (render_run(told, run), render_pull_request(told, run)):
        assert not re.search(r"@[A-Za-z0-9]", text), "a mention in the raw text"
        assert not any(line.strip().startswith("::") for line in text.splitlines()) and "##[" not in text
        page = as_github_does(text.replace("[this run](RUN)", ""))
        assert_data(page.replace("<thead>", "").replace("</thead>", ""))


class _Text:
    """The text views, with colours: what they say without them is what a log shows. Problems have blocks with them."""

    def __init__(self, colour: bool) -> None:
        self._how = {"colour": colour}
        self._layout = Layout(colour, 60 if colour else None)

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name == "render_validation":
            return partial(text_validation.render_validation, layout=self._layout)
        for view in (text_plan, text_result, text_drift, text_check, text_validation, text_state):
            if hasattr(view, name):
                return lambda *given: getattr(view, name)(*given, **self._how)
        raise AttributeError(name)


@pytest.mark.parametrize("name", RESULTS)
@bounded
@given(value=values)
def test_text_is_data_to_a_terminal(name: str, value: str) -> None:
    """No escape but our colours, no second line, no workflow command."""
    render = everything(value)[name]
    assert_harmless(render(_Text(colour=False)))
    coloured = render(_Text(colour=True))
    assert_harmless(re.sub(r"\x1b\[[0-9;]*m", "", coloured))


@pytest.mark.parametrize("name", [name for name in RESULTS if name != "state show"])
@bounded
@given(value=values)
def test_json_is_data_to_a_log(name: str, value: str) -> None:
    """It is read back unchanged, and no line is a workflow command."""
    text = everything(value)[name](json_view)
    assert_harmless(text)
    assert text.isascii() and json.loads(text)["format"].startswith("reconciler.")


@pytest.mark.parametrize("name", ["plan", "result", "drift", "check"])
@bounded
@given(value=values)
def test_annotations_are_ours_alone(name: str, value: str) -> None:
    """Each line is one command, and no value can end a part of it."""

    class View:
        def __getattr__(self, render: str) -> Callable[..., str]:
            return lambda *given: getattr(github, render)(*given, path_of=str)

    for line in everything(value)[name](View()).splitlines():
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\n]*::.*", line), line
        assert re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line) is None and "##[" not in line


@bounded
@given(value=values)
@example(value="@octo/team fixes #12, GH-3, o/r#4 and https://github.com/o/r/issues/5")
def test_a_commit_of_the_state_names_nobody(value: str) -> None:
    """Its message is pushed to GitHub, which tells whom it mentions and links what it refers to."""
    message = describe_commit([("loja", None, replace(document_with(value), environment="loja", intent=None))])
    assert_harmless(message)
    assert not re.search(r"@|#[0-9]|GH-[0-9]|://", message, re.IGNORECASE)
    assert len(message.splitlines()) <= 7
    assert escape.for_commit("ana") == "ana" and escape.for_commit("7000/1") == "7000/1"
