"""The names of manifests, found without a parser if that is safe; and defaults with equal values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifests.history import find_meaning, find_name
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import TreeOptions
from reconciler.manifests.nodes import File, parse_file
from reconciler.manifests.schema import ENVIRONMENT_PATTERN
from reconciler.manifests.tree import ManifestFileKind, find_kind
from reconciler.model import AuthScheme
from tests.conftest import examples


def parse_name(data: bytes) -> str | None:
    """Return the name that the parser finds."""
    file = parse_file("", data)
    if not isinstance(file, File) or "environment" not in file.values:
        return ""
    name = file.values["environment"]
    return name if isinstance(name, str) and re.fullmatch(ENVIRONMENT_PATTERN, name) else None


LINES = st.sampled_from(
    [
        *("environment: a-1\n", "environment: on\n", "environment: null\n", "environment: 010\n", "environment: 'b'\n"),
        *("environment: a # c\n", "environment:\n", "environment: Not\n", "environment: a: b\n", "  environment: a\n"),
        *("vars:\n  host: h.acme.com.br\n", "  host: h.acme.com.br:80\n", "vars:\n  url: https://{environment}/x\n"),
        *("wave: 1\n", "account_id: '7'\n", "description: |\n", "  text\n", "'x\n", 'x: "\n', '"\n', "sops:\n  a: b\n"),
        *(
            "{environment}\n",
            "x: {environment}\n",
            "x: [\n",
            "]\n",
            "---\n",
            "# environment: c\n",
            "\\",
            "\r\n",
            "é: é\n",
        ),
        *(
            "? environment\n: a\n",
            "&a environment: b\n",
            "environment : b\n",
            "x: {environment: b}\n",
            "environment: a",
        ),
    ]
)


@settings(max_examples=examples(200))
@given(st.lists(LINES, max_size=5))
def test_the_name_is_the_parsers(lines: list[str]) -> None:
    data = "".join(lines).encode()
    assert find_name(data) == parse_name(data)


@pytest.mark.parametrize("line", ["vars:\n  host: h.acme.com.br\n", "account_id: '7'\nwave: 1\n", ""])
def test_usual_manifests_are_not_parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.manifests.history.parse_file", None)
    assert find_name(f"environment: loja-1\n{line}".encode()) == "loja-1"
    assert find_name(f"{line}webhooks:\n  messageStatus: https://a.b/{{environment}}\n".encode()) == ""


def test_comments_and_layout_mean_nothing() -> None:
    assert find_meaning(b"wave: 1\nvars: {a: b, c: d}\n") == find_meaning(b"# x\nvars:\n  c: 'd'\n  a: b\nwave: 1\n")
    assert find_meaning(b"wave: 1\n") != find_meaning(b"wave: 2\n")
    assert find_meaning(b"wave: '1'\n") != find_meaning(b"wave: 1\n")
    assert find_meaning(b"wave: [\n") is None


FILES = (
    *("a.yaml", "b.yml", "c.json", "d.YAML", "e.yaml.bak", ".f.yaml", "_g.yaml", "_defaults.yaml", "_defaults.yml"),
    *("_default.yaml", "h.ymal", "i.yaml ", "j", "aux.yaml", "_defaults.yaml.txt"),
)
FOLDERS = ("", "x/", "x/y/", "_x/", ".x/", "z/_defaults.yaml/", "_defaults.d/", "x.yaml/")


def test_a_path_is_read_as_the_walk_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each manifest has another name, and files that are read as defaults are refused for their content."""
    monkeypatch.chdir(tmp_path)
    every = [f"{folder}{name}" for folder in FOLDERS for name in FILES]
    for number, path in enumerate(every):
        (tmp_path / "m" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / path).write_text("- x\n" if "_default" in Path(path).name else f"environment: e{number}\n")
    tree = load_tree("m", TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",)))
    defaults = {problem.file.removeprefix("m/") for problem in tree.errors if "not a mapping" in problem.message}
    kinds = {path: find_kind(path) for path in every}
    assert {path for path, kind in kinds.items() if kind is ManifestFileKind.DEFAULTS} == defaults != set()
    read = {path for number, path in enumerate(every) if f"e{number}" in tree.names}
    assert {path for path, kind in kinds.items() if kind is ManifestFileKind.MANIFEST} == read != set()
