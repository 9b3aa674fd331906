"""Secrets in manifests are errors where plans would show them, and no problem repeats them (docs/manifests.md)."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.model import EVENTS, AuthScheme, Problem

SECRET, SHORT, TOKEN = "S3cretValue_Zq9x7", "Ab3x-Y9", "opaque-Token-9988"
WEBHOOKS = "webhooks:\n" + "".join(f"  {event}: https://a.acme.com.br/p/{event}\n" for event in EVENTS)
BASE64 = base64.b64encode(SECRET.encode()).decode()


pytestmark = pytest.mark.usefixtures("in_a_tree")


def load(text: str, *, more: tuple[str, ...] = ()) -> Tree:
    Path("manifests/a.yaml").write_text(text)
    known = (SECRET, SHORT, TOKEN, *more)
    return load_tree(
        "manifests",
        TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, (), known_tokens=(TOKEN,), known_secrets=known),
    )


def shown(problem: Problem) -> str:
    return f"{problem} {problem.quote and problem.quote.text}"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        (WEBHOOKS.replace("/p/start", f"/{SECRET}/start"), 3, "webhooks.startAttendance"),
        (WEBHOOKS.replace("/p/start", f"/{{secret:{SECRET}}}/start"), 3, "webhooks.startAttendance"),
        (WEBHOOKS.replace("/p/start", f"/{{{SECRET}}}/start"), 3, "webhooks.startAttendance"),
        (f"vars:\n  k: {SECRET}-1\n" + WEBHOOKS, 2, "vars.k"),
        ('vars:\n  k: "S3cretValue\\x5fZq9x7"\n' + WEBHOOKS, 2, "vars.k"),
        (f"api: {{base_url: https://www.plugchat.com.br/{SECRET}}}\n" + WEBHOOKS, 1, "api.base_url"),
    ],
)
@pytest.mark.parametrize("more", [(), tuple(f"another-secret-{number}" for number in range(100))])
def test_a_secret_as_plain_text_is_an_error_as_every_plan_would_show_it(
    text: str, line: int, key: str, more: tuple[str, ...]
) -> None:
    """It is reported once, with what to write in its place."""
    (problem,) = load(text, more=more).errors
    assert (problem.line, problem.key, problem.message) == (line, key, "holds the value of a secret")
    assert problem.hint.startswith("write {secret:PLUG_SECRET_NAME} in its place")
    assert SECRET not in shown(problem)
    assert "x5f" not in shown(problem)


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ("two-words of-one-secret", "two-words\n    of-one-secret"),
        ("two-words of-one-secret", ">-\n    two-words\n    of-one-secret"),
        ("one-secret-value", '"one-sec\\\n    ret-value"'),
        ("one-secret-value", "|\n    one-secret-value"),
        ("it's-one-secret-value", "'it''s-one-secret-value'"),
    ],
)
def test_a_secret_is_found_in_every_form_of_yaml(secret: str, written: str) -> None:
    """It may take several lines, have escapes, or be in a block."""
    (problem,) = load(f"vars:\n  k: {written}\n" + WEBHOOKS, more=(secret,)).errors
    assert (problem.key, problem.message) == ("vars.k", "holds the value of a secret")


def test_a_secret_that_is_the_name_of_the_file_is_an_error_all_the_same() -> None:
    """No problem is left out because its file's name holds the secret."""
    (problem,) = load("vars: {k: manifests/a.yaml}\n" + WEBHOOKS, more=("manifests/a.yaml",)).errors
    assert problem.message == "holds the value of a secret"


def test_a_short_secret_and_one_outside_urls_and_vars_are_not_errors() -> None:
    """A short value occurs by chance, and no plan shows a description."""
    assert load(f"description: {SECRET}\n" + WEBHOOKS.replace("/p/", f"/{SHORT}/")).errors == ()


@pytest.mark.parametrize("value", [SECRET, SHORT, TOKEN])
@pytest.mark.parametrize(
    "text",
    [
        WEBHOOKS.replace("/p/start", "/{secret:VALUE}/start"),
        WEBHOOKS.replace("/p/start", "/{VALUE}/start"),
        WEBHOOKS.replace("/p/start", "/${VALUE}/start"),
        WEBHOOKS.replace("/p/start", "/{{VALUE}}/start"),
        WEBHOOKS.replace("a.acme.com.br/p/start", "VALUE/start"),
        WEBHOOKS.replace("startAttendance", "VALUE"),
        'vars: {"VALUE": x}\n' + WEBHOOKS,
        "token_env: VALUE\n" + WEBHOOKS,
        "environment: VALUE\n" + WEBHOOKS,
        "api: {auth_scheme: VALUE}\n" + WEBHOOKS,
        "policy: {allowed_hosts: [VALUE]}\n" + WEBHOOKS,
        "x: *VALUE\n" + WEBHOOKS,
        "VALUE: 1\nVALUE: 2\n" + WEBHOOKS,
        "wave: VALUE\n" + WEBHOOKS,
    ],
)
def test_no_problem_repeats_a_secret_or_a_token(text: str, value: str) -> None:
    """Keys, messages, hints and quoted lines are searched."""
    tree = load(text.replace("VALUE", value))
    problems = (*tree.errors, *tree.warnings)
    assert problems
    assert not any(value in shown(one) for one in problems)


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET.lower(),
        SECRET[::-1],
        SECRET.replace("3", "%33"),
        BASE64,
        base64.b64encode(BASE64.encode()).decode(),
        "S3cretValue\\x5fZq9x7",
    ],
)
def test_a_quoted_line_and_a_message_mask_a_secret_in_every_spelling(spelling: str) -> None:
    """The whole word is masked, so that no part of it is left."""
    (problem,) = load(f'wave: "{spelling}"\n' + WEBHOOKS).errors
    assert problem.quote is not None
    assert problem.quote.text == "wave: ***"
    assert problem.quote.text[problem.quote.start : problem.quote.end] == "***"
    (problem,) = load(f'api: {{auth_scheme: "{spelling}"}}\n' + WEBHOOKS).errors
    assert spelling not in shown(problem)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HOME", "{secret:HOME} must start with PLUG_SECRET_"),
        ("s3cret_that_is_not_known", "{secret:…} must name a variable that starts with PLUG_SECRET_"),
        ("Zq9x7", "{secret:…} must name a variable that starts with PLUG_SECRET_"),
    ],
)
def test_a_name_that_looks_like_a_value_is_never_repeated(name: str, message: str) -> None:
    """It may be a secret that this machine doesn't know."""
    (problem,) = load(WEBHOOKS.replace("/p/start", f"/{{secret:{name}}}/start")).errors
    assert problem.message == message
