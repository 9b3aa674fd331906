"""Every view, as a whole document, against the file stored beside this one.

After a change that is meant: `pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import json as stdlib_json
import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from reconciler.views import annotations as github
from reconciler.views import markdown, markdown_begin, markdown_failure, markdown_run_result, text, text_plan
from reconciler.views.diagnostics import Layout, render_line
from reconciler.views.github_review import render_review, render_unposted
from tests import json_view as json
from tests.golden import samples
from tests.renderers import find_encoders, find_renderers

STORED = Path(__file__).parent / "stored"


def _cases() -> Iterator[tuple[str, partial[str]]]:
    for name, plan in samples.plans().items():
        yield f"plan-{name}.json", partial(json.render_plan, plan)
        yield f"plan-{name}.txt", partial(text.render_plan, plan, colour=False)
        yield f"plan-{name}.colour.txt", partial(text.render_plan, plan, colour=True)
        yield f"plan-{name}.md", partial(markdown.render_plan, plan)
        yield f"plan-{name}.github", partial(github.render_plan, plan, path_of=str)
    plan, variables = samples.filled()
    yield "plan-filled.txt", partial(text.render_plan, plan, variables, colour=False)
    yield "plan-filled.md", partial(markdown.render_plan, plan, variables)
    for name, result in samples.results().items():
        yield f"result-{name}.json", partial(json.render_result, result)
        yield f"result-{name}.txt", partial(text.render_result, result, colour=False)
        yield f"result-{name}.colour.txt", partial(text.render_result, result, colour=True)
        yield f"result-{name}.md", partial(markdown.render_result, result)
        yield f"result-{name}.github", partial(github.render_result, result, path_of=str)
    many = samples.fleet_result()
    yield "result-fleet.txt", partial(text.render_result, many, colour=False)
    yield "result-fleet.md", partial(markdown.render_result, many)
    yield "result-fleet.github", partial(github.render_result, many, path_of=str)
    for name, drift in samples.drifts().items():
        yield f"drift-{name}.json", partial(json.render_drift, drift)
        yield f"drift-{name}.txt", partial(text.render_drift, drift, colour=False)
        yield f"drift-{name}.colour.txt", partial(text.render_drift, drift, colour=True)
        yield f"drift-{name}.md", partial(markdown.render_drift, drift)
        yield f"drift-{name}.github", partial(github.render_drift, drift, path_of=str)
    for name, check in samples.checks().items():
        yield f"check-{name}.json", partial(json.render_check, check)
        yield f"check-{name}.txt", partial(text.render_check, check, colour=False)
        yield f"check-{name}.colour.txt", partial(text.render_check, check, colour=True)
        yield f"check-{name}.md", partial(markdown.render_check, check)
        yield f"check-{name}.github", partial(github.render_check, check, path_of=str)
    for name, problems in samples.validations().items():
        yield f"validation-{name}.json", partial(json.render_validation, *problems)
        validation = partial(text.render_validation, *problems, environments=2)
        yield f"validation-{name}.txt", partial(validation, layout=Layout())
        yield f"validation-{name}.terminal.txt", partial(validation, layout=Layout(width=60))
        yield f"validation-{name}.colour.txt", partial(validation, layout=Layout(colour=True, width=100))
        yield f"validation-{name}.md", partial(markdown.render_validation, *problems)
        yield f"validation-{name}.github", partial(github.render_validation, *problems, path_of=str)
    for name, resolved in samples.resolved().items():
        yield f"environment-{name}.json", partial(json.render_environment, resolved)
        yield f"environment-{name}.txt", partial(text.render_environment, resolved, colour=False)
        yield f"environment-{name}.colour.txt", partial(text.render_environment, resolved, colour=True)
    for name, items in samples.items().items():
        yield f"doctor-{name}.json", partial(json.render_doctor, items)
        yield f"doctor-{name}.txt", partial(text.render_doctor, items, colour=False)
        yield f"doctor-{name}.colour.txt", partial(text.render_doctor, items, colour=True)
    now = samples.NOW
    for name, document in samples.documents().items():
        yield f"state-history-{name}.json", partial(json.render_state_history, document)
        yield f"state-history-{name}.txt", partial(text.render_state_history, document, colour=False)
        yield f"state-history-{name}.md", partial(markdown.render_state_history, document)
        yield f"state-show-{name}.txt", partial(text.render_state_show, document, now, colour=False)
        yield f"state-show-{name}.md", partial(markdown.render_state_show, document, now)
    fleet = list(samples.documents().values())
    for name, documents in {"fleet": fleet, "empty": []}.items():
        yield f"state-list-{name}.json", partial(json.render_state_list, documents, now)
        yield f"state-list-{name}.txt", partial(text.render_state_list, documents, now, colour=False)
        yield f"state-list-{name}.md", partial(markdown.render_state_list, documents, now)


def _workflow_cases() -> Iterator[tuple[str, partial[str]]]:
    for name, review in samples.reviews().items():
        yield f"review-{name}.md", partial(render_review, review, "https://github.com/acme/hooks/actions/runs/7")
    for name, begin in samples.begins().items():
        yield f"begin-{name}.md", partial(markdown_begin.render_begin, *begin)
    yield "failure-hostile.md", partial(markdown_failure.render_failure, "Refused", samples.HOSTILE)
    for name, (reported, run) in samples.run_results().items():
        yield f"run-{name}.md", partial(markdown_run_result.render_run, reported, run)
    yield "run-pull-request.md", partial(markdown_run_result.render_pull_request, *samples.run_results()["mixed"])
    for name, issue in samples.issues().items():
        yield f"issue-{name}.md", partial("# {}\n\n{}\n---\n{}\n".format, issue.title, issue.text, issue.closing)


# Single lines and sentences, and a question: other tests compare them.
NOT_STORED = {text_plan.render_question, github.render_error, github.render_warning, render_line, render_unposted}
RENDERERS = dict([*_cases(), *_workflow_cases()])
CASES = {name: cache(render) for name, render in RENDERERS.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_view_renders_what_is_stored(name: str, request: pytest.FixtureRequest) -> None:
    """The whole document is compared with the reviewed one."""
    rendered = CASES[name]()
    path = STORED / name
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(rendered, encoding="utf-8", newline="")
    assert rendered == path.read_text(encoding="utf-8")


def test_every_function_that_renders_a_result_is_tested_here() -> None:
    """Add a new one to the cases above, with what it renders in tests/golden/samples.py."""
    tested = {render.func for render in RENDERERS.values()}
    assert (find_renderers() | find_encoders()) - tested - NOT_STORED == set()


def test_every_stored_file_has_a_view() -> None:
    """A removed case leaves no file behind."""
    assert {path.name for path in STORED.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_no_view_lets_data_act(name: str) -> None:
    """No control character, workflow command, live markup or mention comes out of any view."""
    rendered = CASES[name]()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", rendered) if ".colour." in name else rendered
    assert rendered.endswith("\n") or rendered == ""  # Without a problem there is no annotation.
    if name.endswith(".github"):  # Only our own commands, one on each line.
        assert all(re.fullmatch(r"::(error|warning|notice) [a-z]+=[^:]*::[^\r]*", line) for line in plain.splitlines())
        plain = re.sub("^::", "", plain, flags=re.MULTILINE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]", plain)
    assert "##[" not in plain
    assert not any(line.strip().startswith("::") for line in plain.splitlines())
    if name.endswith(".md"):
        assert "@everyone" not in rendered
        assert "<img" not in rendered
        assert rendered.count("<details") == rendered.count("</details>")


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".json")])
def test_a_json_view_is_ascii_with_the_format_first(name: str) -> None:
    """A reader knows the format before it reads the rest."""
    rendered = CASES[name]()
    assert rendered.isascii()
    assert next(iter(stdlib_json.loads(rendered))) == "format"
    assert rendered.startswith('{\n  "format": "reconciler.')
