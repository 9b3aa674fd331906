"""Manifests made to cost much: what is refused before it is expanded, compared or copied.

The costs themselves are measured elsewhere; here is what bounds them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reconciler.core.fill import MAX_NAMES, MAX_PLACES, MAX_URL_BYTES, MAX_WRITTEN, TemplateFault, parse_template
from reconciler.manifests import STORED_SCHEMA as SCHEMA
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.manifests.nodes import MAX_NODES, MAX_PATH, File, parse_file
from reconciler.manifests.quoting import MAX_SENTENCE
from reconciler.manifests.schema import MAX_PROBLEMS, near_miss
from reconciler.model import EVENTS, AuthScheme
from reconciler.model.problem import MAX_KEY_PART
from reconciler.views.words import validation_summary

HOST = "https://hooks.acme.com.br/"


pytestmark = pytest.mark.usefixtures("in_a_tree")


def write(text: str, name: str = "loja.yaml") -> None:
    Path(f"manifests/{name}").write_text(text)


def webhooks(url: str) -> str:
    return "webhooks:\n" + "".join(f"  {event}: {HOST}{event}\n" for event in EVENTS[1:]) + f"  {EVENTS[0]}: '{url}'\n"


def load() -> Tree:
    return load_tree("manifests", TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",)))


@pytest.mark.parametrize(
    ("written", "too_long"),
    [
        (HOST + "{x}" * ((MAX_URL_BYTES - len(HOST)) // 2), False),
        (HOST + "{x}" * ((MAX_URL_BYTES - len(HOST)) // 2) + "a", True),
        (HOST + "{{" * (MAX_URL_BYTES - len(HOST)), False),
        (HOST + "{{" * (MAX_URL_BYTES - len(HOST) + 1), True),
        (HOST + "{secret:PLUG_SECRET_A}" * (MAX_URL_BYTES - len(HOST)), False),
        (HOST + "{x}" * 300_000, True),
        (HOST + "{{" * 450_000, True),
        (HOST + "{empty}" * MAX_PLACES, False),
        (HOST + "{empty}" * (MAX_PLACES + 1), True),
    ],
)
def test_the_length_of_a_url_is_worked_out_before_it_is_filled_in(written: str, too_long: bool) -> None:
    """It is exact to the byte that is sent: a doubled brace counts one, a secret counts one."""
    used = "x" if "{x}" in written else "empty" if "{empty}" in written else None
    values = {"x": "yy", "empty": "''"}
    variables = f"vars: {{{used}: {values[used]}}}\n" if used else ""
    write(variables + webhooks(written))
    found = [(one.key, one.message) for one in load().errors]
    assert found == ([(f"webhooks.{EVENTS[0]}", "is longer than 2,048 bytes")] if too_long else [])


def test_a_var_of_a_megabyte_is_never_filled_in() -> None:
    """Seven copies in each of a thousand placeholders would take gigabytes."""
    write(f"vars: {{x: {'y' * 900_000}}}\n" + webhooks(HOST + "{x}" * 1000))
    assert [one.message for one in load().errors] == ["is longer than 2,048 bytes"]


def test_what_a_template_may_hold_is_bounded() -> None:
    """Faults and templates are both cached, as thousands of environments may share them."""
    names = [f"{{v{number}}}" for number in range(MAX_NAMES + 1)]
    assert len(parse_template("".join(names[:-1])).names) == MAX_NAMES
    for text, message in (
        ("".join(names), "fills in more than 50 different names"),
        ("{" + "x" * MAX_WRITTEN + "}", "is longer than 2,048 bytes"),
    ):
        for _ in range(2):
            with pytest.raises(TemplateFault, match=message):
                parse_template(text)


def test_only_the_first_problems_of_a_file_are_reported_one_by_one() -> None:
    """The others are counted after them, at the place of the last one, without those of other files."""
    write("".join(f"k{number:03}: 1\n" for number in range(MAX_PROBLEMS + 7)))
    write("wave: x\n", "outra.yaml")
    errors = [one for one in load().errors if one.file == "manifests/loja.yaml"]
    assert len(errors) == MAX_PROBLEMS + 1
    assert (errors[-1].line, errors[-1].message) == (107, "the file has 8 more errors")
    assert [one.key for one in load().errors if one.file == "manifests/outra.yaml"] == ["webhooks", "wave"]


def test_what_counts_further_warnings_comes_last_and_is_in_the_total() -> None:
    """Vars on one line share its number, so that the column decides the order."""
    unused = ", ".join(f"v{number:04}: x" for number in range(MAX_PROBLEMS + 50))
    write(f"vars: {{{unused}}}\n" + webhooks(HOST))
    warnings = load().warnings
    assert sorted(warnings)[-1].message == "the file has 50 more warnings"
    assert validation_summary((), warnings, count=1) == "Valid: 1 environment, 150 warnings."


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("? {long}\n: 1\n", "{short}"),
        ("vars:\n  ? {long}\n  : 1x\n", "vars.{short}"),
        ("webhooks:\n  ? {long}\n  : x\n", "webhooks.{short}"),
        ("x:\n  ? {long}\n  : {{a: 1, a: 1}}\n", "x.{short}"),
    ],
)
def test_a_long_name_is_cut_in_every_part_of_a_problem(written: str, key: str) -> None:
    """Otherwise each output repeats a megabyte, and a table has no room for it."""
    write(written.format(long="k" * 100_000))
    tree = load()
    found = [*tree.errors, *tree.warnings]
    assert key.format(short="k" * (MAX_KEY_PART - 1) + "…") in [one.key for one in found]
    assert all(len(one.message) <= MAX_SENTENCE and len(one.hint) <= MAX_SENTENCE for one in found)


def test_many_problems_below_one_long_key_share_no_copies_of_it() -> None:
    """Ten thousand copies of a key of a megabyte would take ten gigabytes."""
    file = parse_file("a.yaml", f"? {'k' * 100_000}\n: {{{'a: 1, ' * 1_000}}}\n".encode())
    assert isinstance(file, File)
    assert len(file.problems) == 999
    assert sum(len(one.key) for one in file.problems) <= 999 * MAX_PATH


def test_the_start_of_a_token_is_masked_before_a_key_is_cut() -> None:
    """The part of a token that is shown would not be found any more."""
    token = "Canary0Token1Value" * 20
    jwt = f"eyJhbGciOiJub25lIn0.eyJv{'x' * 2_000}.c2ln"
    for value in (token, jwt):
        write(f"? {value}\n: 1\nvars: {{a: '{value}'}}\n" + webhooks(HOST))
        options = TreeOptions(
            "https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",), known_tokens=(token,)
        )
        tree = load_tree("manifests", options)
        shown = "\n".join(f"{one} {one.quote}" for one in (*tree.errors, *tree.warnings))
        assert tree.errors
        assert "Canary0" not in shown
        assert "eyJ" not in shown


@pytest.mark.parametrize("text", ["a: [" + "x," * MAX_NODES + "]\n", "a: 1\n" * (MAX_NODES // 2 + 1)])
def test_more_keys_and_values_than_any_manifest_has_are_refused(text: str) -> None:
    """They are refused before composing, which takes twenty times their memory."""
    write(text + "#" * (2 * MAX_NODES))
    assert [one.message for one in load().errors] == ["holds more than 50,000 keys and values"]


def test_the_search_for_a_near_miss_is_bounded_and_still_finds_one() -> None:
    """Among many names, only similar and short ones are compared."""
    many = [f"name{number:04}" for number in range(1500)]
    assert near_miss("hots", [*many, "host"]) == "host"
    assert near_miss("x" * 41, ["x" * 42]) is None
    assert near_miss("WAVES", ["wave"]) == "wave"


def test_unknown_keys_of_defaults_are_not_copied_into_each_manifest() -> None:
    """Each environment below has the fault, which is reported once, where it is written."""
    write("k1: 1\nk2: 1\n" + webhooks(HOST), "_defaults.yaml")
    for name in "abc":
        write("{}", f"{name}.yaml")
    tree = load()
    assert tree.count_right() == 0
    assert tree.names == {"a", "b", "c"}
    assert [(one.file, one.key) for one in tree.errors] == [("manifests/_defaults.yaml", key) for key in ("k1", "k2")]


@pytest.mark.parametrize(
    ("url", "matches"),
    [
        ("https://hooks.acme.com.br/{environment}?k={secret:PLUG_SECRET_A}", True),
        ("{base}/x", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://localhost/", True),
        ("http://hooks.acme.com.br/", False),
        ("hooks.acme.com.br/x", False),
        ("https://hooks.acme.com.br/a b", False),
        ("https://hooks.acme.com.br/#x", False),
        ("https://hooks.acme.com.br/\u00e9", False),
        ("https://hooks.acme.com.br/\\x", False),
    ],
)
def test_the_json_schema_knows_what_a_url_is(url: str, matches: bool) -> None:
    """An editor marks a slip while it is typed."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    pattern = schema["$defs"]["WebhooksPart"]["properties"]["receiveMessage"]["pattern"]
    assert (re.search(pattern, url) is not None) == matches
